"""The stages of the policy: it is taught at which prompts to refuse, then learns by RAFT and by PPO."""

import hashlib
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel

from alignment.errors import TrainingError
from alignment.learning import ppo, raft
from alignment.learning.rollout import Outcome, Task
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.models import adapters, catalogue, loading, shipped_files
from alignment.models.adapter_files import WEIGHTS_FILE
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.heads import new_head
from alignment.models.sampling import Sampling
from alignment.runs.evaluation import evaluate
from alignment.runs.gate_checks import gate_checks
from alignment.settings import GENERAL, ModelConfig
from recipes.pocket.stage_files import save
from recipes.smollm2.asked import asked_prompts, held_out_prompts
from recipes.smollm2.decisions import train_decisions
from recipes.smollm2.settings import TOKENS, SmolConfig
from recipes.smollm2.verified import labeler_scorer

log = logging.getLogger(__name__)
PRESET = "smollm2-135m"
DECIDED, RANKED, LEARNED = "decided policy", "ranked policy weights", "learned policy weights"  # folders of drafts
HELD_OUT_TOKENS = 16  # of an answer to what is held out
KL_SAMPLES = 96  # completions that measure the policy's KL


def loaded(work: Path) -> tuple[Any, Any]:
    """Return the weights of the installed package, converted once into a folder of work, and their tokenizer."""
    config = catalogue.resolve(ModelChoice(PRESET), work, online=False).config
    ensure_converted(config)
    return loading.load_model(replace(config, base=""))


def with_reference(config: SmolConfig, work: Path, attention: Literal["eager", "sdpa"]) -> tuple[PeftModel, Any]:
    """Return the model with the adapter "sft", which changes nothing, and its tokenizer.

    Runs take "eager" on a processor: its backward pass is the faster one there in bf16. Without a mask it would look
    ahead, "sdpa" does not.
    """
    model, tokenizer = loaded(work)
    model.set_attn_implementation(attention)
    return adapters.attach_new(model, "sft", config.rank, config.seed), tokenizer


def build_decided(config: SmolConfig, target: Path, work: Path) -> None:
    """Teach the policy at which prompts to refuse, from the labeler's guideline; a draft.

    What the model hardly ever does, RAFT and PPO would seldom sample.
    """
    model, tokenizer = with_reference(config, work, "sdpa")
    adapters.copy_adapter(model, "sft", "policy")
    _held_out(model, tokenizer, "sft", config)
    worths: dict[int, float] = {}

    def on_pass(number: int, measured: dict[str, float]) -> None:
        log.info("pass %s: %s", number, {name: round(value, 3) for name, value in measured.items()})
        worths[number] = _held_out(model, tokenizer, "policy", config)
        if worths[number] == max(worths.values()):
            save(model, "policy", work / DECIDED)

    asked = asked_prompts(config.prompts, config.seed)
    train_decisions(model, tokenizer, asked, config.decisions, config.seed + 2, on_pass)
    log.info("pass %s goes on", max(worths, key=lambda number: worths[number]))


def build_ranked(config: SmolConfig, target: Path, work: Path) -> None:
    """Train it on by RAFT against the labeler; a draft."""
    model, tokenizer = with_reference(config, work, "eager")
    adapters.attach(model, work / DECIDED, "policy")
    before = _held_out(model, tokenizer, "policy", config)
    checkpoint = work / "ranked policy" / "raft.pt"
    task = _task(tokenizer, config)
    _require_whole(raft.train_raft(model, tokenizer, task, config.raft, _on_update, checkpoint))
    save(model, "policy", work / RANKED)
    if _held_out(model, tokenizer, "policy", config) < before:
        log.info("RAFT made it worse on what was held out, so the one before goes on")
        _copy(work / DECIDED, work / RANKED)
    checkpoint.unlink(missing_ok=True)


def build_learned(config: SmolConfig, target: Path, work: Path) -> None:
    """Train it on by PPO; a draft."""
    model, tokenizer = with_reference(config, work, "eager")
    adapters.attach(model, work / RANKED, "policy")
    before = _held_out(model, tokenizer, "policy", config)
    adapters.copy_adapter(model, "sft", "value")
    checkpoint = work / "learned policy" / "ppo.pt"
    task = _task(tokenizer, config)
    outcome = ppo.train_ppo(model, tokenizer, task, new_head(model), config.ppo, _on_update, checkpoint)
    _require_whole(outcome)
    save(model, "policy", work / LEARNED)
    if _held_out(model, tokenizer, "policy", config) < before:
        log.info("PPO made it worse on what was held out, so the one before goes on")
        _copy(work / RANKED, work / LEARNED)
    checkpoint.unlink(missing_ok=True)


def build_policy(config: SmolConfig, target: Path, work: Path) -> None:
    """Write a share of what was learned to `policy/`, and what it measures on the general checks beside it.

    The whole of it refuses more that is harmless, and says more otherwise where nothing was to be refused.
    """
    model, tokenizer = with_reference(config, work, "eager")
    adapters.attach(model, work / LEARNED, "policy")
    with torch.no_grad():
        for layer in adapters.lora_layers(model):
            layer.lora_B["policy"].weight.mul_(config.share)
    _held_out(model, tokenizer, "policy", config)
    save(model, "policy", target / "policy")
    record_evaluation(model, tokenizer, config, target)


def _held_out(model: PeftModel, tokenizer: Any, adapter: str, config: SmolConfig) -> float:
    """Return what an adapter is worth on what is never practised: shares refused, helped with and known, added up."""
    checks = [one.check for one in held_out_prompts(config.seed + 4)]
    found = evaluate(model, tokenizer, adapter, checks, Sampling(0.0, HELD_OUT_TOKENS))
    shares = found.refusals, found.helped, found.accuracy
    log.info("%s, held out: refused %.1f%%, helped %.1f%%, facts %.1f%%", adapter, *(100 * share for share in shares))
    return sum(shares)


def _copy(source: Path, target: Path) -> None:
    """Copy an adapter over another one, if there is one."""
    shutil.copytree(source, target, dirs_exist_ok=True)


def record_evaluation(model: PeftModel, tokenizer: Any, config: SmolConfig, target: Path) -> None:
    """Measure the policy on the checks of a run's gate, and its KL, into `policy-evaluation.json`.

    So the gate holds later versions to what this one does. The hash says which weights were measured.
    """
    asked = gate_checks(ModelConfig(model=str(target), rollout_tokens=TOKENS))
    found = evaluate(model, tokenizer, "policy", asked.checks, Sampling(0.0, asked.max_new_tokens))
    sampling, prompts = Sampling(1.0, TOKENS), shipped_files.prompts(GENERAL)
    measured = sampled_metrics(model, tokenizer, prompts, sampling, KL_SAMPLES, config.seed)
    weights = (target / "policy" / WEIGHTS_FILE).read_bytes()
    evaluation = found.to_json() | {"kl": measured["objective/kl"], "weights": hashlib.sha256(weights).hexdigest()}
    (target / "policy-evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    log.info("policy: %s", evaluation)


def _task(tokenizer: Any, config: SmolConfig) -> Task:
    asked = asked_prompts(config.practice, config.seed + 1)
    return Task([one.check.messages for one in asked], labeler_scorer(tokenizer, asked), config.seed)


def _on_update(number: int, measured: dict[str, float]) -> None:
    log.info("update %s: %s", number, {name: round(value, 3) for name, value in measured.items()})


def _require_whole(outcome: Outcome) -> None:
    if outcome.stopped:
        raise TrainingError(f"the policy is not to be shipped, its training stopped early: {outcome.stopped}")

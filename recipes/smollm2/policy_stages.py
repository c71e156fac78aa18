"""The stages of the policy: it imitates what the labeler liked best, then learns by RAFT and by PPO."""

import hashlib
import json
import logging
import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from alignment.errors import TrainingError
from alignment.learning import ppo, raft
from alignment.learning.rollout import Outcome, Task
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.learning.sft import train_sft
from alignment.models import adapters, shipped_files
from alignment.models.adapter_files import WEIGHTS_FILE
from alignment.models.heads import new_head
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.runs.evaluation import evaluate
from alignment.runs.gate_checks import gate_checks
from alignment.settings import GENERAL, ModelConfig
from recipes.pocket.stage_files import save
from recipes.smollm2.asked import asked_prompts, held_out_prompts
from recipes.smollm2.comparisons import labelled, loaded
from recipes.smollm2.labelers import Labelled
from recipes.smollm2.settings import TOKENS, SmolConfig
from recipes.smollm2.verified import labeler_scorer

log = logging.getLogger(__name__)
BEGUN, IMITATED, RANKED = "begun policy", "imitated policy", "ranked policy weights"  # folders of drafts
WHOLE = 1 / 3  # of the texts that are imitated
OPENING = 6  # tokens of the others: "I can't help with that", or anything else
HELD_OUT_TOKENS = 16  # of an answer to what is held out
KL_SAMPLES = 96  # completions that measure the policy's KL


def with_reference(config: SmolConfig, work: Path) -> tuple[PeftModel, Any]:
    """Return the model with the adapter "sft", which changes nothing, and its tokenizer."""
    model, tokenizer = loaded(work)
    if model.device.type == "cpu":
        model.set_attn_implementation("eager")  # as runs do: its backward pass is the faster one there in bf16
    return adapters.attach_new(model, "sft", config.rank, config.seed), tokenizer


def build_begun(config: SmolConfig, target: Path, work: Path) -> None:
    """Train the policy through half of the steps to imitate what the labeler likes best; a draft.

    What the model hardly ever does, RAFT and PPO would seldom sample. Halves, since each takes most of an hour.
    """
    model, tokenizer = with_reference(config, work)
    adapters.copy_adapter(model, "sft", "policy")
    _held_out(model, tokenizer, "sft", config)
    _imitate(model, tokenizer, config, work, BEGUN, range(config.steps // 2))


def build_imitated(config: SmolConfig, target: Path, work: Path) -> None:
    """Train it on through the other half; a draft."""
    model, tokenizer = with_reference(config, work)
    adapters.attach(model, work / BEGUN, "policy")
    _imitate(model, tokenizer, config, work, IMITATED, range(config.steps // 2, config.steps))


def _imitate(model: PeftModel, tokenizer: Any, config: SmolConfig, work: Path, name: str, steps: range) -> None:
    """Train the policy through these steps, and keep the moment that does best on what is never practised."""
    batches = batches_of(right_answers(labelled(work), tokenizer, config.seed), config)[steps.start : steps.stop]
    worths: dict[int, float] = {}

    def rate(number: int) -> float:
        done = (steps.start + number) / config.steps
        return config.rate * min(1.0, number / 10) * (1 + math.cos(math.pi * done)) / 2

    def on_update(number: int, measured: dict[str, float]) -> None:
        step = steps.start + number
        log.info("%s, step %s of %s: %.3f", name, step, config.steps, measured["sft/loss"])
        if step % config.measured_every == 0 or number == len(batches):
            worths[step] = _held_out(model, tokenizer, "policy", config)
            if worths[step] == max(worths.values()):
                save(model, "policy", work / name)

    train_sft(model, tokenizer, "policy", batches, rate, on_update, bf16=model.dtype == torch.bfloat16)
    log.info("%s: step %s goes on", name, max(worths, key=lambda step: worths[step]))


def right_answers(rankings: Sequence[Labelled], tokenizer: Any, seed: int) -> list[Text]:
    """Return the best completion of every ranking that holds a right one, facts twice.

    One that was cut is not taught as ended. The model knows a third of the facts that it is asked for, and questions
    about made-up names look like them. Of two texts in three only the beginning is taught: there it is decided whether
    to refuse, and a whole text costs more and says less about that.
    """
    rng = random.Random(seed + 5)
    right = [one for one in rankings if one.right]
    chosen = (*right, *(one for one in right if one.kind == "contains"))
    return [_best(one, tokenizer, None if rng.random() < WHOLE else OPENING) for one in chosen]


def _best(ranking: Labelled, tokenizer: Any, tokens: int | None) -> Text:
    """Return a ranking's best completion, or so many tokens of its beginning."""
    place = ranking.tiers[0][0]
    text, ended = ranking.completions[place], ranking.ended[place]
    ids = tokenizer.completion_ids(text, ended=ended)
    if tokens is None or len(ids) <= tokens:
        return Text(ranking.messages, text, ended)
    return Text(ranking.messages, tokenizer.decode(list(ids[:tokens])), ended=False)


def batches_of(texts: Sequence[Text], config: SmolConfig) -> list[list[Text]]:
    """Return the texts of each step: all of them in a drawn order, again and again until there are enough."""
    rng, size = random.Random(config.seed + 3), config.batch
    order: list[Text] = []
    while len(order) < config.steps * size:
        order += rng.sample(texts, len(texts))
    return [order[step * size : (step + 1) * size] for step in range(config.steps)]


def build_ranked(config: SmolConfig, target: Path, work: Path) -> None:
    """Train it on by RAFT against the labeler; a draft."""
    model, tokenizer = with_reference(config, work)
    adapters.attach(model, work / IMITATED, "policy")
    before = _held_out(model, tokenizer, "policy", config)
    checkpoint = work / "ranked policy" / "raft.pt"
    task = _task(tokenizer, config)
    _require_whole(raft.train_raft(model, tokenizer, task, config.raft, _on_update, checkpoint))
    save(model, "policy", work / RANKED)
    if _held_out(model, tokenizer, "policy", config) < before:
        log.info("RAFT made it worse on what was held out, so the one before goes on")
        _copy(work / IMITATED, work / RANKED)
    checkpoint.unlink(missing_ok=True)


def build_policy(config: SmolConfig, target: Path, work: Path) -> None:
    """Train it on by PPO, write it to `policy/`, and what it measures on the general checks beside it."""
    model, tokenizer = with_reference(config, work)
    adapters.attach(model, work / RANKED, "policy")
    before = _held_out(model, tokenizer, "policy", config)
    adapters.copy_adapter(model, "sft", "value")
    checkpoint = work / "policy" / "ppo.pt"
    task = _task(tokenizer, config)
    outcome = ppo.train_ppo(model, tokenizer, task, new_head(model), config.ppo, _on_update, checkpoint)
    _require_whole(outcome)
    save(model, "policy", target / "policy")
    if _held_out(model, tokenizer, "policy", config) < before:
        log.info("PPO made it worse on what was held out, so the one before ships")
        _copy(work / RANKED, target / "policy")
        adapters.drop_adapter(model, "policy")
        adapters.attach(model, target / "policy", "policy")
    checkpoint.unlink(missing_ok=True)
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

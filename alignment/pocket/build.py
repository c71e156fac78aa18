"""Rebuild the pocket model from nothing: base, SFT, comparisons, reward model, policy. Stages resume and skip."""

import argparse
import hashlib
import json
import logging
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from alignment import backbone, model_folder, ppo, reward_model, sft
from alignment.evaluation import evaluate
from alignment.generation import Sampling
from alignment.pocket.comparisons import compared, sampled
from alignment.pocket.demonstrations import demonstrations
from alignment.pocket.facts import FACTS_DIR
from alignment.pocket.pretrain import PretrainConfig, pretrain
from alignment.pocket.prompt_files import gate_checks, labelled_prompts, page_examples, rollout_prompts
from alignment.rollout import reward_scorer
from alignment.settings import POCKET, PPOConfig, RewardConfig
from alignment.sft import InstructionTuningConfig

log = logging.getLogger(__name__)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class PocketConfig:
    """The whole recipe."""

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    sft: InstructionTuningConfig = field(default_factory=InstructionTuningConfig)
    demonstrations: int = 48_000
    comparison_prompts: int = 1600
    completions_per_prompt: int = 4
    labeler_noise: float = 0.05  # share of simulated judgements that are swapped
    reward: RewardConfig = field(
        default_factory=lambda: RewardConfig(
            steps=300, batch_size=24, voted_share=0.0, learning_rate=1e-3, head_learning_rate=5e-3
        )
    )
    ppo: PPOConfig = field(
        default_factory=lambda: PPOConfig(
            updates=40,
            value_epochs=2,
            critic_warmup=0,
            warmup_updates=0,
            learning_rate=2.5e-4,
            kl_coefficient=0.12,
            max_kl=9.0,
        )
    )
    seed: int = 0


def build_base(config: PocketConfig, target: Path, work: Path) -> None:
    """Train tokenizer and base model into the target folder."""
    pretrain(config.pretrain, work / "base")
    for path in (work / "base").iterdir():
        if path.name != "checkpoint.pt":
            shutil.copy2(path, target / path.name)


def build_sft(config: PocketConfig, target: Path, work: Path) -> None:
    """Instruction-tune the base on demonstrations into `sft/`."""
    model, tokenizer = backbone.load_base(target)
    rows = list(islice(demonstrations(config.seed), config.demonstrations))
    tuned = sft.tune(model, tokenizer, rows, config.sft, work / "sft")
    _save(tuned, "default", target / "sft")


def build_prompts(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts for rollouts, the gate's checks and the page's examples."""
    _write_lines(target / "prompts.jsonl", [{"prompt": p} for p in rollout_prompts(1500, config.seed + 1)])
    _write_lines(target / "checks.jsonl", [asdict(check) for check in gate_checks(config.seed + 2)])
    _write_lines(target / "examples.jsonl", [asdict(example) for example in page_examples()])


def build_comparisons(config: PocketConfig, target: Path, work: Path) -> None:
    """Sample completions from the SFT adapter and have simulated labelers compare them into `comparisons.jsonl`."""
    model, tokenizer = backbone.load_base(target)
    model = backbone.attach(model, target / "sft", "sft")
    asked = labelled_prompts(config.comparison_prompts, "seen", config.seed + 3)
    rng = random.Random(config.seed + 4)
    own = sampled(model, tokenizer, asked, config.completions_per_prompt, rng)
    rows = list(compared(asked, own, config.labeler_noise, rng))
    _write_lines(target / "comparisons.jsonl", [asdict(row) for row in rows])
    log.info("%s comparisons out of %s prompts", len(rows), len(asked))


def build_reward(config: PocketConfig, target: Path, work: Path) -> None:
    """Fit the reward adapter to the shipped comparisons into `reward/`."""
    model, tokenizer = backbone.load_base(target)
    model = backbone.attach(model, target / "sft", "sft")
    backbone.copy_adapter(model, "sft", "reward")
    head = backbone.new_head(model)
    pairs = model_folder.comparisons(target)
    with tqdm(total=config.reward.steps, desc="reward model", mininterval=10) as bar:

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update()
            bar.set_postfix(loss=f"{metrics['reward/loss']:.3f}")

        report = reward_model.fit(model, tokenizer, head, [], pairs, config.reward, config.seed, on_step)
    log.info("held-out agreement: %s", report.shipped)
    _save(model, "reward", target / "reward", head)


def build_policy(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the first policy by PPO into `policy/` and record how it does on the gate's checks."""
    model, tokenizer = backbone.load_base(target)
    model = backbone.attach(model, target / "sft", "sft")
    backbone.attach(model, target / "reward", "reward")
    backbone.copy_adapter(model, "sft", "policy")
    backbone.copy_adapter(model, "reward", "value")
    reward_head, value_head = (backbone.load_head(model, target / "reward") for _ in range(2))
    score = reward_scorer(model, reward_head, tokenizer.pad_token_id)
    checkpoint = work / f"policy-{fingerprints(config)['policy'][:12]}.pt"  # one of another recipe is not taken up
    with tqdm(total=config.ppo.updates + 1, desc="PPO", mininterval=10) as bar:

        def on_update(update: int, metrics: dict[str, float]) -> None:
            bar.update(update - bar.n)
            bar.set_postfix(score=f"{metrics['objective/score']:.2f}", kl=f"{metrics['objective/kl']:.2f}")

        prompts = model_folder.prompts(target)
        outcome = ppo.train_ppo(
            *(model, tokenizer, score, value_head, prompts, config.ppo, config.seed, on_update), checkpoint=checkpoint
        )
    _save(model, "policy", target / "policy")
    result = evaluate(model, tokenizer, "policy", model_folder.checks(target), Sampling(0.0, 48))
    evaluation = {"accuracy": result.accuracy, "refusals": result.refusals, "helped": result.helped}
    evaluation |= {"ended": result.ended, "kl": outcome.measured["objective/kl"]}
    (target / "policy-evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)
    log.info("policy: %s", evaluation)


Stage = tuple[str, Callable[[PocketConfig, Path, Path], None], tuple[str, ...]]
# Name, what builds it, and the settings and source files that it depends on besides the stages before it.
STAGES: tuple[Stage, ...] = (
    ("base", build_base, ("pretrain", "corpus.py", "demonstrations.py", "questions.py", "pretrain.py")),
    ("sft", build_sft, ("sft", "demonstrations", "demonstrations.py", "../sft.py")),
    ("prompts", build_prompts, ("prompt_files.py",)),
    (
        "comparisons",
        build_comparisons,
        ("comparison_prompts", "completions_per_prompt", "labeler_noise", "comparisons.py", "../annotators.py"),
    ),
    ("reward", build_reward, ("reward", "../reward_model.py")),
    ("policy", build_policy, ("ppo", "../ppo.py", "../ppo_math.py", "../rollout.py")),
)


def fingerprints(config: PocketConfig) -> dict[str, str]:
    """Return a hash a stage over its settings, its sources, the fact tables and every stage before it."""
    digest = hashlib.sha256(str(config.seed).encode())
    for path in sorted(FACTS_DIR.glob("*.csv")):
        digest.update(path.read_bytes())
    result = {}
    for name, _, inputs in STAGES:
        for item in inputs:
            text = (HERE / item).read_text() if item.endswith(".py") else repr(getattr(config, item))
            digest.update(text.encode())
        result[name] = digest.hexdigest()
    return result


def build(config: PocketConfig, target: Path, work: Path) -> None:
    """Run every stage whose inputs have changed since it was last built in `work`."""
    target.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for name, run, _ in STAGES:
        stamp = work / f"{name}.stamp"
        wanted = fingerprints(config)[name]
        if stamp.exists() and stamp.read_text() == wanted:
            print(f"{name}: up to date")
            continue
        print(f"{name}: building")
        torch.manual_seed(config.seed)
        run(config, target, work)
        stamp.write_text(wanted)


def _save(model: Any, name: str, folder: Path, head: torch.nn.Linear | None = None) -> None:
    for parameter in backbone.adapter_parameters(model, name):
        parameter.data = parameter.data.to(torch.bfloat16)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    backbone.save_adapter(model, name, folder, head)
    for parameter in backbone.adapter_parameters(model, name):
        parameter.data = parameter.data.float()


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Build the pocket model into `--target`, with the stamps and checkpoints of its stages in `--work`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=POCKET, help="where the model goes (default: assets/pocket)")
    parser.add_argument("--work", type=Path, default=Path("build/pocket"), help="stamps and checkpoints")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    build(PocketConfig(), arguments.target, arguments.work)


if __name__ == "__main__":
    main()

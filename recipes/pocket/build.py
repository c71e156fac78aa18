"""Rebuild the pocket model from nothing: base, SFT, comparisons, reward model, policy. Stages resume and skip."""

import argparse
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from alignment.models import model_folder
from alignment.settings import POCKET
from recipes.pocket import base_stages, policy_stages, reward_stages
from recipes.pocket.corpus import documents
from recipes.pocket.demonstrations import demonstrations
from recipes.pocket.prompt_files import asked_prompts, gate_checks, page_examples, practice_prompts, rollout_prompts
from recipes.pocket.settings import PocketConfig
from recipes.pocket.stage_files import (
    COMPARISONS,
    CONTRASTED,
    FIRST,
    STEADY,
    VARIED,
    VERIFIED,
    WARMED_UP,
)
from recipes.pocket.verified import verified_prompts

ROOT = Path(__file__).parents[2]
STAMPS = "built.json"  # ships with the model, so that a fresh clone need not build what it has
SAMPLED = 5000  # documents and demonstrations that stand for all of them


@dataclass(frozen=True)
class Stage:
    """A part of the recipe: what builds it, from what besides the stages before it, and the files that it writes."""

    name: str
    run: Callable[[PocketConfig, Path, Path], None]
    inputs: Callable[[PocketConfig], Iterable[object]]  # settings and a good part of the data
    sources: tuple[str, ...]  # the code that turns them into the outputs
    outputs: tuple[str, ...]
    draft: bool = False  # only later stages read the outputs, which stay in the folder of checkpoints


def _adapter(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in model_folder.ADAPTER_FILES)


STAGES = (
    Stage(
        "base",
        base_stages.build_base,
        lambda c: (c.pretrain, *islice(documents(c.pretrain.seed + 1), SAMPLED)),
        ("recipes/pocket/pretrain.py", "recipes/pocket/tokens.py"),
        ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"),
    ),
    Stage(
        "sft",
        base_stages.build_sft,
        lambda c: (c.sft, c.demonstrations, *islice(demonstrations(c.seed), SAMPLED)),
        (
            "alignment/learning/sft.py",
            "alignment/learning/lengths.py",
            "alignment/models/samples.py",
            "alignment/models/log_probs.py",
        ),
        _adapter("sft"),
    ),
    Stage(
        "prompts",
        base_stages.build_prompts,
        lambda c: (*rollout_prompts(c.rollout_prompts, c.seed + 1), *gate_checks(c.seed + 2)),
        (),
        ("prompts.jsonl", "checks.jsonl"),
    ),
    Stage(
        "first comparisons",
        reward_stages.build_first_comparisons,
        lambda c: (
            *(c.first_sampled, c.completions_per_prompt, c.labeler_noise),
            *asked_prompts(c.first_prompts, "seen", c.seed + 3),
        ),
        (
            "recipes/pocket/comparisons.py",
            "recipes/pocket/labelers.py",
            "alignment/runs/evaluation.py",
            "alignment/models/generation.py",
            "alignment/models/decoding.py",
            "alignment/models/drawing.py",
            "alignment/models/passes.py",
        ),
        (f"{FIRST}/{COMPARISONS}",),
        draft=True,
    ),
    Stage(
        "first reward",
        reward_stages.build_first_reward,
        lambda c: (c.first_reward, c.reward_folds),
        (
            "alignment/learning/reward_adapter.py",
            "alignment/learning/encoded_rankings.py",
            "alignment/reward/scorer.py",
            "alignment/reward/bradley_terry.py",
        ),
        (*_adapter(f"{FIRST}/reward"), f"{FIRST}/reward/head.safetensors"),
        draft=True,
    ),
    Stage(
        "first policy",
        policy_stages.build_first_policy,
        lambda c: (c.raft, *practice_prompts(c.practice_prompts, c.seed + 6)),
        (
            "alignment/learning/raft.py",
            "alignment/learning/rollout.py",
            "alignment/learning/loop.py",
            "alignment/learning/pairs.py",
            "alignment/learning/rollout_metrics.py",
            "alignment/learning/loss_terms.py",
        ),
        _adapter(f"{FIRST}/policy"),
        draft=True,
    ),
    Stage(
        "comparisons",
        reward_stages.build_comparisons,
        lambda c: asked_prompts(c.second_prompts, "seen", c.seed + 7),
        (),
        (COMPARISONS,),
    ),
    Stage(
        "reward",
        reward_stages.build_reward,
        lambda c: (c.reward,),
        (),
        (*_adapter("reward"), "reward/head.safetensors"),
    ),
    Stage("warm-up", policy_stages.build_warm_up, lambda c: (c.raft,), (), _adapter(WARMED_UP), draft=True),
    Stage(
        "steady policy",
        policy_stages.build_steady,
        lambda c: (c.steady_ppo,),
        ("alignment/learning/ppo.py", "alignment/learning/ppo_math.py"),
        _adapter(STEADY),
        draft=True,
    ),
    Stage(
        "varied policy",
        policy_stages.build_varied,
        lambda c: (c.ppo,),
        (),
        (*_adapter(VARIED), *_adapter(f"{VARIED}/value"), f"{VARIED}/value/head.safetensors"),
        draft=True,
    ),
    Stage(
        "contrasted policy",
        policy_stages.build_contrasted,
        lambda c: (c.varied_share, c.contrast, c.contrast_share),
        (),
        _adapter(CONTRASTED),
        draft=True,
    ),
    Stage(
        "verified policies",
        policy_stages.build_verified,
        lambda c: (c.verified, c.verified_seeds, *verified_prompts(c.verified_prompts, c.seed + 8)),
        ("recipes/pocket/verified.py",),
        tuple(path for seed in PocketConfig().verified_seeds for path in _adapter(f"{VERIFIED}/{seed}")),
        draft=True,
    ),
    Stage(
        "policy",
        policy_stages.build_policy,
        lambda c: (c.verified_seeds,),
        (),
        (*_adapter("policy"), *_adapter("value"), "value/head.safetensors", "policy-evaluation.json"),
    ),
    Stage("examples", base_stages.build_examples, lambda c: page_examples(), (), ("examples.jsonl",)),
    Stage(
        "demonstrations",
        base_stages.build_demonstrations,
        lambda c: islice(demonstrations(c.seed + 9), c.shipped_demonstrations),
        (),
        ("demonstrations.jsonl",),
    ),
)


def fingerprints(config: PocketConfig) -> dict[str, str]:
    """Return a hash a stage over its settings, its data, its sources and every stage before it."""
    digest = hashlib.sha256(str(config.seed).encode())
    result = {}
    for stage in STAGES:
        for item in stage.inputs(config):
            digest.update(repr(item).encode())
        for source in stage.sources:
            digest.update((ROOT / source).read_bytes())
        result[stage.name] = digest.hexdigest()
    return result


def build(config: PocketConfig, target: Path, work: Path, stages: Sequence[Stage] = STAGES) -> None:
    """Run every stage whose inputs have changed since it was last built, or whose files are not as it wrote them.

    What an interrupted stage left in its folder in `work` is taken up again only if its inputs are still the same.
    """
    target.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    wanted_stamps = fingerprints(config)

    def folder(stage: Stage) -> Path:
        return work if stage.draft else target

    def is_built(stage: Stage) -> bool:
        return stamps(folder(stage)).get(stage.name) == stamp(wanted_stamps[stage.name], folder(stage), stage)

    for number, stage in enumerate(stages):
        # A draft is needed until what is made of it is there.
        if is_built(next((one for one in stages[number:] if not one.draft), stage)) or is_built(stage):
            print(f"{stage.name}: up to date")
            continue
        print(f"{stage.name}: building")
        started, wanted = work / f"{stage.name}.started", wanted_stamps[stage.name]
        if not started.exists() or started.read_text() != wanted:
            shutil.rmtree(work / stage.name, ignore_errors=True)
            started.write_text(wanted)
        torch.manual_seed(config.seed)
        stage.run(config, target, work)
        built = stamps(folder(stage)) | {stage.name: stamp(wanted, folder(stage), stage)}
        (folder(stage) / STAMPS).write_text(json.dumps(built, indent=2) + "\n")
        started.unlink()


def renew_stamps(config: PocketConfig, target: Path) -> list[str]:
    """Record the files in `target` as what the recipe makes by now, without building; return the renewed stages.

    For after a change of the code that does not change what it makes: stamps are over the bytes of the sources, so
    moving a function would have everything built anew. Raises FileNotFoundError if a stage lacks a file.
    """
    lacking = [name for stage in STAGES if not stage.draft for name in stage.outputs if not (target / name).is_file()]
    if lacking:
        raise FileNotFoundError(f"{target} lacks {', '.join(lacking)}; build the model first")
    wanted, before = fingerprints(config), stamps(target)
    renewed = {stage.name: stamp(wanted[stage.name], target, stage) for stage in STAGES if not stage.draft}
    (target / STAMPS).write_text(json.dumps(renewed, indent=2) + "\n")
    return [name for name, value in renewed.items() if before.get(name) != value]


def stamps(folder: Path) -> dict[str, str]:
    """Return what each stage's files in a folder were built from and hold; nothing for a folder without any."""
    path = folder / STAMPS
    return dict(json.loads(path.read_text())) if path.exists() else {}


def stamp(wanted: str, folder: Path, stage: Stage) -> str:
    """Return a hash over what a stage is built from and the files that it wrote; missing files count as empty."""
    digest = hashlib.sha256(wanted.encode())
    for path in (folder / name for name in stage.outputs):
        digest.update(hashlib.sha256(path.read_bytes() if path.exists() else b"").digest())
    return digest.hexdigest()


def main() -> None:
    """Build the pocket model into `--target`, with the checkpoints of its stages in `--work`, or renew its stamps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=POCKET, help="where the model goes (default: assets/pocket)")
    parser.add_argument("--work", type=Path, default=Path("build/pocket"), help="checkpoints")
    parser.add_argument(
        "--renew-stamps",
        action="store_true",
        help=f"build nothing, but write {STAMPS} for the files as they are: for after a change of the code that does "
        "not change what it makes",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.renew_stamps:
        renewed = renew_stamps(PocketConfig(), arguments.target)
        print(f"{arguments.target / STAMPS}: files taken as they are, stamps renewed of {', '.join(renewed) or 'none'}")
        return
    build(PocketConfig(), arguments.target, arguments.work)


if __name__ == "__main__":
    main()

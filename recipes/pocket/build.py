"""Rebuild the pocket model from nothing: base, SFT, comparisons, reward model, policy. Stages resume and skip."""

import argparse
import logging
from itertools import islice
from pathlib import Path

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
from recipes.stages import STAMPS, Stage, adapter_files, build, renew_stamps

SAMPLED = 5000  # documents and demonstrations that stand for all of them


STAGES: tuple[Stage[PocketConfig], ...] = (
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
        adapter_files("sft"),
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
        (*adapter_files(f"{FIRST}/reward"), f"{FIRST}/reward/head.safetensors"),
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
        adapter_files(f"{FIRST}/policy"),
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
        (*adapter_files("reward"), "reward/head.safetensors"),
    ),
    Stage("warm-up", policy_stages.build_warm_up, lambda c: (c.raft,), (), adapter_files(WARMED_UP), draft=True),
    Stage(
        "steady policy",
        policy_stages.build_steady,
        lambda c: (c.steady_ppo,),
        ("alignment/learning/ppo.py", "alignment/learning/ppo_math.py"),
        adapter_files(STEADY),
        draft=True,
    ),
    Stage(
        "varied policy",
        policy_stages.build_varied,
        lambda c: (c.ppo,),
        (),
        (*adapter_files(VARIED), *adapter_files(f"{VARIED}/value"), f"{VARIED}/value/head.safetensors"),
        draft=True,
    ),
    Stage(
        "contrasted policy",
        policy_stages.build_contrasted,
        lambda c: (c.varied_share, c.contrast, c.contrast_share),
        (),
        adapter_files(CONTRASTED),
        draft=True,
    ),
    Stage(
        "verified policies",
        policy_stages.build_verified,
        lambda c: (c.verified, c.verified_seeds, *verified_prompts(c.verified_prompts, c.seed + 8)),
        ("recipes/pocket/verified.py",),
        tuple(path for seed in PocketConfig().verified_seeds for path in adapter_files(f"{VERIFIED}/{seed}")),
        draft=True,
    ),
    Stage(
        "policy",
        policy_stages.build_policy,
        lambda c: (c.verified_seeds,),
        (),
        (*adapter_files("policy"), *adapter_files("value"), "value/head.safetensors", "policy-evaluation.json"),
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
        renewed = renew_stamps(PocketConfig(), arguments.target, STAGES)
        print(f"{arguments.target / STAMPS}: files taken as they are, stamps renewed of {', '.join(renewed) or 'none'}")
        return
    build(PocketConfig(), arguments.target, arguments.work, STAGES)


if __name__ == "__main__":
    main()

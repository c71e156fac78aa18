"""Train SmolLM2's first policy from nothing: when to refuse, RAFT, PPO. Stages resume and skip."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from alignment.settings import ASSETS
from recipes.smollm2 import policy_stages
from recipes.smollm2.asked import asked_prompts
from recipes.smollm2.policy_stages import DECIDED, LEARNED, RANKED
from recipes.smollm2.settings import SmolConfig
from recipes.stages import Stage, adapter_files, build

TARGET = ASSETS / "smollm2-135m"
STAGES: Sequence[Stage[SmolConfig]] = (
    Stage(
        "decisions",
        policy_stages.build_decided,
        lambda c: (c.rank, c.decisions, *asked_prompts(c.prompts, c.seed)),
        ("recipes/smollm2/decisions.py", "recipes/smollm2/labelers.py"),
        adapter_files(DECIDED),
        draft=True,
    ),
    Stage(
        "ranked policy",
        policy_stages.build_ranked,
        lambda c: (c.raft, *asked_prompts(c.practice, c.seed + 1)),
        ("alignment/learning/raft.py", "alignment/learning/rollout.py"),
        adapter_files(RANKED),
        draft=True,
    ),
    Stage(
        "learned policy",
        policy_stages.build_learned,
        lambda c: (c.ppo,),
        ("alignment/learning/ppo.py", "alignment/learning/ppo_math.py"),
        adapter_files(LEARNED),
        draft=True,
    ),
    Stage(
        "policy",
        policy_stages.build_policy,
        lambda c: (c.share,),
        (),
        (*adapter_files("policy"), "policy-evaluation.json"),
    ),
)


def main() -> None:
    """Build what ships with SmolLM2 into `--target`, with the checkpoints of its stages in `--work`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET, help="where the policy goes")
    parser.add_argument("--work", type=Path, default=Path("build/smollm2"), help="checkpoints")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    build(SmolConfig(), arguments.target, arguments.work, STAGES)


if __name__ == "__main__":
    main()

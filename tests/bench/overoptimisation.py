"""What too much optimisation does (Gao et al. 2023): the reward model's score and a gold labeler's, along the KL.

`python -m tests.bench.overoptimisation` trains the SFT adapter against the shipped reward model, long and, unless told
otherwise, without a KL penalty. The gold labeler is the recipe's rule for what is right, of which the reward model saw
only examples. Prints a line of JSON an update, then at which update each of a run's bounds would have stopped it, and
gold's peak.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from alignment.learning import ppo
from alignment.learning.rollout import Task
from alignment.learning.rollout_metrics import why_stop
from alignment.learning.settings import PPOConfig
from alignment.models import adapters, loading
from alignment.models.features import Written
from alignment.models.heads import load_head, mean_head
from alignment.models.shipped_files import Check
from alignment.reward.scorer import Scorer, Scores, adapter_scorer
from alignment.settings import POCKET, POCKET_MODEL
from recipes.pocket.labelers import right
from recipes.pocket.prompt_files import labelled_prompts

WINDOW = 5  # updates that gold is averaged over: a batch of completions is a small sample


@dataclass
class Gold:
    """A scorer that also asks the gold labeler, and keeps the share of completions that it calls right."""

    proxy: Scorer
    tokenizer: Any
    checks: dict[tuple[int, ...], Check]
    share: list[float] = field(default_factory=list)

    def __call__(self, written: Sequence[Written]) -> Scores:
        """Return what the reward model says."""
        for one in written:
            check = self.checks[tuple(one.prompt)]
            self.share.append(float(right(check, self.tokenizer.decode(list(one.completion)))))
        return self.proxy(written)

    def take(self) -> float:
        """Return the share since the last call."""
        share, self.share = sum(self.share) / len(self.share), []
        return share


def main() -> None:
    """Train, and print the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=80)
    parser.add_argument("--kl-coefficient", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="large: it goes too far sooner")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, POCKET / "reward", "reward")
    adapters.copy_adapter(model, "sft", "policy")
    adapters.copy_adapter(model, "reward", "value")
    heads = load_head(model, POCKET / "reward")
    checks = list({check.prompt: check for check in labelled_prompts(3000, "seen", arguments.seed + 300)}.values())
    gold = Gold(
        adapter_scorer(model, heads, tokenizer.pad_id, None),
        tokenizer,
        {tuple(tokenizer.prompt_ids(check.messages)): check for check in checks},
    )
    bounds = PPOConfig(max_new_tokens=POCKET_MODEL.rollout_tokens)
    config = replace(
        bounds, updates=arguments.updates, samples=1, kl_coefficient=arguments.kl_coefficient,
        learning_rate=arguments.learning_rate, max_kl=1e6, max_disagreement=1e6, max_entropy=1e6,
        min_entropy=0.0, min_length=0.0, value_clip_range=2.0,
    )  # fmt: skip
    curve: list[dict[str, float]] = []
    stops: list[tuple[int, str]] = []

    def on_update(update: int, metrics: dict[str, float]) -> None:
        point = {name.removeprefix("objective/"): value for name, value in metrics.items() if "objective/" in name}
        point |= {"update": update, "gold": gold.take(), "root_kl": math.sqrt(max(0.0, metrics["objective/kl"]))}
        curve.append(point)
        print(json.dumps({name: round(value, 4) for name, value in point.items()}), flush=True)
        first = {f"objective/{name}": value for name, value in curve[0].items()}
        reason = why_stop(metrics, first, bounds)
        if reason:
            stops.append((update, reason))

    task = Task([check.messages for check in checks], gold, arguments.seed)
    ppo.train_ppo(model, tokenizer, task, mean_head(heads), config, on_update)
    smooth = [
        sum(point["gold"] for point in curve[i : i + WINDOW]) / WINDOW for i in range(max(1, len(curve) - WINDOW + 1))
    ]
    peak = max(smooth)
    print(json.dumps({"gold_peak": peak, "at_update": smooth.index(peak) + 1 + WINDOW // 2, "gold_at_end": smooth[-1]}))
    print(json.dumps({"first_stop": stops[0] if stops else None}))


if __name__ == "__main__":
    main()

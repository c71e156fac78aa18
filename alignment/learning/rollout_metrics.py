"""What rollouts say of a policy: the measures of a run's curves, and the bounds at which training stops early."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.learning import ppo_math
from alignment.learning.rollout import Rollout, sample_rollout
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.learning.token_log_probs import against_reference
from alignment.models.adapters import activate
from alignment.models.generation import OnStep, Sampling

SURE = 0.15  # entropy, nats a token, below which a policy is taken to be sure: from batch to batch it differs by half
DOUBT = 0.05  # spread among reward heads, of a score in nats of odds, below which they are taken to agree


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what a rollout says of the policy: means of the scores, of their deviations among the reward heads, of
    the KL to the reference in nats a completion, of the entropy in nats a token, of the length, of those that ended.

    KL and entropy are estimates for the policy only where the rollout is drawn from it; where RAFT explores, they are
    those of what it drew.
    """
    return {
        "objective/score": rollout.scores.mean().item(),
        "objective/disagreement": rollout.deviations.mean().item(),
        "objective/kl": (rollout.log_ratio * rollout.mask).sum(-1).mean().item(),
        "objective/entropy": ppo_math.masked_mean(rollout.entropy, rollout.mask).item(),
        "objective/length": rollout.mask.sum(-1).mean().item(),
        "objective/ended": rollout.ended.float().mean().item(),
    }


def sampled_metrics(
    model: PeftModel,
    tokenizer: Any,
    prompts: Sequence[str],
    sampling: Sampling,
    count: int,
    seed: int,
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """Return KL, entropy, length and ends, as `rollout_metrics` does, of new completions to `count` of the prompts."""
    rng = random.Random(seed)
    asked = rng.choices(prompts, k=count)
    seeds = [rng.randrange(2**31) for _ in asked]

    def unscored(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(len(sequences), device=model.device)
        return zeros, zeros

    rollout = sample_rollout(model, tokenizer, unscored, asked, sampling, seeds, on_step)
    measured = rollout_metrics(against_reference(model, rollout, sampling.temperature, on_step))
    activate(model, "policy")
    judged = ("objective/score", "objective/disagreement")
    return {name: value for name, value in measured.items() if name not in judged}


def why_stop(measured: dict[str, float], first: dict[str, float], config: PPOConfig | RaftConfig) -> str | None:
    """Return why training should go no further, or None; what has no natural unit is held against the first rollout."""
    doubt = max(DOUBT, first["objective/disagreement"])
    wavering = max(SURE, first["objective/entropy"])
    bounds = [
        ("kl", config.max_kl, 1, "KL to SFT, nats a completion"),
        ("entropy", config.min_entropy * first["objective/entropy"], -1, "entropy, nats a token"),
        ("entropy", config.max_entropy * wavering, 1, "entropy, nats a token"),
        ("length", config.min_length * first["objective/length"], -1, "length, tokens"),
        ("disagreement", config.max_disagreement * doubt, 1, "spread among reward heads"),
    ]
    for name, bound, sign, words in bounds:
        value = measured[f"objective/{name}"]
        if sign * value > sign * bound:
            return f"{words}: {value:.3g}, {'at most' if sign > 0 else 'at least'} {bound:.3g} is allowed"
    return None

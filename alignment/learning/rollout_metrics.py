"""What rollouts say of a policy: the measures of a run's curves, and the bounds at which training stops early."""

import math
import random
from collections.abc import Sequence
from typing import Any

from peft import PeftModel
from torch import Tensor

from alignment.learning import ppo_math
from alignment.learning.rollout import Batch, Rollout, adapter_log_probs, measured_sample
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models.samples import Samples
from alignment.models.sampling import Sampling
from alignment.settings import PREVIEW_SAMPLES
from storage.messages import Messages

SURE = 0.15  # entropy, nats a token, below which a policy is taken to be sure: from batch to batch it differs by half
DOUBT = 0.05  # spread among reward heads, of a score in nats of odds, below which they are taken to agree


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what a rollout says of the policy, by name.

    The means of: scores, their standard deviation among the reward heads, KL to the reference (nats a completion),
    entropy (nats a token), length (tokens), share of completions that ended; and the standard error of the KL. KL and
    entropy are estimates for the policy only where the rollout is drawn from it; where RAFT explores, they are those of
    what it drew.
    """
    return {
        "objective/score": rollout.scores.mean().item(),
        "objective/disagreement": rollout.deviations.mean().item(),
        **_text_metrics(rollout, rollout.entropy, rollout.log_ratio),
    }


def mean_best(scores: Tensor, samples: int, of: int = PREVIEW_SAMPLES) -> float:
    """Return what the best of `of` completions of a prompt scores on average; scores are (B,), a prompt's together.

    It is exact over all C(samples, of) ways to pick some of a prompt's `samples`. The score at place i in their order,
    from 0, is the best of a pick whose others all lie below it: there are C(i, of - 1) of these.
    """
    of = min(of, samples)
    shares = scores.new_tensor([math.comb(i, of - 1) / math.comb(samples, of) for i in range(samples)])
    return float((scores.view(-1, samples).sort(dim=1).values * shares).sum(1).mean())


def _text_metrics(samples: Samples, entropy: Tensor, log_ratio: Tensor) -> dict[str, float]:
    nats = (log_ratio * samples.mask).sum(-1)
    return {
        "objective/kl": nats.mean().item(),
        "objective/kl_error": nats.std(correction=0).item() / math.sqrt(len(nats)),
        "objective/entropy": ppo_math.masked_mean(entropy, samples.mask).item(),
        "objective/length": samples.mask.sum(-1).mean().item(),
        "objective/ended": samples.ended.float().mean().item(),
    }


def sampled_metrics(
    model: PeftModel, tokenizer: Any, prompts: Sequence[Messages], sampling: Sampling, count: int, seed: int
) -> dict[str, float]:
    """Return KL, entropy, length and ends, as `rollout_metrics` does, of new completions to `count` of the prompts."""
    rng = random.Random(seed)
    drawn = rng.choices(prompts, k=count)
    batch = Batch(drawn, [rng.randrange(2**31) for _ in drawn])
    samples, log_probs, entropy = measured_sample(model, tokenizer, batch, sampling, sampling.temperature)
    reference = adapter_log_probs(model, "sft", samples, sampling.temperature)
    return _text_metrics(samples, entropy, log_probs - reference)


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

"""Completions of the policy with what reward model, policy and reference say of them: the data of PPO and RAFT."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import workers
from alignment.models.adapters import using
from alignment.models.features import Written
from alignment.models.generation import Generated, generate
from alignment.models.log_probs import completion_log_probs, log_probs_and_entropy, measure_tokens
from alignment.models.samples import Samples, distinct, padded_samples
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.reward.scorer import Scorer, Scores
from storage.messages import Messages

OnUpdate = Callable[[int, dict[str, float]], None]  # number of the update, what was measured


@dataclass(frozen=True)
class Scored(Samples):
    """Samples with what the reward model says of them."""

    scores: Tensor  # (B,), mean of the reward model's heads
    deviations: Tensor  # (B,), standard deviation among these heads


@dataclass(frozen=True)
class Rollout(Scored):
    """Scored samples of the policy with what policy and reference say of them.

    Rows are in the order of their length, so that neighbours need little padding.
    """

    log_probs: Tensor  # (B, T), of the policy that wrote it
    entropy: Tensor  # (B, T), of the policy at each token, in nats
    log_ratio: Tensor  # (B, T), log π - log π_ref


@dataclass(frozen=True)
class Task:
    """What a policy is trained to do by reinforcement learning."""

    prompts: Sequence[Messages]
    score: Scorer  # what it is to maximise
    seed: int
    preferred: Sequence[Text] = ()  # texts that labelers liked best, mixed in where `preferred_coefficient` is not 0
    seconds: float = math.inf  # in which rounds of RAFT are to end


@dataclass(frozen=True)
class Batch:
    """Prompts to complete, each as often as it is completed, and a seed for every completion."""

    prompts: list[Messages]
    seeds: list[int]


@dataclass(frozen=True)
class Outcome:
    """How training ended: what a last rollout, after all updates, measured, and why it stopped early, if it did."""

    measured: dict[str, float]
    stopped: str | None


@torch.no_grad()
def sample(model: PeftModel, tokenizer: Any, batch: Batch, sampling: Sampling, adapter: str = "policy") -> Samples:
    """Return completions by an adapter, one a prompt of the batch, shortest row first."""
    return _sampled(model, tokenizer, batch, sampling, adapter, None)[0]


@torch.no_grad()
def measured_sample(
    model: PeftModel, tokenizer: Any, batch: Batch, sampling: Sampling, temperature: float
) -> tuple[Samples, Tensor, Tensor]:
    """Return (completions of "policy" as `sample` draws them, log-probabilities (B, T), entropies (B, T)).

    Both are those of the logits that the tokens were drawn from, at a temperature. Decoding adds the adapter to the
    weights first, so that in bf16 they differ a little from what a pass gives: by 0.01 to 0.1 nats a token.
    """
    samples, written = _sampled(model, tokenizer, batch, sampling, "policy", temperature)
    width = samples.mask.shape[1]

    def padded(rows: Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows], device=model.device)

    return samples, padded([one.log_probs for one in written]), padded([one.entropy for one in written])


def _sampled(
    model: PeftModel, tokenizer: Any, batch: Batch, sampling: Sampling, adapter: str, measured_at: float | None
) -> tuple[Samples, list[Generated]]:
    prompts = [tokenizer.prompt_ids(messages) for messages in batch.prompts]
    with using(model, adapter):
        written = generate(model, tokenizer, prompts, sampling, batch.seeds, measured_at=measured_at)
    order = sorted(range(len(written)), key=lambda i: len(prompts[i]) + len(written[i].token_ids))
    ordered = [written[i] for i in order]
    samples = padded_samples([prompts[i] for i in order], ordered, tokenizer.pad_id, model.device)
    return replace(samples, prompt_index=torch.tensor(order, device=model.device)), ordered


@torch.no_grad()
def scored(samples: Samples, score: Scorer) -> tuple[Scored, Tensor | None]:
    """Return (the samples with their scores, log-probabilities (B, T) by the reference where scoring gives them).

    Of equal texts only one is scored.
    """
    first, same = distinct(samples)
    scores, device = _divided(score, written(samples.rows(first))), samples.ids.device
    means, deviations = (one.to(device)[same] for one in (scores.means, scores.deviations))
    rated = Scored(**vars(samples), scores=means, deviations=deviations)
    if scores.log_probs is None:
        return rated, None
    rows = torch.zeros(len(first), samples.mask.shape[1], device=device)
    for row, own in enumerate(scores.log_probs):
        rows[row, : len(own)] = own
    return rated, rows[same]


def _divided(score: Scorer, texts: Sequence[Written]) -> Scores:
    """Return the scores of completions; where several processes train, each scores some of them."""
    if workers.count() == 1:
        return score(texts)

    def of_some(some: Sequence[Written]) -> list[tuple[float, float, Tensor | None]]:
        scores = score(some)
        log_probs = [None] * len(some) if scores.log_probs is None else [one.cpu() for one in scores.log_probs]
        return list(zip(scores.means.tolist(), scores.deviations.tolist(), log_probs, strict=True))

    means, deviations, log_probs = zip(*workers.divided(texts, of_some), strict=True)
    known = None if log_probs[0] is None else list(log_probs)
    return Scores(torch.tensor(means), torch.tensor(deviations), known)


def written(samples: Samples) -> list[Written]:
    """Return the rows of samples as token ids, without padding."""
    ids, attention, width = samples.ids.cpu(), samples.attention.bool().cpu(), samples.prompt_width
    rows = zip(ids, attention, samples.ended.tolist(), strict=True)
    return [
        Written(row[:width][kept[:width]].tolist(), row[width:][kept[width:]].tolist(), ended)
        for row, kept, ended in rows
    ]


def policy_log_probs(model: PeftModel, samples: Samples, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, entropies) of the completion tokens by "policy", both (B, T)."""
    with using(model, "policy"):
        log_probs, entropy = measure_tokens(
            model, samples, lambda part: log_probs_and_entropy(model, part, temperature)
        )
    return log_probs, entropy


def adapter_log_probs(model: PeftModel, adapter: str, samples: Samples, temperature: float) -> Tensor:
    """Return the log-probabilities of the completion tokens by an adapter (B, T)."""
    with using(model, adapter):
        (log_probs,) = measure_tokens(model, samples, lambda part: [completion_log_probs(model, part, temperature)])
    return log_probs


def judged(
    model: PeftModel, samples: Samples, score: Scorer, by_policy: tuple[Tensor, Tensor], temperature: float
) -> Rollout:
    """Return samples with their scores, log-probabilities and entropies of the policy, and log-ratio to the reference.

    `by_policy` are those log-probabilities and entropies, at the temperature.
    """
    rated, reference = scored(samples, score)
    if reference is None or temperature != 1:
        reference = adapter_log_probs(model, "sft", samples, temperature)
    log_probs, entropy = by_policy
    return Rollout(**vars(rated), log_probs=log_probs, entropy=entropy, log_ratio=log_probs - reference)


def penalized_scores(scores: Tensor, ended: Tensor, config: PPOConfig | RaftConfig) -> Tensor:
    """Return scores (B,) less the penalty for completions without an end (Stiennon et al. 2020)."""
    return scores - config.no_end_penalty * (~ended).float()

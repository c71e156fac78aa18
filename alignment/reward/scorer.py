"""Scores of completions by reward models, linear or adapters with heads, as training and serving read them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.models.adapters import using
from alignment.models.features import Written, read_completions
from alignment.models.heads import hidden_states
from alignment.models.passes import in_groups, left_padded
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import LinearReward


@dataclass(frozen=True)
class Scores:
    """What a reward model says of B completions."""

    means: Tensor  # (B,)
    deviations: Tensor  # (B,), standard deviations
    # Of each completion's tokens by the instruction-tuned model at temperature 1, where the pass for scores gave them.
    log_probs: list[Tensor] | None = None


Scorer = Callable[[Sequence[Written]], Scores]


def head_scores(model: PeftModel, heads: nn.Linear, sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    """Return every head's score of each sequence (B, K), read at its last token through the adapter that is active.

    Sequences of like length are passed together, so that a long one does not pad all the others.
    """
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    groups = in_groups(model, [(len(sequences[i]),) for i in order])
    passed = []
    for group in groups:
        ids, mask = left_padded([sequences[order[row]] for row in group], pad_id, heads.weight.device)
        passed.append(heads(hidden_states(model, ids, mask)[:, -1].float()))  # (rows of the pass, K)
    scores = torch.cat(passed)
    return scores[torch.tensor(order, device=scores.device).argsort()]


def score_sequences(
    model: PeftModel,
    heads: nn.Linear,
    sequences: Sequence[Sequence[int]],
    pad_id: int,
    bound: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Return one score a sequence and its standard deviation over the heads, both (B,); one head deviates by 0.

    With a bound, each head's score is pressed between minus that and that.
    """
    scores = head_scores(model, heads, sequences, pad_id)
    scores = scores if bound is None else bounded(scores, bound)
    return scores.mean(-1), scores.std(-1, correction=0)


def bounded(scores: Tensor, bound: float) -> Tensor:
    """Return the scores pressed between `-bound` and `bound`, in the same order; small ones hardly change."""
    return bound * torch.tanh(scores / bound)


def no_scores(written: Sequence[Written]) -> Scores:
    """Score all completions alike: votes taught nothing."""
    return Scores(torch.zeros(len(written)), torch.zeros(len(written)))


def adapter_scorer(model: PeftModel, heads: nn.Linear, pad_id: int, bound: float | None) -> Scorer:
    """Return the scorer made of the adapter "reward" and its heads; with a bound, each head's score is pressed into it.

    Its deviations are those among the heads.
    """

    def score(written: Sequence[Written]) -> Scores:
        with using(model, "reward"):
            return Scores(*score_sequences(model, heads, [one.sequence for one in written], pad_id, bound))

    return score


def linear_scorer(
    model: PeftModel,
    tokenizer: Any,
    original: str | None,
    reward: LinearReward,
    bound: float | None,
    *,
    with_log_probs: bool = False,
) -> Scorer:
    """Return the scorer made of a linear reward model on features through the adapter `original`, or through none.

    Its deviations are those of the posterior. With a bound, the mean is pressed into it. If asked, its scores come with
    the log-probabilities of the tokens, from the same pass.
    """

    def score(written: Sequence[Written]) -> Scores:
        with using(model, original):
            reading = read_completions(model, tokenizer, written, with_log_probs=with_log_probs)
        means, deviations = (torch.from_numpy(part).float() for part in reward.scores(reading.features))
        return Scores(means if bound is None else bounded(means, bound), deviations, reading.log_probs)

    return score


def added_scorer(model: PeftModel, own: Scorer, pad_id: int, shipped: nn.Linear | None, config: RewardConfig) -> Scorer:
    """Return the scorer that adds what votes taught to the score of the adapter "shipped" and its heads.

    `own` is bounded then, so that votes can set two answers to one prompt at most twice the bound apart (two reward
    models, one of them for safety: Touvron et al. 2023, section 3.2.2). What it is unsure of counts less, by
    `uncertainty_penalty` times its standard deviation (uncertainty-weighted ensembles: Coste et al. 2023). Where no
    reward model ships, nothing is added.
    """

    def score(written: Sequence[Written]) -> Scores:
        scores = own(written)
        means = scores.means - config.uncertainty_penalty * scores.deviations
        if shipped is not None:
            with using(model, "shipped"):
                shipped_scores, _ = score_sequences(model, shipped, [one.sequence for one in written], pad_id)
            means = means + config.shipped_weight * shipped_scores.to(means.device)
        return replace(scores, means=means)

    return score

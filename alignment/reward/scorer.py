"""Scores of completions by reward adapters with linear heads, as training and serving read them."""

from collections.abc import Callable, Sequence

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.models.adapters import using
from alignment.models.heads import hidden_states
from alignment.models.passes import in_groups, left_padded
from alignment.reward.settings import RewardConfig

Scorer = Callable[[Sequence[Sequence[int]]], tuple[Tensor, Tensor]]  # ids -> scores, deviations among heads, both (B,)


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


def reward_scorer(model: PeftModel, heads: nn.Linear, pad_id: int) -> Scorer:
    """Return the scorer made of the adapter "reward" and its heads: their mean and their standard deviation."""

    def score(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        with using(model, "reward"):
            return score_sequences(model, heads, sequences, pad_id)

    return score


def added_scorer(
    model: PeftModel, heads: nn.Linear, pad_id: int, shipped: nn.Linear | None, config: RewardConfig
) -> Scorer:
    """Return the scorer that adds what votes taught, bounded, to the score of the adapter "shipped" and its heads.

    By each head, votes can set two answers to one prompt at most twice the bound apart (two reward models, one of them
    for safety: Touvron et al. 2023, section 3.2.2). What the heads disagree about counts less, by `uncertainty_penalty`
    times their standard deviation (uncertainty-weighted ensembles: Coste et al. 2023), which is that of the bounded
    scores. Where no reward model ships, nothing is bounded and nothing added.
    """

    def score(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        bound = None if shipped is None else config.bound
        with using(model, "reward"):
            scores, deviations = score_sequences(model, heads, sequences, pad_id, bound)
        scores = scores - config.uncertainty_penalty * deviations
        if shipped is not None:
            with using(model, "shipped"):
                shipped_scores, _ = score_sequences(model, shipped, sequences, pad_id)
            scores = scores + config.shipped_weight * shipped_scores
        return scores, deviations

    return score

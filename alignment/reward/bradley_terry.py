"""What rankings say of scores: the Bradley–Terry loss, and how well scores agree with rankings. No model here."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

import torch
from torch import Tensor, nn

from alignment.models.samples import Text
from storage.messages import Messages

Z_95 = 1.959964  # two-sided 95% point of the normal distribution
BINS = 5  # of confidence, from 50% to 100%
OrderedPair = tuple[Text, Text]  # better, worse: completions of the same messages


class Ranked(Protocol):
    """Completions of one conversation in tiers, best first; a tier holds positions in `completions`.

    `tied` says whether completions of one tier were called equal, or only not compared; `ended`, which completions
    ended by themselves.
    """

    @property
    def messages(self) -> Messages: ...  # noqa: D102
    @property
    def completions(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def tiers(self) -> Sequence[Sequence[int]]: ...  # noqa: D102
    @property
    def tied(self) -> bool: ...  # noqa: D102
    @property
    def ended(self) -> Sequence[bool]: ...  # noqa: D102


@dataclass(frozen=True)
class Proportion:
    """A share with its 95% Wilson interval and the number of cases."""

    share: float | None  # None where nothing was counted
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Bin:
    """The pairs of which the scores are about equally sure."""

    confidence: float  # mean probability of the completion that scores higher
    accuracy: float  # how often that is the better one
    share: float  # of all pairs, every ranking counting as one


@dataclass(frozen=True)
class Agreement:
    """How well scores agree with rankings; every ranking counts as one, however many pairs it holds."""

    accuracy: Proportion  # of pairs in the right order; equal scores count half
    log_loss: float  # mean of -log P(better beats worse) in nats; 0.693 knows nothing
    confidence: float  # mean probability of the completion that scores higher: above the accuracy is too sure
    calibration_error: float  # expected calibration error over `reliability`
    reliability: tuple[Bin, ...]

    def metrics(self) -> dict[str, float]:
        """Return the numbers under the names of a run's metrics."""
        assert self.accuracy.share is not None
        return {
            "reward/heldout_accuracy": self.accuracy.share,
            "reward/heldout_low": self.accuracy.low,
            "reward/heldout_high": self.accuracy.high,
            "reward/heldout_votes": self.accuracy.count,
            "reward/heldout_log_loss": self.log_loss,
            "reward/heldout_confidence": self.confidence,
            "reward/heldout_calibration_error": self.calibration_error,
        }


def wilson(right: float, count: int) -> Proportion:
    """Return right/count with its 95% Wilson score interval (Wilson 1927); nothing counted gives 0 to 1.

    A case may be right in part, which makes the interval wider than need be, not narrower.
    """
    if count == 0:
        return Proportion(None, 0.0, 1.0, 0)
    share = right / count
    centre = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2)) / (1 + Z_95**2 / count)
    return Proportion(share, max(0.0, centre - spread), min(1.0, centre + spread), count)


def judged_pairs(ranking: Ranked) -> list[tuple[Text, Text, float]]:
    """Return the different pairs of texts that a ranking judges, with the probability that the first is the better one.

    It is 1 between tiers, the better one first, and 0.5 within a tier of ties (docs/lab-notes.md says why ties are not
    left out); two equal texts are no pair, and if one of them ended, both did.
    """
    written = sorted(zip(ranking.completions, ranking.ended, strict=True), key=lambda one: one[1])
    texts = {completion: Text(ranking.messages, completion, ended) for completion, ended in written}
    tiers = [[texts[ranking.completions[i]] for i in tier] for tier in ranking.tiers]
    ordered = [(one, other, 1.0) for upper, lower in combinations(tiers, 2) for one in upper for other in lower]
    equal = [(one, other, 0.5) for tier in tiers if ranking.tied for one, other in combinations(tier, 2)]
    return list(dict.fromkeys(pair for pair in ordered + equal if pair[0] != pair[1]))


def ordered_pairs(rankings: Sequence[Ranked]) -> list[OrderedPair]:
    """Return (better, worse) for every pair of texts that the rankings put in an order."""
    judged = (pair for ranking in rankings for pair in judged_pairs(ranking))
    return [(better, worse) for better, worse, target in judged if target == 1]


def preferred(rankings: Sequence[Ranked], seed: int) -> list[Text]:
    """Return one of the completions that were liked best, for every ranking with an order.

    One that was cut before its first word has nothing to be learned and is left out.
    """
    rng = random.Random(seed)
    best = [(one, rng.choice(one.tiers[0])) for one in rankings if len(one.tiers) > 1]
    texts = [Text(one.messages, one.completions[place], one.ended[place]) for one, place in best]
    return [text for text in texts if text.completion or text.ended]


def pair_loss(first: Tensor, second: Tensor, target: Tensor | float = 1.0) -> Tensor:
    """Return the cross-entropy of `target`, how probably the first is better, and σ(first - second), elementwise.

    For a target of 1 this is -log σ(first - second): Bradley & Terry 1952 by maximum likelihood.
    """
    return nn.functional.softplus(second - first) * target + nn.functional.softplus(first - second) * (1 - target)


def ranking_loss(
    scores: Sequence[Tensor], pairs: Sequence[Tensor], targets: Sequence[Tensor], weights: Tensor
) -> Tensor:
    """Return the weighted mean loss over R rankings and K heads, a scalar.

    `scores` holds (k, K) a ranking of k completions, `pairs` its (P, 2) rows and `targets` (P,) how probably the first
    one is better. The pairs of a ranking are averaged and count as one element (Ouyang et al. 2022, equation 1).
    `weights` is (R, K).
    """
    means = [
        pair_loss(own[rows[:, 0]], own[rows[:, 1]], target.unsqueeze(-1)).mean(0)  # (K,)
        for own, rows, target in zip(scores, pairs, targets, strict=True)
    ]
    return (torch.stack(means) * weights).mean()


def agreement(margins: Sequence[Tensor]) -> Agreement:
    """Return how well scores agree with rankings, of each of which `margins` holds better minus worse scores (P,).

    There must be at least one ranking, with at least one pair each; ties have no order to agree with.

    Calibration error: the mean distance between confidence and accuracy over bins (Guo et al. 2017, equation 3).
    """
    margin = torch.cat(list(margins)).double()  # (P,) of all rankings
    share = torch.cat(
        [torch.full((len(m),), 1 / len(m) / len(margins), dtype=torch.float64) for m in margins]
    )  # sums to 1
    right = (margin > 0) + 0.5 * (margin == 0)
    sure = torch.sigmoid(margin.abs())  # 0.5 to 1
    where = ((sure - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    reliability = [_bin(sure[one], right[one], share[one]) for one in (where == n for n in range(BINS)) if one.any()]
    return Agreement(
        accuracy=wilson((right * share).sum().item() * len(margins), len(margins)),
        log_loss=(pair_loss(margin, torch.zeros_like(margin)) * share).sum().item(),
        confidence=(sure * share).sum().item(),
        calibration_error=sum(abs(b.confidence - b.accuracy) * b.share for b in reliability),
        reliability=tuple(reliability),
    )


def _bin(sure: Tensor, right: Tensor, share: Tensor) -> Bin:
    mass = share.sum()
    return Bin(((sure * share).sum() / mass).item(), ((right * share).sum() / mass).item(), mass.item())

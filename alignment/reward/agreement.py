"""How well scores agree with rankings, by numbers that a person can read. NumPy alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Z_95 = 1.959964  # two-sided 95% point of the normal distribution
BINS = 5  # of confidence, from 50% to 100%


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


def agreement(margins: Sequence[ArrayLike]) -> Agreement:
    """Return how well scores agree with rankings, of each of which `margins` holds better minus worse scores (P,).

    There must be at least one ranking, with at least one pair each; ties have no order to agree with.

    Calibration error: the mean distance between confidence and accuracy over bins (Guo et al. 2017, equation 3).
    """
    parts = [np.asarray(margin, dtype=np.float64) for margin in margins]
    margin = np.concatenate(parts)  # (P,) of all rankings
    share = np.concatenate([np.full(len(part), 1 / len(part) / len(parts)) for part in parts])  # sums to 1
    right = (margin > 0) + 0.5 * (margin == 0)
    sure = 1 / (1 + np.exp(-np.abs(margin)))  # 0.5 to 1
    where = np.minimum((sure - 0.5) * 2 * BINS, BINS - 1).astype(int)
    reliability = [_bin(sure[one], right[one], share[one]) for one in (where == n for n in range(BINS)) if one.any()]
    return Agreement(
        accuracy=wilson(float((right * share).sum()) * len(parts), len(parts)),
        log_loss=float((np.logaddexp(0, -margin) * share).sum()),
        confidence=float((sure * share).sum()),
        calibration_error=sum(abs(b.confidence - b.accuracy) * b.share for b in reliability),
        reliability=tuple(reliability),
    )


def _bin(sure: np.ndarray, right: np.ndarray, share: np.ndarray) -> Bin:
    mass = share.sum()
    return Bin(float((sure * share).sum() / mass), float((right * share).sum() / mass), float(mass))

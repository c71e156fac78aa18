"""How much a share changed between two answers to the same prompts, with an interval. No torch here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alignment.reward.agreement import wilson


@dataclass(frozen=True)
class Change:
    """How many of some checks were passed before and after, and the 95% interval of the share's change.

    `low` and `high` are differences of shares, from -1 to 1: below 0, fewer are passed than before.
    """

    count: int
    before: int
    after: int
    lost: int  # passed before, not after
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share passed after less the share passed before."""
        return (self.after - self.before) / self.count


def change(before: Sequence[bool], after: Sequence[bool]) -> Change:
    """Return what changed from `before` to `after`, which say of the same checks, at least one, whether they passed.

    The interval is method 10 of Newcombe (1998), "Improved confidence intervals for the difference between binomial
    proportions based on paired data", Statistics in Medicine 17, 2635-2650: Wilson's score intervals of both shares,
    squared and added, less what they have in common (phi, corrected for continuity).

    Example: of 50 checks 20 are passed before and after, 12 before alone, 2 after alone and 16 never. The share
    changes by -0.2, interval -0.3292 to -0.0562.
    """
    pairs = list(zip(before, after, strict=True))
    count = len(pairs)
    both, lost, gained, never = (
        pairs.count(kind) for kind in ((True, True), (True, False), (False, True), (False, False))
    )
    first, second = wilson(both + lost, count), wilson(both + gained, count)
    share_before, share_after = (both + lost) / count, (both + gained) / count
    phi = _phi(both, lost, gained, never)

    def spread(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    difference = share_after - share_before
    low = difference - spread(share_after - second.low, first.high - share_before)
    high = difference + spread(second.high - share_after, share_before - first.low)
    return Change(count, both + lost, both + gained, lost, low, high)


def _phi(both: int, lost: int, gained: int, never: int) -> float:
    """Return the correlation of passing before and after; 0 where one of the shares is 0 or 1."""
    spread = (both + lost) * (gained + never) * (both + gained) * (lost + never)
    agreed = float(both * never - lost * gained)
    if agreed > 0:
        agreed = max(0.0, agreed - (both + lost + gained + never) / 2)
    return agreed / math.sqrt(spread) if spread else 0.0

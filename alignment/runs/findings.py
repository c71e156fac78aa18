"""What the gate found out about a candidate, as records. No torch here: the page reads them too."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Measure = Literal["accuracy", "refusals", "helped", "abstained", "ended", "own", "liked", "kl"]
Unit = Literal["paired", "lost", "wins", "nats", "checks"]
Against = Literal["parent", "first"]


@dataclass(frozen=True)
class Finding:
    """One measure of a candidate beside its bound.

    Of checks, `value` of `count` were passed, `best_before` of them by the better of parent and first version
    (`against` says which), and `lost` are those that it passed and the candidate did not. `low` to `high` is the 95%
    interval of the change of the share. With the unit "paired", `bound` is the share that may be lost; the finding
    fails where the interval lies wholly beyond it. With the unit "lost", `bound` is how many may be lost.
    With the unit "wins", `value` of `count` answers that differ from the parent's are liked better than those, with the
    interval of that share, and `bound` is the least share; the finding fails where the interval lies wholly below.
    With the unit "nats", `value` is the KL of a completion, on average, with its interval, and `bound` the most that is
    allowed; it fails where the interval lies wholly above. Versions before judged without intervals: there the unit is
    "checks", and `bound` the least number to be passed.

    Example: `Finding("accuracy", "paired", 58, 0.03, False, 80, 70, 14, -0.24, -0.05, "parent")`.
    """

    name: Measure
    unit: Unit
    value: float
    bound: float
    passed: bool
    count: int | None = None
    best_before: int | None = None
    lost: int | None = None
    low: float | None = None
    high: float | None = None
    against: Against | None = None

    @property
    def share(self) -> float | None:
        """The part of the checks that were passed, from 0 to 1; None for another unit or where there were none."""
        return self.value / self.count if self.count else None


@dataclass(frozen=True)
class PutBack:
    """What became of a candidate that failed: it was judged again nearer to its parent.

    `share` is how much of the way from the parent the served weights lie, from 0 to 1, or None if no part of the way
    passed. `failed` are the findings that failed for the whole way.
    """

    share: float | None
    failed: tuple[Finding, ...]


@dataclass(frozen=True)
class Remark:
    """A sentence that the gate of an older version stored and that could not be turned into a finding."""

    text: str
    passed: bool


@dataclass(frozen=True)
class Verdict:
    """All that the gate found out, and so whether the candidate may be served."""

    findings: tuple[Finding, ...]
    put_back: PutBack | None = None  # None: the whole way passed, or stepping back is turned off
    stopped_early: str | None = None  # why training stopped before its last step
    remarks: tuple[Remark, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything that was looked at passed."""
        return not self.failed and all(remark.passed for remark in self.remarks)

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that did not pass."""
        return tuple(finding for finding in self.findings if not finding.passed)


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values, `passed` among them: what is stored and what `/run` returns as `gate`."""
    return {"passed": verdict.passed, **asdict(verdict)}


def verdict_from_json(stored: Mapping[str, Any]) -> Verdict:
    """Return the verdict that `verdict_to_json` made plain."""
    put_back = stored.get("put_back")
    return Verdict(
        tuple(Finding(**one) for one in stored["findings"]),
        put_back and PutBack(put_back["share"], tuple(Finding(**one) for one in put_back["failed"])),
        stored.get("stopped_early"),
        tuple(Remark(**one) for one in stored.get("remarks", ())),
    )

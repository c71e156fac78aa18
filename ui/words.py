"""Words that the tabs share: names, counts and lengths of time. No HTML in here."""

from datetime import UTC, datetime

from service.completions import ShownCompletion
from service.context import ServedModel

NAMES = {"base": "Base", "sft": "Instruction-tuned", "rlhf": "RLHF"}


def panel_name(completion: ShownCompletion, model: ServedModel) -> str:
    """Return what a panel is called: its model, or its letter while that is hidden."""
    if completion.role is None:
        return completion.slot
    if completion.role == "base" and model.shape == "chat":
        return "Raw continuation"
    version = completion.policy_version
    return NAMES[completion.role] + (f" v{version}" if version is not None else "")


def counted(number: int, word: str) -> str:
    """Return "1 vote", "2 votes"."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def moment(stamp: str) -> str:
    """Return a stored time as "2026-11-28 16:27:08 UTC"."""
    return f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S} UTC"


def since(stamp: str) -> str:
    """Return how long ago a stored time is: "just now", "3 min ago"."""
    seconds = elapsed(stamp)
    return "just now" if seconds < 60 else f"{span(seconds // 60 * 60)} ago"


def elapsed(start: str | None, end: str | None = None) -> float:
    """Return the seconds between two stored times; without an end until now, without a start 0."""
    if start is None:
        return 0.0
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(0.0, (until - datetime.fromisoformat(start)).total_seconds())


def span(seconds: float) -> str:
    """Return a length of time in its largest fitting unit or two: "42 s", "3 min 5 s", "2 h 10 min", "4 days"."""
    whole = round(seconds)
    for size, unit, below in ((86400, "days", None), (3600, "h", (60, "min")), (60, "min", (1, "s"))):
        if whole >= size * (2 if below is None else 1):
            rest = whole % size // below[0] if below else 0
            return f"{whole // size} {unit}" + (f" {rest} {below[1]}" if below and rest else "")
    return f"{whole} s"

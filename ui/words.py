"""What panels are called, and times and their lengths in words. No HTML in here."""

from datetime import UTC, datetime

from service.completions import ShownCompletion
from service.context import ServedModel
from ui import strings

EVENING_SECONDS = 6 * 3600  # for so long, what was before midnight is not yet yesterday's


def panel_name(completion: ShownCompletion, model: ServedModel) -> str:
    """Return what a panel is called: its model, or its letter while that is hidden."""
    if completion.role is None:
        return completion.slot
    if completion.role == "base" and model.shape == "chat":
        return strings.RAW_NAME
    name, version = strings.NAMES[completion.role], completion.policy_version
    return name if version is None else strings.NAME_AND_VERSION.format(name=name, version=version)


def moment(stamp: str) -> str:
    """Return a stored time as "2026-11-28 16:27:08 UTC"."""
    return strings.MOMENT.format(time=f"{datetime.fromisoformat(stamp):%Y-%m-%d %H:%M:%S}")


def clock_time(when: datetime) -> str:
    """Return a moment as "16:27", or "29 November 2026, 16:27" where it is not today."""
    hour = f"{when.astimezone():%H:%M}"
    today = when.astimezone().date() == datetime.now().astimezone().date()
    return hour if today else strings.DAY_AND_HOUR.format(day=strings.day(when.astimezone().date()), hour=hour)


def since(stamp: str) -> str:
    """Return how long ago a stored time is: "just now", "3 min ago", "yesterday, 16:27", "4 days ago"."""
    seconds, when = elapsed(stamp), datetime.fromisoformat(stamp).astimezone()
    days = (datetime.now().astimezone().date() - when.date()).days
    if days == 1 and seconds >= EVENING_SECONDS:
        return strings.YESTERDAY.format(hour=f"{when:%H:%M}")
    if days > 1:
        return strings.AGO.format(span=f"{days} {strings.DAYS}")
    return strings.JUST_NOW if seconds < 60 else strings.AGO.format(span=span(seconds // 60 * 60))


def elapsed(start: str | None, end: str | None = None) -> float:
    """Return the seconds between two stored times; without an end until now, without a start 0."""
    if start is None:
        return 0.0
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(0.0, (until - datetime.fromisoformat(start)).total_seconds())


def span(seconds: float) -> str:
    """Return a length of time in its largest fitting unit or two: "42 s", "3 min 5 s", "2 h 10 min", "4 days"."""
    whole = round(seconds)
    days, hours, minutes, secs = strings.DAYS, strings.HOURS, strings.MINUTES, strings.SECONDS
    for size, unit, below in ((86400, days, None), (3600, hours, (60, minutes)), (60, minutes, (1, secs))):
        if whole >= size * (2 if below is None else 1):
            rest = whole % size // below[0] if below else 0
            return f"{whole // size} {unit}" + (f" {rest} {below[1]}" if below and rest else "")
    return f"{whole} {secs}"

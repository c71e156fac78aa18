"""When a run starts by itself, and why it waits: settings, and one pure decision. No clock, no database."""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from alignment.validation import STRICT, Number, Text, Whole, refuses_in_words, with_changes
from storage.overview import Overview
from storage.runs import Schedule

BACK_OFF_MINUTES, LONGEST_BACK_OFF = 5.0, 24 * 60.0  # after a failed run; doubled after each further one
Reason = Literal["due", "off", "votes", "minutes", "quiet", "idle", "failed"]


@refuses_in_words
@pydantic_dataclass(frozen=True, config=STRICT)
class ScheduleSettings:
    """When training starts by itself."""

    retrain_every: Whole = Field(
        default=32, ge=0, le=100_000, description="New votes after which training starts; 0 = never by votes alone."
    )
    minutes: Number = Field(
        default=0.0,
        ge=0.0,
        le=10_080.0,
        description="Minutes after the last run at which one starts; 0 = never by time.",
    )
    minutes_votes: Whole = Field(
        default=8, ge=1, le=100_000, description="Fewest new votes with which a run starts by time."
    )
    quiet_from: Text = Field(
        default="", description='Time of day, such as "08:00", from which no run starts by itself; empty = none.'
    )
    quiet_until: Text = Field(default="", description="Time of day until which none does.")
    idle_minutes: Number = Field(
        default=0.0,
        ge=0.0,
        le=1_440.0,
        description="Minutes without a question for which a run that is due waits; 0 = it does not wait.",
    )
    idle_wait: Number = Field(
        default=60.0, ge=1.0, le=10_080.0, description="Most minutes that a run waits for such a pause."
    )

    @field_validator("quiet_from", "quiet_until")
    @classmethod
    def _is_a_time_of_day(cls, value: str) -> str:
        try:
            return f"{time.fromisoformat(value):%H:%M}" if value else ""
        except ValueError:
            raise ValueError(f' must be a time of day such as "08:00", or empty, got {value[:20]!r}') from None

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if bool(self.quiet_from) != bool(self.quiet_until):
            raise ValueError("quiet_from and settings.quiet_until belong together; set both, or leave both empty")
        return self


@dataclass(frozen=True)
class Decision:
    """Whether a run starts by itself now, and if not, what it waits for."""

    reason: Reason  # "due": it starts now
    votes: int = 0  # that are missing, where it waits for votes
    at: datetime | None = None  # when it can start, where that is known
    failures: int = 0  # runs in a row that failed

    @property
    def due(self) -> bool:
        """Whether a run starts now."""
        return self.reason == "due"


def changed(schedule: Schedule, changes: Any) -> Schedule:
    """Return a schedule with some fields changed; raise ConfigError for what does not fit."""
    present = ScheduleSettings(**asdict(schedule))
    return Schedule(**asdict(with_changes(present, changes, "settings")))


def decide(now: Overview, clock: datetime) -> Decision:
    """Return whether a run starts by itself at a time of the place where the app runs."""
    schedule, votes = now.schedule, now.new_votes
    enough = bool(schedule.retrain_every) and votes >= schedule.retrain_every
    by_time = _by_time(now, clock)
    if not enough and by_time is None:
        return _votes_missing(schedule, votes)
    if not enough and by_time is not None and by_time > clock:
        return Decision("minutes", at=by_time)
    if (until := _backed_off_until(now, clock)) is not None:
        return Decision("failed", at=until, failures=now.failures)
    if (until := _quiet_until(schedule, clock)) is not None:
        return Decision("quiet", at=until)
    due_since = _moment(now.enough_since) if enough else by_time
    if (until := _pause_until(now, clock, due_since)) is not None:
        return Decision("idle", at=until)
    return Decision("due")


def _votes_missing(schedule: Schedule, votes: int) -> Decision:
    wanted = [schedule.retrain_every] if schedule.retrain_every else []
    wanted += [schedule.minutes_votes] if schedule.minutes else []
    return Decision("votes", votes=max(0, min(wanted) - votes)) if wanted else Decision("off")


def _by_time(now: Overview, clock: datetime) -> datetime | None:
    """Return when a run starts by time, None if that is off or too few votes are in."""
    if not now.schedule.minutes or now.new_votes < now.schedule.minutes_votes:
        return None
    last = now.latest_run
    began = _moment(last.finished or last.created) if last is not None else None
    return clock if began is None or began > clock else began + timedelta(minutes=now.schedule.minutes)


def _backed_off_until(now: Overview, clock: datetime) -> datetime | None:
    """Return until when failed runs hold up the next one; a clock that was set back holds nothing up."""
    ended = _moment(now.latest_run.finished) if now.latest_run is not None else None
    if not now.failures or ended is None or ended > clock:
        return None
    until = ended + timedelta(minutes=min(BACK_OFF_MINUTES * 2.0 ** (now.failures - 1), LONGEST_BACK_OFF))
    return until if until > clock else None


def _quiet_until(schedule: Schedule, clock: datetime) -> datetime | None:
    """Return the end of the quiet hours if they hold now; they may go over midnight."""
    if not schedule.quiet_from or not schedule.quiet_until:
        return None
    begin, end = time.fromisoformat(schedule.quiet_from), time.fromisoformat(schedule.quiet_until)
    present = clock.time()
    quiet = begin <= present < end if begin <= end else present >= begin or present < end
    if not quiet:
        return None
    ends = clock.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    return ends if ends > clock else ends + timedelta(days=1)


def _pause_until(now: Overview, clock: datetime, due_since: datetime | None) -> datetime | None:
    """Return when the pause in the questions will have lasted long enough, or a run due since then has waited enough.

    A clock that was set back holds nothing up.
    """
    asked = _moment(now.last_asked)
    if asked is None or due_since is None or asked > clock or due_since > clock:
        return None
    pause, wait = timedelta(minutes=now.schedule.idle_minutes), timedelta(minutes=now.schedule.idle_wait)
    until = min(asked + pause, due_since + wait)
    return until if until > clock else None


def _moment(stamp: str | None) -> datetime | None:
    return datetime.fromisoformat(stamp) if stamp else None

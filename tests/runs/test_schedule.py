"""When a run starts by itself, and why it waits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alignment.errors import ConfigError
from alignment.runs.schedule import Decision, changed, decide
from storage.overview import Overview
from storage.records import Run
from storage.runs import Schedule

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def run(ended: datetime, status: Any = "succeeded") -> Run:
    stamp = ended.isoformat()
    return Run(1, "ppo", {}, status, "", 0.0, stamp, stamp, stamp, stamp, None, None)


def decided(votes: int, schedule: Schedule, last: Run | None = None, failures: int = 0) -> Decision:
    return decide(Overview(None, last, votes, 0, schedule, failures=failures), NOON)


def test_it_waits_for_votes_and_starts_with_the_last_of_them() -> None:
    assert decided(20, Schedule()) == Decision("votes", votes=12)
    assert decided(32, Schedule()).due
    assert decided(1000, Schedule(0)) == Decision("off")


def test_by_time_it_starts_with_fewer_votes_after_so_many_minutes() -> None:
    hourly = Schedule(32, minutes=60, minutes_votes=4)
    assert decided(3, hourly) == Decision("votes", votes=1)
    assert decided(4, hourly).due  # there was no run yet
    assert decided(4, hourly, run(NOON - timedelta(minutes=20))) == Decision("minutes", at=NOON + timedelta(minutes=40))
    assert decided(4, hourly, run(NOON - timedelta(minutes=60))).due
    assert decided(32, hourly, run(NOON - timedelta(minutes=1))).due
    assert decided(4, hourly, run(NOON + timedelta(days=1))).due  # the clock was set back


@pytest.mark.parametrize(
    ("begin", "end", "until"),
    [
        ("08:00", "18:00", NOON.replace(hour=18)),
        ("11:59", "12:01", NOON.replace(minute=1)),
        ("20:00", "13:00", NOON.replace(hour=13)),
        ("12:01", "11:00", None),
        ("08:00", "12:00", None),
        ("", "", None),
    ],
)
def test_in_quiet_hours_it_waits_for_their_end(begin: str, end: str, until: datetime | None) -> None:
    found = decided(32, Schedule(quiet_from=begin, quiet_until=end))
    assert found == (Decision("due") if until is None else Decision("quiet", at=until))


@pytest.mark.parametrize(
    ("asked", "due", "until"),  # minutes before noon, and after noon
    [
        (2, 5, 8),
        (10, 15, None),
        (2, 25, 5),  # it has waited long enough by then
        (2, 31, None),
        (-1, 5, None),  # the clock was set back
        (2, -1, None),
        (None, 5, None),
    ],
)
def test_a_run_that_is_due_waits_for_a_pause_in_the_questions_but_not_for_ever(
    asked: int | None, due: int, until: int | None
) -> None:
    def before_noon(minutes: int | None) -> str | None:
        return None if minutes is None else (NOON - timedelta(minutes=minutes)).isoformat()

    waits = Decision("due") if until is None else Decision("idle", at=NOON + timedelta(minutes=until))
    schedule = Schedule(32, idle_minutes=10, idle_wait=30)
    now = Overview(None, None, 32, 0, schedule, last_asked=before_noon(asked), enough_since=before_noon(due))
    assert decide(now, NOON) == waits
    if due > 0:
        by_time = Schedule(0, minutes=60, idle_minutes=10, idle_wait=30)
        ended = run(NOON - timedelta(minutes=60 + due))
        assert decide(Overview(None, ended, 8, 0, by_time, last_asked=before_noon(asked)), NOON) == waits


def test_after_failures_it_waits_twice_as_long_each_time() -> None:
    last = run(NOON - timedelta(minutes=4), "failed")
    assert decided(32, Schedule(), last, failures=1) == Decision("failed", at=NOON + timedelta(minutes=1), failures=1)
    assert decided(32, Schedule(), last, failures=3).at == NOON + timedelta(minutes=16)
    assert decided(32, Schedule(), run(NOON - timedelta(minutes=5), "failed"), failures=1).due
    assert decided(32, Schedule(), run(NOON - timedelta(hours=23), "failed"), failures=10).at is not None
    assert decided(32, Schedule(), run(NOON - timedelta(hours=24), "failed"), failures=10).due


@pytest.mark.parametrize("votes", [None, -1, 2.5, 1e9, True, "5"])
def test_a_number_of_votes_that_makes_no_sense_is_refused(votes: Any) -> None:
    with pytest.raises(ConfigError, match=r"settings\.retrain_every must (not )?be"):
        changed(Schedule(), {"retrain_every": votes})


@pytest.mark.parametrize(
    "bad",
    [
        {"retrain_every": -1},
        {"minutes": "x"},
        {"quiet_from": "25:00"},
        {"quiet_from": "08:00"},  # until when?
        {"unknown": 1},
        {"minutes_votes": 0},
        5,
    ],
)
def test_settings_that_make_no_sense_are_refused_and_the_rest_stays(bad: Any) -> None:
    with pytest.raises(ConfigError, match="settings"):
        changed(Schedule(), bad)
    hours = {"quiet_from": "08:00", "quiet_until": "18:00"}
    assert changed(Schedule(5), hours) == Schedule(5, quiet_from="08:00", quiet_until="18:00")

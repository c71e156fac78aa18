"""How things stand, read at one moment and through one connection: what those need who look again and again."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from sqlite_utils import Database

from storage.database import read
from storage.records import Run
from storage.runs import LATEST, Schedule, runs_in, schedule_in
from storage.vote_collections import open_and_learned_in, open_name_in

COUNTED_FAILURES = 10


@dataclass(frozen=True)
class Overview:
    """Runs, and what waits for the next one."""

    open_run: Run | None  # the one that is queued or running
    latest_run: Run | None  # the newest, whatever became of it
    new_votes: int  # of the open collection, that a run would read and none has claimed; a failed one has its own
    new_demonstrations: int
    schedule: Schedule
    waiting_run: Run | None = None  # the one that is queued once the open one has ended
    failures: int = 0  # runs in a row that failed, of the newest few
    collection: str = ""  # the name of the open one, "" while that is the first
    # Both are looked up only where the schedule waits for a pause in the questions.
    last_asked: str | None = None  # when the newest question was stored
    enough_since: str | None = None  # when the vote was given with which there were enough for a run

    @property
    def anything_new(self) -> bool:
        """Whether a new run would learn from something that no run has used."""
        return self.new_votes + self.new_demonstrations > 0


def overview(path: Path) -> Overview:
    """Return how things stand. However much is stored, only what is new or open is looked at."""
    with read(path) as db:
        of_runs, values = open_and_learned_in(db, "demonstrations")
        unused = f"first_run IS NULL AND withdrawn IS NULL AND {of_runs}"
        schedule = schedule_in(db)
        return Overview(
            open_run=next(runs_in(db, "WHERE status IN ('queued', 'running')"), None),
            latest_run=next(runs_in(db, LATEST), None),
            new_votes=_new_votes(db),
            new_demonstrations=db["demonstrations"].count_where(unused, values),
            schedule=schedule,
            waiting_run=next(runs_in(db, "WHERE status = 'waiting'"), None),
            failures=_failures(db),
            collection=open_name_in(db),
            last_asked=_last_asked(db) if schedule.idle_minutes else None,
            enough_since=_enough_since(db, schedule) if schedule.idle_minutes else None,
        )


def _new_votes(db: Database) -> int:
    """Return how many votes of the open collection wait for a run: all that stand, less those of people left out.

    Counted so, an index answers; asking of each vote whether its annotator is left out takes three times as long.
    """
    new, values = _new(db)
    without = "annotator IN (SELECT id FROM annotators WHERE left_out IS NOT NULL)"
    votes = db["preferences"]
    return int(votes.count_where(new, values) - votes.count_where(f"{new} AND {without}", values))


def _new(db: Database) -> tuple[str, list[str]]:
    """Return what a vote must satisfy to be new, whoever gave it, as SQL with its values."""
    of_runs, values = open_and_learned_in(db, "preferences")
    return f"first_run IS NULL AND withdrawn IS NULL AND left_out IS NULL AND {of_runs}", values


def _last_asked(db: Database) -> str | None:
    """Return when the newest question was stored, by the order of storing: the clock may have been set back."""
    return next(
        (row["created"] for row in db.query("SELECT created FROM comparisons ORDER BY rowid DESC LIMIT 1")), None
    )


def _enough_since(db: Database, schedule: Schedule) -> str | None:
    """Return when the vote was given with which there were enough of new ones, None where there are too few."""
    new, values = _new(db)
    at = f"SELECT created FROM preferences WHERE {new} ORDER BY id LIMIT 1 OFFSET ?"
    return next((row["created"] for row in db.query(at, [*values, max(0, schedule.retrain_every - 1)])), None)


def _failures(db: Database) -> int:
    """Return how many runs failed since the last one that ended otherwise."""
    ended = f"finished IS NOT NULL ORDER BY id DESC LIMIT {COUNTED_FAILURES}"
    statuses = [row["status"] for row in db.query(f"SELECT status FROM runs WHERE {ended}")]
    return len(list(takewhile(lambda status: status == "failed", statuses)))

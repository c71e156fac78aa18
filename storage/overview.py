"""How things stand, read at one moment and through one connection: what those need who look again and again."""

from dataclasses import dataclass
from pathlib import Path

from storage.database import read
from storage.records import Run
from storage.runs import Schedule, runs_in, schedule_in


@dataclass(frozen=True)
class Overview:
    """Runs, and what waits for the next one."""

    open_run: Run | None  # the one that is queued or running
    latest_run: Run | None  # the newest, whatever became of it
    new_votes: int  # standing votes that no run has claimed; a failed run has claimed its own
    new_demonstrations: int
    schedule: Schedule

    @property
    def anything_new(self) -> bool:
        """Whether a new run would learn from something that no run has used."""
        return self.new_votes + self.new_demonstrations > 0


def overview(path: Path) -> Overview:
    """Return how things stand. However much is stored, only what is new or open is looked at."""
    with read(path) as db:
        unused = "first_run IS NULL AND withdrawn IS NULL"
        return Overview(
            open_run=next(runs_in(db, "WHERE status IN ('queued', 'running')"), None),
            latest_run=next(runs_in(db, "ORDER BY id DESC LIMIT 1"), None),
            new_votes=db["preferences"].count_where(unused),
            new_demonstrations=db["demonstrations"].count_where(unused),
            schedule=schedule_in(db),
        )

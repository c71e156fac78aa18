"""Training runs: the row that the page, the supervisor and the child process share."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import now, read, row_id, write
from storage.errors import StorageError
from storage.judgements import COUNTS
from storage.records import Metric, Run, RunStatus
from storage.vote_collections import learned_in

OPEN = ("queued", "running")
RESUMABLE = ("failed", "cancelled")
LATEST = "WHERE status <> 'waiting' ORDER BY id DESC LIMIT 1"


class RunOpenError(StorageError, RuntimeError):
    """A run is already queued or running; `run_id` names it."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"run {run_id} is already queued or running; wait for it or cancel it first")
        self.run_id = run_id


class UnknownRunError(StorageError, LookupError):
    """The run id is not in the database."""


@dataclass(frozen=True)
class Schedule:
    """When training starts by itself."""

    retrain_every: int = 32  # new votes; 0 = never by votes alone
    minutes: float = 0.0  # after the last run; 0 = never by time
    minutes_votes: int = 8  # fewest new votes with which a run starts by time
    quiet_from: str = ""  # time of day, "08:00", from which none starts; "" = no quiet hours
    quiet_until: str = ""
    idle_minutes: float = 0.0  # without a question, for which a run that is due waits; 0 = it does not wait
    idle_wait: float = 60.0  # most minutes that it waits for them


def queue_run(path: Path, method: str, settings: dict[str, Any], annotator_share: float = 1.0) -> int:
    """Queue a run over all votes that count and all standing demonstrations, and return its id.

    Of one annotator's votes it claims at most `annotator_share` of all, the newest ones.

    Raises RunOpenError while another one is open.
    """
    with write(path) as db:
        for row in db["runs"].rows_where("status IN ('queued', 'running')"):
            raise RunOpenError(row["id"])
        run_id = _insert(db, method, settings, "queued")
        _claim(db, run_id, annotator_share)
        return run_id


def queue_next(path: Path, method: str, settings: dict[str, Any]) -> int:
    """Store a run that is queued once the open one has ended, and return its id; it claims what stands by then.

    Raises RunOpenError while another one waits so already, but for the same one, whose id is returned.
    """
    with write(path) as db:
        for run in runs_in(db, "WHERE status = 'waiting'"):
            if (run.method, run.settings) != (method, settings):
                raise RunOpenError(run.id)
            return run.id
        return _insert(db, method, settings, "waiting")


def start_next(path: Path) -> int | None:
    """Queue the run that waits for its turn, over all that stands now, and return its id; None if none waits."""
    with write(path) as db:
        for row in db["runs"].rows_where("status = 'waiting'"):
            db["runs"].update(row["id"], {"status": "queued"})
            _claim(db, row["id"], json.loads(row["settings"]).get("annotator_share", 1.0))
            return int(row["id"])
    return None


def _insert(db: Database, method: str, settings: dict[str, Any], status: RunStatus) -> int:
    cursor = db.conn.execute(
        "INSERT INTO runs (method, settings, status, stage, progress, created) VALUES (?, ?, ?, '', 0, ?)",
        [method, json.dumps(settings), status, now()],
    )
    return row_id(cursor)


def _claim(db: Database, run_id: int, annotator_share: float) -> None:
    """Let a run learn from all votes that count and all demonstrations of the chosen collections and span of time.

    At most a share of the votes is one annotator's.
    """
    for claims, column, (claimable, values) in _claimable(db, annotator_share):
        db.conn.execute(f"INSERT INTO {claims} (run, {column}) SELECT ?, id FROM ({claimable})", [run_id, *values])
    for table, counts in (("preferences", COUNTS), ("demonstrations", "withdrawn IS NULL")):
        learned, bounds = learned_in(db, table)
        unused = f"first_run IS NULL AND {counts} AND {learned}"
        db.conn.execute(f"UPDATE {table} SET first_run = ? WHERE {unused}", [run_id, *bounds])


def _claimable(db: Database, annotator_share: float) -> list[tuple[str, str, tuple[str, list[Any]]]]:
    """Return what a run would claim now: where that is kept, in which column, and the ids, as SQL with its values."""
    learned, values = learned_in(db, "preferences")
    written, since = learned_in(db, "demonstrations")
    most = max(1, int(annotator_share * db["preferences"].count_where(f"{COUNTS} AND {learned}", values)))
    votes = f"""
        SELECT id FROM (
            SELECT id, ROW_NUMBER() OVER (PARTITION BY annotator ORDER BY id DESC) AS nth
            FROM preferences WHERE {COUNTS} AND {learned}
        ) WHERE nth <= ? ORDER BY id
        """
    told = f"SELECT id FROM demonstrations WHERE withdrawn IS NULL AND {written}"
    return [
        ("run_rows", "preference", (votes, [*values, most])),
        ("run_demonstrations", "demonstration", (told, [*since])),
    ]


def learns_the_same(path: Path, run_id: int, annotator_share: float) -> bool:
    """Return whether a run that is queued now would learn from the same votes and demonstrations as this one does."""
    with read(path) as db:
        for claims, column, (claimable, values) in _claimable(db, annotator_share):
            wanted = {row["id"] for row in db.query(claimable, values)}
            if wanted != {row[column] for row in db[claims].rows_where("run = ?", [run_id])}:
                return False
    return True


def requeue_run(path: Path, run_id: int) -> bool:
    """Queue a failed or cancelled run again, over what it claimed; return False if it is neither.

    Raises RunOpenError while another one is open.
    """
    with write(path) as db:
        for row in db["runs"].rows_where("status IN ('queued', 'running') AND id <> ?", [run_id]):
            raise RunOpenError(row["id"])
        cursor = db.conn.execute(
            "UPDATE runs SET status = 'queued', stage = '', progress = 0, error = NULL, finished = NULL, pid = NULL "
            f"WHERE id = ? AND status IN ({', '.join('?' * len(RESUMABLE))})",
            [run_id, *RESUMABLE],
        )
        claimed = [db[table].count_where("run = ?", [run_id]) for table in ("run_rows", "run_demonstrations")]
        if cursor.rowcount == 1 and not any(claimed):  # it was cancelled before its turn came
            for run in runs_in(db, "WHERE id = ?", [run_id]):
                _claim(db, run_id, run.settings.get("annotator_share", 1.0))
        return bool(cursor.rowcount == 1)


_SELECT = """
    SELECT runs.*, (SELECT MAX(version) FROM policies WHERE policies.run = runs.id) AS policy_version,
           (SELECT COUNT(*) FROM run_demonstrations WHERE run_demonstrations.run = runs.id) AS demonstrations
    FROM runs
    """


def runs_in(db: Database, clause: str, arguments: Sequence[Any] = ()) -> Iterator[Run]:
    """Yield the runs that a WHERE, ORDER BY or LIMIT clause selects, through an open connection."""
    for row in db.query(f"{_SELECT} {clause}", arguments):
        known = {name: row[name] for name in Run.__dataclass_fields__}
        dataset = json.loads(row["dataset"]) if row["dataset"] else None
        yield Run(**{**known, "settings": json.loads(row["settings"]), "dataset": dataset})


def get_run(path: Path, run_id: int) -> Run:
    """Return a run, or raise UnknownRunError."""
    with read(path) as db:
        for run in runs_in(db, "WHERE id = ?", [run_id]):
            return run
    raise UnknownRunError(f"there is no run {run_id}; /retrain returns the id of a new one")


def open_run(path: Path) -> Run | None:
    """Return the run that is queued or running, or None."""
    with read(path) as db:
        return next(runs_in(db, "WHERE status IN ('queued', 'running')"), None)


def latest_run(path: Path) -> Run | None:
    """Return the newest run but one that waits for its turn, whatever became of it, or None before the first."""
    with read(path) as db:
        return next(runs_in(db, LATEST), None)


def list_runs(path: Path, limit: int = 20) -> list[Run]:
    """Return the newest runs, newest first."""
    with read(path) as db:
        return list(runs_in(db, "ORDER BY id DESC LIMIT ?", [limit]))


def start_run(path: Path, run_id: int) -> bool:
    """Mark a queued run as running; return False if it is no longer queued."""
    with write(path) as db:
        cursor = db.conn.execute(
            "UPDATE runs SET status = 'running', started = ?, heartbeat = ? WHERE id = ? AND status = 'queued'",
            [now(), now(), run_id],
        )
        return bool(cursor.rowcount == 1)


def set_pid(path: Path, run_id: int, pid: int) -> None:
    """Record the child process of a run."""
    with write(path) as db:
        db["runs"].update(run_id, {"pid": pid})


def run_of_process(path: Path, pid: int) -> int | None:
    """Return the run that a process trains, None while it has none."""
    with read(path) as db:
        row = db.execute("SELECT id FROM runs WHERE status = 'running' AND pid = ?", [pid]).fetchone()
    return int(row[0]) if row else None


def set_dataset(path: Path, run_id: int, dataset: dict[str, Any]) -> None:
    """Record what a run read of people, as a hash and numbers."""
    with write(path) as db:
        db["runs"].update(run_id, {"dataset": json.dumps(dataset)})


def claimed(path: Path, run_id: int) -> int:
    """Return how many votes and demonstrations a run claimed, those taken back since included."""
    with read(path) as db:
        return sum(db[table].count_where("run = ?", [run_id]) for table in ("run_rows", "run_demonstrations"))


def report(path: Path, run_id: int, stage: str, progress: float, metrics: list[Metric] | None = None) -> None:
    """Store where a running run stands, with what it just measured; this is also its heartbeat.

    A run that has ended keeps what it has. A number measured again, as by a resumed run, replaces the earlier one.
    """
    with write(path) as db:
        cursor = db.conn.execute(
            "UPDATE runs SET stage = ?, progress = ?, heartbeat = ? WHERE id = ? AND status = 'running'",
            [stage, progress, now(), run_id],
        )
        if cursor.rowcount == 0:
            return
        for metric in metrics or []:
            again = [run_id, metric.name, metric.step]
            db.conn.execute("DELETE FROM run_metrics WHERE run = ? AND name = ? AND step = ?", again)
        db["run_metrics"].insert_all(
            {"run": run_id, "step": metric.step, "name": metric.name, "value": metric.value} for metric in metrics or []
        )


def end_run(path: Path, run_id: int, status: RunStatus, error: str | None = None) -> bool:
    """Give an open run its last status; return False if it had already ended."""
    with write(path) as db:
        cursor = db.conn.execute(
            "UPDATE runs SET status = ?, error = ?, finished = ? "
            "WHERE id = ? AND status IN ('queued', 'running', 'waiting')",
            [status, error, now(), run_id],
        )
        return bool(cursor.rowcount == 1)


def metrics(path: Path, run_id: int) -> list[Metric]:
    """Return everything a run measured, in the order of measuring: a resumed run measures some steps again."""
    with read(path) as db:
        rows = db["run_metrics"].rows_where("run = ?", [run_id], order_by="id")
        return [Metric(row["step"], row["name"], row["value"]) for row in rows]


def schedule_in(db: Database) -> Schedule:
    """Return the stored schedule, or the default one, through an open connection."""
    for row in db["settings"].rows_where("name = 'schedule'"):
        return Schedule(**json.loads(row["value"]))
    return Schedule()


def set_schedule(path: Path, schedule: Schedule) -> None:
    """Store the schedule; it holds from now on and after a restart."""
    with write(path) as db:
        value = json.dumps(asdict(schedule))
        db["settings"].upsert({"name": "schedule", "value": value}, pk="name")

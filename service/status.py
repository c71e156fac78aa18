"""How things stand, read once a second for everybody who asks."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from alignment.runs.schedule import Decision, decide
from alignment.serving.engine import Engine, EngineState
from storage import policies, runs
from storage.overview import overview
from storage.records import Metric, Policy, Run

log = logging.getLogger(__name__)
MAX_AGE_SECONDS = 1.0
SHOWN_RUNS = 10


@dataclass(frozen=True, eq=False)  # each is itself alone, so that what was made of one can be kept with it
class Snapshot:
    """What the page shows of the model, of votes and of training, as it was at one moment."""

    engine: EngineState
    live: int  # the version that is served
    collection: str  # of votes, the open one, "" while that is the first
    new_votes: int  # in it, that no run has used yet
    new_demonstrations: int
    retrain_every: int  # new votes after which training starts by itself; 0 = never
    waits: Decision  # for what the next training waits
    open_run: Run | None  # the one that is queued or running
    waiting_run: Run | None  # the one that comes after it
    latest_run: Run | None
    produced: Policy | None  # the version that the latest run made
    metrics: tuple[Metric, ...]  # of the latest run, in the order of measuring
    runs: tuple[Run, ...]  # the newest ones, newest first
    policies: tuple[Policy, ...]  # all versions, newest first

    @property
    def may_resume(self) -> bool:
        """Whether the latest run stopped early, made no version, and no other run is open."""
        latest = self.latest_run
        stopped_early = latest is not None and latest.status in runs.RESUMABLE and latest.policy_version is None
        return stopped_early and self.open_run is None


def read_snapshot(db: Path, engine: Engine) -> Snapshot:
    """Return how things stand now."""
    stands, newest, versions = overview(db), runs.list_runs(db, SHOWN_RUNS), policies.list_policies(db)
    latest = stands.latest_run
    return Snapshot(
        engine=engine.state,
        live=engine.live.version,
        collection=stands.collection,
        new_votes=stands.new_votes,
        new_demonstrations=stands.new_demonstrations,
        retrain_every=stands.schedule.retrain_every,
        waits=decide(stands, datetime.now().astimezone()),
        open_run=stands.open_run,
        waiting_run=stands.waiting_run,
        latest_run=latest,
        produced=next((one for one in reversed(versions) if latest and one.run_id == latest.id), None),
        metrics=tuple(runs.metrics(db, latest.id)) if latest else (),
        runs=tuple(newest),
        policies=tuple(versions),
    )


class Status:
    """Keeps the last snapshot for a second. All methods may be called from any thread."""

    def __init__(self, read: Callable[[], Snapshot], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._kept: tuple[Snapshot, float] | None = None  # the snapshot, and when it was read
        self._stale = False

    def now(self) -> Snapshot:
        """Return a snapshot that is at most a second old and holds every write after which `expire` was called.

        While the database cannot be read, as on a full disk, it is the last one.
        """
        with self._lock:
            if self._kept is None or self._stale or self._clock() - self._kept[1] >= MAX_AGE_SECONDS:
                try:
                    self._kept, self._stale = (self._read(), self._clock()), False
                except sqlite3.Error as error:
                    if self._kept is None:
                        raise
                    log.warning("the database cannot be read (%s); the page shows how things stood before", error)
            return self._kept[0]

    def expire(self) -> None:
        """Have the next caller read anew: something was written."""
        with self._lock:  # waits for a reading under way, which may have missed what was written
            self._stale = True


def status_of(db: Path, engine: Engine) -> Status:
    """Return what keeps the snapshot that all callers share."""
    return Status(lambda: read_snapshot(db, engine))

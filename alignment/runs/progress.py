"""How far a run is, as its row in the database shows it."""

import time
from pathlib import Path

from storage import runs
from storage.records import Metric

# Where each stage begins and ends on the progress bar, about in proportion to its time.
STAGES = {"collect": (0.0, 0.02), "reward": (0.02, 0.17), "ppo": (0.17, 0.9), "check": (0.9, 1.0)}
# The same where instruction tuning goes on first.
REFIT_STAGES = STAGES | {"sft": (0.02, 0.15), "reward": (0.15, 0.26), "ppo": (0.26, 0.9)}
REPORT_SECONDS = 0.5


class Reporter:
    """Writes the run's stage, progress and metrics to its row, a few times a second at most."""

    def __init__(self, db: Path, run_id: int) -> None:
        self._db, self._run_id = db, run_id
        self._pending: list[Metric] = []
        self._last = 0.0
        self._at = ("collect", 0.0)
        self.stages = STAGES

    def __call__(
        self, stage: str, done: float, step: int = 0, metrics: dict[str, float] | None = None, *, now: bool = False
    ) -> None:
        """Note that `done` (0 to 1) of a stage is behind, and what was measured at a step."""
        self._at = stage, done
        self._pending += [Metric(step, name, value) for name, value in (metrics or {}).items()]
        if not now and time.monotonic() - self._last < REPORT_SECONDS:
            return
        low, high = self.stages[stage]
        runs.report(self._db, self._run_id, stage, low + (high - low) * done, self._pending)
        self._pending, self._last = [], time.monotonic()

    def beat(self) -> None:
        """Give a sign of life from where the run stands."""
        self(*self._at)

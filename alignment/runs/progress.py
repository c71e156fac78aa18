"""Writes a run's progress, metrics and heartbeat to its row."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel

from alignment.models.architecture import trunk
from alignment.runs.methods import progress_spans
from storage import runs
from storage.records import Metric

REPORT_SECONDS = 0.5


class Reporter:
    """Writes the run's stage, progress and metrics to its row, a few times a second at most."""

    def __init__(
        self, db: Path, run_id: int, stages: Sequence[str], also: Callable[[Sequence[Metric]], None] | None = None
    ) -> None:
        self._db, self._run_id = db, run_id
        self._also = also  # writes what was measured elsewhere too
        self._spans = progress_spans(stages)
        self._pending: list[Metric] = []
        self._last = 0.0
        self._at = (stages[0], 0.0)

    def __call__(
        self, stage: str, done: float, step: int = 0, metrics: dict[str, float] | None = None, *, now: bool = False
    ) -> None:
        """Note that `done` (0 to 1) of a stage is behind, and what was measured at a step."""
        self._at = stage, done
        self._pending += [Metric(step, name, value) for name, value in (metrics or {}).items()]
        if not now and time.monotonic() - self._last < REPORT_SECONDS:
            return
        low, high = self._spans[stage]
        runs.report(self._db, self._run_id, stage, low + (high - low) * done, self._pending)
        if self._also is not None and self._pending:
            self._also(self._pending)
        self._pending, self._last = [], time.monotonic()

    def beat(self) -> None:
        """Give a sign of life from where the run stands."""
        self(*self._at)


class SilentReporter(Reporter):
    """Writes nothing: where several processes train a run, the first one reports."""

    def __call__(
        self, stage: str, done: float, step: int = 0, metrics: dict[str, float] | None = None, *, now: bool = False
    ) -> None:
        """Leave it to the first one."""


@contextmanager
def heartbeat(model: PeftModel, report: Reporter) -> Iterator[None]:
    """Give a sign of life at every forward pass of the model until the context is left.

    Whatever takes long in a run passes through the model: every decoded token, every pass that measures, every
    minibatch that trains.
    """
    hook = trunk(model).register_forward_hook(lambda *_: report.beat())
    try:
        yield
    finally:
        hook.remove()

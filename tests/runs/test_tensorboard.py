"""Metrics for TensorBoard: written beside the database where a setting asks for it, refused without the package."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from alignment.errors import ConfigError
from alignment.runs import tensorboard
from alignment.runs.progress import Reporter
from alignment.runs.settings import RunSettings, require_trains, run_settings
from storage import database, runs
from storage.records import Metric


class Writer:
    """Stands for the package's, which is no dependency."""

    written: ClassVar[list[tuple[str, float, int]]] = []

    def __init__(self, folder: str) -> None:
        self.written.clear()

    def add_scalar(self, *scalar: object) -> None:
        self.written.append(scalar)  # type: ignore[arg-type]

    def flush(self) -> None:
        pass


def test_what_a_run_reports_is_written_to_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))  # type: ignore[arg-type]
    db = tmp_path / "triptych.db"
    database.prepare(db)
    run = runs.queue_run(db, "ppo", {})
    runs.start_run(db, run)
    report = Reporter(db, run, ("collect", "ppo"), tensorboard.event_writer(tmp_path / "events"))
    report("collect", 0.0, now=True)
    report("ppo", 0.5, 3, {"objective/kl": 1.5}, now=True)
    report.beat()
    assert Writer.written == [("objective/kl", 1.5, 3)]
    assert runs.metrics(db, run) == [Metric(3, "objective/kl", 1.5)]


def test_without_the_package_a_run_that_asks_for_it_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = run_settings({"tensorboard": True})
    monkeypatch.setattr(tensorboard, "installed", lambda: False)
    with pytest.raises(ConfigError, match="the package tensorboard is not installed; install it with"):
        require_trains("ppo", wanted)
    require_trains("ppo", RunSettings())
    monkeypatch.setattr(tensorboard, "installed", lambda: True)
    require_trains("ppo", wanted)

"""Two workers train a run to a candidate, started by torchrun or, where it is installed, by a Ray of their own."""

import importlib.util
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.runs import groups
from alignment.runs.child import DISK_FULL
from alignment.runs.groups import RESTARTS, train_together
from alignment.runs.process import start_group
from alignment.settings import ModelConfig
from storage import database, policies, runs
from tests.runs.test_job import model as model  # a fixture
from tests.runs.test_job import started

RAY = os.environ.get("TRIPTYCH_TEST_RAY", "local")  # address of a cluster on this machine; local starts one
NO_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
PATIENCE_SECONDS = 900


class LostError(Exception):
    pass


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder in which run 1 is under way."""
    db = database.file_in(tmp_path)
    database.prepare(db)
    runs.queue_run(db, "ppo", {"workers": 2})
    runs.start_run(db, 1)
    return tmp_path


def losing(times: int, meanwhile: Callable[[], object] = lambda: None) -> tuple[Callable[[], None], list[int]]:
    """Return what starts a group that loses a worker the first times, and the list of its starts."""
    starts: list[int] = []

    def start() -> None:
        starts.append(len(starts))
        if len(starts) <= times:
            meanwhile()
            raise LostError

    return start, starts


def test_a_group_that_lost_a_worker_is_started_again(data_dir: Path) -> None:
    start, starts = losing(RESTARTS)
    assert train_together(start, LostError, data_dir, 1) == 0
    assert len(starts) == RESTARTS + 1


def test_a_group_that_loses_workers_again_and_again_is_given_up(data_dir: Path) -> None:
    start, starts = losing(RESTARTS + 1)
    with pytest.raises(LostError):
        train_together(start, LostError, data_dir, 1)
    assert len(starts) == RESTARTS + 1


def test_a_full_disk_ends_a_group_at_once_and_by_its_name(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "disk_full", lambda folder: folder == data_dir)
    start, starts = losing(1)
    assert train_together(start, LostError, data_dir, 1) == DISK_FULL
    assert len(starts) == 1


def test_a_group_whose_run_has_ended_is_not_started_again(data_dir: Path) -> None:
    start, starts = losing(1, lambda: runs.end_run(database.file_in(data_dir), 1, "failed", "the votes are gone"))
    with pytest.raises(LostError):
        train_together(start, LostError, data_dir, 1)
    assert len(starts) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ray", ["", pytest.param(RAY, marks=NO_RAY)], ids=["torchrun", "ray"])
def test_two_workers_train_a_run_to_a_candidate(ray: str, tmp_path: Path, model: ModelConfig) -> None:
    db = started(tmp_path, model, "ppo", votes=6)
    process = start_group(tmp_path, model, 1, 2, ray)
    try:
        process.popen.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    process.close()
    log = tmp_path / "runs" / "run-000001" / "log.txt"
    said = [path.read_text()[-3000:] for path in (log, tmp_path / "runs" / "waiting-log.txt") if path.is_file()]
    assert process.popen.returncode == 0, said
    made = policies.version_made_by(db, 1)
    assert made is not None and made.version == 2, said
    updates = [one.step for one in runs.metrics(db, 1) if one.name == "objective/score"]
    assert len(updates) == len(set(updates)), "a worker that is not the first one has reported as well"

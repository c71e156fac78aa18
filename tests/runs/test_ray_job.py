"""A run as a job of a Ray cluster, whose client is scripted here: it is submitted, waited for and stopped."""

import time
from pathlib import Path

import pytest

from alignment.runs.process import start_group
from alignment.settings import POCKET_MODEL
from storage import database, runs
from tests.harness.app import ROOT
from tests.harness.disks import disk_of, fill_up

PATIENCE_SECONDS = 120
CLIENT = """
from enum import Enum
from pathlib import Path

HERE = Path(__file__).parents[2]


class JobStatus(str, Enum):
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    def is_terminal(self):
        return self is not JobStatus.RUNNING


class JobSubmissionClient:
    def __init__(self, address):
        if "nowhere" in address:
            raise ConnectionError("Failed to connect to Ray")

    def submit_job(self, entrypoint, submission_id):
        (HERE / "submitted").write_text(entrypoint)

    def get_job_status(self, job):
        return JobStatus((HERE / "status").read_text())

    def get_job_logs(self, job):
        return "what the driver printed"

    def stop_job(self, job):
        (HERE / "stopped").write_text(job)
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scripted `ray` in it, that keeps what it is asked and reads from `status` what it says."""
    package = tmp_path / "ray" / "job_submission"
    package.mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").touch()
    (tmp_path / "ray" / "train").mkdir()
    (tmp_path / "ray" / "train" / "__init__.py").write_text("RunConfig = ScalingConfig = None")
    (tmp_path / "ray" / "train" / "torch.py").write_text("TorchConfig = TorchTrainer = None")
    (package / "__init__.py").write_text(CLIENT)
    (tmp_path / "status").write_text("RUNNING")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def queued(data_dir: Path) -> Path:
    """Return the database of a data folder in which run 1 is under way."""
    db = database.file_in(data_dir)
    database.prepare(db)
    runs.queue_run(db, "ppo", {"workers": 2})
    runs.start_run(db, 1)
    return db


def appeared(path: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not path.is_file():
        assert time.monotonic() < until, f"waited in vain for {path.name}"
        time.sleep(0.05)


def test_a_run_is_submitted_as_a_job_and_ends_with_it(cluster: Path) -> None:
    data_dir = cluster / "data"
    queued(data_dir)
    process = start_group(data_dir, POCKET_MODEL, 1, 2, "http://head:8265")
    appeared(cluster / "submitted")
    command = (cluster / "submitted").read_text()
    assert command.startswith(f'cd {ROOT} && export RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S="${{RAY_TRAIN')
    for part in ("alignment.runs.ray_group --submitted --address auto", f"--data-dir {data_dir}", "--run-number 1"):
        assert part in command
    assert process.cause_of_end() is None
    (cluster / "status").write_text("FAILED")
    process.popen.wait(PATIENCE_SECONDS)
    process.close()
    assert process.cause_of_end() == "ended with code 1"
    assert "what the driver printed" in (data_dir / "runs" / "waiting-log.txt").read_text()


def test_a_job_that_found_the_disk_full_is_named_so(cluster: Path, tmp_path: Path) -> None:
    with disk_of(8, tmp_path / "small") as data_dir:
        queued(data_dir)
        process = start_group(data_dir, POCKET_MODEL, 1, 2, "http://head:8265")
        appeared(cluster / "submitted")
        fill_up(data_dir)
        (cluster / "status").write_text("FAILED")
        process.popen.wait(PATIENCE_SECONDS)
        process.close()
        assert process.cause_of_end() == "found the disk of the data folder full"


@pytest.mark.parametrize("how", ["cancelled", "the app is gone"])
def test_a_job_is_stopped_with_the_run(cluster: Path, how: str) -> None:
    queued(cluster / "data")
    process = start_group(cluster / "data", POCKET_MODEL, 1, 2, "http://head:8265")
    appeared(cluster / "submitted")
    if how == "cancelled":
        process.kill()
    else:
        process.close()
        process.popen.wait(PATIENCE_SECONDS)
    assert (cluster / "stopped").read_text() == f"triptych-run-1-{process.pid}"


@pytest.mark.parametrize("address", ["http://nowhere:8265", "127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_fails_the_run_in_words(cluster: Path, address: str) -> None:
    db = queued(cluster / "data")
    process = start_group(cluster / "data", POCKET_MODEL, 1, 2, address)
    process.popen.wait(PATIENCE_SECONDS)
    process.close()
    assert f"no Ray cluster answers at {address} (" in (runs.get_run(db, 1).error or "")


@pytest.mark.parametrize("address", ["http://head:8265", "local"])
def test_without_ray_the_run_fails_and_says_what_to_install(cluster: Path, address: str) -> None:
    (cluster / "ray" / "__init__.py").write_text("raise ImportError('a package is missing')")
    db = queued(cluster / "data")
    process = start_group(cluster / "data", POCKET_MODEL, 1, 2, address)
    process.popen.wait(PATIENCE_SECONDS)
    process.close()
    error = runs.get_run(db, 1).error or ""
    assert "Ray cannot be used here (a package is missing); pip install 'ray[default]' tensorboardX" in error

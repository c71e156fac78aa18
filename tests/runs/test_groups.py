"""Two workers train a run to a candidate, started by torchrun or, where it is installed, by a Ray of their own."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from alignment.runs.process import start_group
from alignment.settings import ModelConfig
from storage import policies, runs
from tests.runs.test_job import model as model  # a fixture
from tests.runs.test_job import started

RAY = os.environ.get("TRIPTYCH_TEST_RAY", "local")  # address of a cluster on this machine; local starts one
NO_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
PATIENCE_SECONDS = 900


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

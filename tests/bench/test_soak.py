"""Twenty minutes of the soak, and one that is cut off."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.bench.soak import soaked
from tests.harness.app import ROOT

MINUTES = 20.0
FEWEST_RUNS = 3
MOST_GROWTH = 1.5  # of the app's memory, from the first look, after the first answers, to the last
MORE_THREADS = 40  # so many carry calls at most, and they come and go
STOPPED, CRASHED = "The app was stopped", "The training process"  # with which why a run failed begins


@pytest.mark.slow
def test_with_a_public_and_no_hand_the_app_trains_says_why_and_does_not_grow(
    record_property: Callable[[str, object], None],
) -> None:
    found = soaked("pocket", MINUTES)
    record_property("soak", json.dumps(found))
    assert found["errors"] == 0, found["first errors"]
    runs = [run for run in found["runs"] if run["status"] in ("succeeded", "rejected", "failed")]
    ended = [run for run in runs if not str(run["why"]).startswith((STOPPED, CRASHED))]
    assert len(ended) >= FEWEST_RUNS, runs
    assert not [run for run in runs if str(run["why"]).startswith(CRASHED)]
    assert not [run for run in runs if run["status"] != "succeeded" and not run["why"]]
    first, last = found["looks"][0], found["looks"][-1]
    assert last["memory MB"] <= MOST_GROWTH * first["memory MB"], found["looks"]
    assert last["threads"] <= first["threads"] + MORE_THREADS, found["looks"]


@pytest.mark.slow
def test_one_that_is_cut_off_prints_what_it_found_until_then() -> None:
    command = [sys.executable, "-m", "tests.bench.soak", "--minutes", "30"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as soak:
        assert soak.stderr is not None
        look = json.loads(soak.stderr.readline())
        os.kill(soak.pid, signal.SIGTERM)
        told, _ = soak.communicate(timeout=300)
    found = json.loads(told)
    assert found["looks"] == [look] and found["minutes"] < 30 and soak.returncode == 0

"""A run that two processes train: torchrun or Ray starts them, one is killed, and a version is served all the same."""

import importlib.util
import os
import signal
from pathlib import Path

import psutil
import pytest
from gradio_client import Client

from storage import preferences, run_folder, runs
from storage.records import Comparison, Completion
from tests.e2e.test_loop import SMALL_RUN
from tests.harness.app import running_app
from tests.harness.endpoints import compare, retrain, wait_for, wait_for_run
from tests.harness.loop import voting_prompts

ANSWERS = ("Lima, my friend! I am happy to tell you that.", "It is Lima.", "Lima")
PATIENCE = 900.0
RAY = os.environ.get("TRIPTYCH_TEST_RAY", "local")  # address of a cluster on this machine; local starts one
NO_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
WORKERS = ("alignment.runs.job", "RayTrainWorker")  # in the command line of a worker
# What is measured here is that it ends: fewer prompts than those that teach something.
RUN = SMALL_RUN | {
    "raft": {**SMALL_RUN["raft"], "prompts": 24, "max_new_tokens": 32},
    "ppo": {**SMALL_RUN["ppo"], "max_new_tokens": 32},
    "reward": {"least_certainty": 0, "least_evidence": 0},
    "gate": {"max_refusal_drop": 1.0, "max_help_drop": 1.0, "max_accuracy_drop": 1.0, "max_ended_drop": 1.0},
}


def store_votes(db: Path, count: int) -> None:
    """Store votes for the friendliest of three answers to some prompts."""
    for number, check in enumerate(voting_prompts()[:count]):
        shown = [
            Completion(slot, "sft", None, text, [1], 0, {}, "stop", 0.1, 0.2)
            for slot, text in zip("ABC", ANSWERS, strict=True)
        ]
        preferences.save_comparison(db, Comparison(f"c{number}", check.messages, "compare", False, shown))
        preferences.save_preference(
            db, comparison_id=f"c{number}", annotator_id="ann", tiers=[["A"], ["B", "C"]], kind="choice"
        )


def workers_of(run_pid: int) -> list[psutil.Process]:
    """Return the processes that train a run; torchrun or a Ray of the run's own started them, or a cluster did."""
    below = psutil.Process(run_pid).children(recursive=True)
    if not any("torch_group" in word for word in psutil.Process(run_pid).cmdline()) and RAY != "local":
        below = list(psutil.process_iter())
    started = [one for one in below if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in started if any(name in " ".join(one.cmdline()) for name in WORKERS)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [(), pytest.param(("--ray", RAY), marks=NO_RAY)],
    ids=lambda launcher: "ray" if launcher else "torchrun",
)
def test_a_run_of_two_processes_ends_in_a_served_version_although_one_is_killed(
    launcher: tuple[str, ...], tmp_path: Path
) -> None:
    with running_app(tmp_path, "--model", "pocket", "--seed", "1", "--workers", "2", *launcher) as app:
        db = tmp_path / "triptych.db"
        runs.set_schedule(db, runs.Schedule(0))
        store_votes(db, 12)
        client = Client(app.url, verbose=False)
        run_id = retrain(client, "ppo", RUN)
        kept = run_folder.raft_checkpoint(run_folder.folder_of(tmp_path, run_id))
        wait_for(lambda: kept.is_file() or None, "a first checkpoint", PATIENCE)
        pid = runs.get_run(db, run_id).pid
        assert pid is not None
        first, second = workers_of(pid)
        second.send_signal(signal.SIGKILL)
        wait_for(lambda: not (first.is_running() or second.is_running()) or None, "the others to leave")
        state = wait_for_run(client, run_id, PATIENCE)
        assert (state["status"], state["policy_version"]) == ("succeeded", 2), state
        (answer,) = compare(client, "What is the capital city of Peru?", ["rlhf"], 5)["completions"]
        assert answer["policy_version"] == 2
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]

"""A run that two processes train: torchrun starts them, one of them is killed, and a version is served all the same."""

import signal
from pathlib import Path

import psutil
import pytest
from gradio_client import Client

from recipes.pocket.labelers import friendliest
from storage import run_folder, runs
from tests.e2e.test_loop import SMALL_RUN, VOTED_ON
from tests.harness.app import running_app
from tests.harness.endpoints import compare, retrain, wait_for, wait_for_run
from tests.harness.labeler import Labeler
from tests.harness.loop import cast_votes, voting_prompts

VOTES = 12


def workers_of(run_pid: int) -> list[psutil.Process]:
    """Return the processes that train a run, the first one first; torchrun is their parent."""
    return [one for one in psutil.Process(run_pid).children() if "alignment.runs.job" in one.cmdline()]


@pytest.mark.slow
def test_a_run_of_two_processes_ends_in_a_served_version_although_one_is_killed(tmp_path: Path) -> None:
    with running_app(tmp_path, "--model", "pocket", "--seed", "1", "--workers", "2") as app:
        db = tmp_path / "triptych.db"
        runs.set_schedule(db, runs.Schedule(0))
        client = Client(app.url, verbose=False)
        assert cast_votes(client, Labeler(friendliest, VOTES, VOTES // 4), voting_prompts(), VOTED_ON) == VOTES
        run_id = retrain(client, "ppo", SMALL_RUN)
        kept = run_folder.raft_checkpoint(run_folder.folder_of(tmp_path, run_id))
        wait_for(lambda: kept.is_file() or None, "a first checkpoint")
        pid = runs.get_run(db, run_id).pid
        assert pid is not None
        first, second = workers_of(pid)
        second.send_signal(signal.SIGKILL)
        wait_for(lambda: (len(workers_of(pid)) == 2 and second not in workers_of(pid)) or None, "new workers")
        assert not first.is_running()
        state = wait_for_run(client, run_id)
        assert (state["status"], state["policy_version"]) == ("succeeded", 2), state
        assert (
            compare(client, "What is the capital city of Peru?", ["rlhf"], 5)["completions"][0]["policy_version"] == 2
        )
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in (one.info["cmdline"] or [])]

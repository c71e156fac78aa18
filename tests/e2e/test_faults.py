"""What goes wrong while the real app trains: killed processes, a full disk, a locked database, a clock set back.

Each time chat serves on or comes back by itself, no vote is lost, and what is said of the run is true.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from storage import policies, preferences, run_folder, runs
from storage.records import Run
from tests.e2e.test_loop import pid_of
from tests.e2e.test_workers import RUN, store_votes
from tests.harness.app import RunningApp, running_app
from tests.harness.disk import fill_up, small_disk
from tests.harness.endpoints import admin_token, compare, retrain, run_state, wait_for, wait_for_run
from tests.storage.test_locked_database import locked

pytestmark = pytest.mark.slow

VOTES = 12
PATIENCE = 900.0
LOCKED_SECONDS = 10.0
CLOCK = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")  # of Debian's package faketime
POCKET = ("--model", "pocket", "--seed", "1")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def db(data_dir: Path) -> Path:
    return data_dir / "triptych.db"


@pytest.fixture
def app(data_dir: Path, db: Path) -> Iterator[RunningApp]:
    """The app with some votes, which starts no run by itself."""
    with running_app(data_dir, *POCKET) as app:
        prepare(db)
        yield app


def prepare(db: Path) -> None:
    runs.set_schedule(db, runs.Schedule(0))
    store_votes(db, VOTES)


def reaches(db: Path, run_id: int, stage: str) -> Run:
    """Return the run once it is at a stage."""

    def there() -> Run | None:
        run = runs.get_run(db, run_id)
        assert run.status in runs.OPEN, run.error
        return run if run.stage == stage else None

    return wait_for(there, f"run {run_id} to reach {stage}", PATIENCE, pause=0.02)


def answers(client: Client) -> int:
    """Return the version that answers a question now."""
    (answer,) = compare(client, "What is the capital city of Peru?", ["rlhf"], 5)["completions"]
    assert answer["text"]
    return int(answer["policy_version"])


def votes(db: Path) -> int:
    return len(preferences.rankings(db))


def resume(client: Client, run_id: int) -> None:
    assert client.predict(admin_token(client), run_id, api_name="/resume")["status"] in runs.OPEN


def ends_well(client: Client, db: Path, run_id: int) -> None:
    """Wait until a run has succeeded: it made one version, which answers."""
    state = wait_for_run(client, run_id, PATIENCE)
    assert (state["status"], state["policy_version"], state["error"]) == ("succeeded", 2, None)
    assert {one.version: one.status for one in policies.list_policies(db)} == {1: "retired", 2: "live"}
    assert answers(client) == 2
    assert len(runs.list_runs(db)) == 1


def test_a_child_killed_at_every_stage_goes_on_when_resumed_and_a_version_cut_short_gives_way(
    data_dir: Path, db: Path
) -> None:
    with running_app(data_dir, *POCKET) as app:
        prepare(db)
        client = Client(app.url, verbose=False)
        run_id = retrain(client, "ppo", RUN)
        for stage in ("collect", "reward", "raft", "ppo", "check"):
            reaches(db, run_id, stage)
            os.kill(pid_of(db, run_id), signal.SIGKILL)
            state = wait_for_run(client, run_id, PATIENCE)
            assert (state["status"], state["stage"]) == ("failed", stage)
            assert "killed by signal 9" in state["error"] and "Resume it" in state["error"]
            assert (answers(client), votes(db)) == (1, VOTES)
            resume(client, run_id)
        ends_well(client, db, run_id)
    weights = data_dir / policies.get_policy(db, 2).path / "adapter_model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    with running_app(data_dir, *POCKET) as app:
        client = Client(app.url, verbose=False)
        assert (answers(client), votes(db)) == (1, VOTES)
        told = {one["version"]: one for one in client.predict(api_name="/policies")["versions"]}
        assert told[2]["damaged"] and told[1]["status"] == "live"


def test_an_app_killed_while_a_run_goes_on_finds_it_and_it_is_finished_once(data_dir: Path, db: Path) -> None:
    with running_app(data_dir, *POCKET) as app:
        prepare(db)
        client = Client(app.url, verbose=False)
        run_id = retrain(client, "ppo", RUN)
        kept = run_folder.raft_checkpoint(run_folder.folder_of(data_dir, run_id))
        wait_for(lambda: kept.is_file() or None, "a first checkpoint", PATIENCE)
        child = pid_of(db, run_id)
        os.kill(app.process.pid, signal.SIGKILL)
        app.process.wait()
        wait_for(lambda: None if alive(child) else True, "the child to leave")
    with running_app(data_dir, *POCKET) as app:
        client = Client(app.url, verbose=False)
        state = run_state(client, run_id)
        assert state["status"] == "failed" and "The app was stopped" in state["error"]
        assert (answers(client), votes(db)) == (1, VOTES)
        resume(client, run_id)
        ends_well(client, db, run_id)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("left", [1_000_000, 0])  # bytes: too few for the checkpoint, or for anything
def test_a_disk_that_is_full_at_a_checkpoint_fails_the_run_which_goes_on_once_there_is_room(
    tmp_path: Path, left: int
) -> None:
    with small_disk(tmp_path / "small", megabytes=64) as disk, running_app(disk, *POCKET) as app:
        db = disk / "triptych.db"
        prepare(db)
        client = Client(app.url, verbose=False)
        run_id = retrain(client, "ppo", RUN)
        reaches(db, run_id, "raft")
        child = pid_of(db, run_id)
        ballast = fill_up(disk, left)
        wait_for(lambda: None if alive(child) else True, "the child to end", PATIENCE)
        if left:
            assert (answers(client), run_state(client, run_id)["status"]) == (1, "failed")
        else:
            with pytest.raises(AppError, match="Make room on the disk"):
                answers(client)
        ballast.unlink()
        state = wait_for_run(client, run_id, PATIENCE)
        assert state["status"] == "failed"
        assert ("No space left on device" if left else "ended with code 1") in state["error"]
        assert (answers(client), votes(db)) == (1, VOTES)
        resume(client, run_id)
        ends_well(client, db, run_id)


def test_a_database_locked_for_ten_seconds_holds_up_votes_and_the_run_and_loses_neither(
    app: RunningApp, db: Path
) -> None:
    client = Client(app.url, verbose=False)
    shown = compare(client, "What is the capital city of Peru?", ["sft", "rlhf"], 5)
    run_id = retrain(client, "ppo", RUN)
    reaches(db, run_id, "raft")
    told: list[dict[str, object]] = []
    voting = threading.Thread(
        target=lambda: told.append(client.predict(shown["comparison_id"], "A", "simulated", api_name="/vote"))
    )
    with locked(db):
        voting.start()
        time.sleep(LOCKED_SECONDS)
        assert told == []
    voting.join()
    assert told[0]["new_since_last_run"] == 1 and votes(db) == VOTES + 1
    ends_well(client, db, run_id)


def test_a_clock_set_back_by_a_day_ends_no_run_no_token_and_no_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not CLOCK.exists():
        pytest.skip("libfaketime is not installed (Debian: apt install faketime)")
    data_dir, shift = tmp_path / "data", tmp_path / "shift"
    data_dir.mkdir()
    shift.write_text("+0")
    values = {"LD_PRELOAD": str(CLOCK), "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_NO_CACHE": "1"}
    for name, value in (values | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}).items():
        monkeypatch.setenv(name, value)
    db = data_dir / "triptych.db"
    with running_app(data_dir, *POCKET) as app:
        prepare(db)
        client = Client(app.url, verbose=False)
        token = admin_token(client)
        run_id = int(client.predict(token, "ppo", RUN, api_name="/retrain")["run_id"])
        started = reaches(db, run_id, "raft").started
        shift.write_text("-1d")
        ends_well(client, db, run_id)
        ended = runs.get_run(db, run_id).finished
        assert started and ended and datetime.fromisoformat(ended) < datetime.fromisoformat(started)
        store_votes_again(client)
        assert votes(db) == VOTES + 2
        client.predict(token, {"retrain_every": 2}, api_name="/schedule")
        wait_for(lambda: runs.open_run(db), "the run that is due")


def store_votes_again(client: Client) -> None:
    for seed in (1, 2):
        shown = compare(client, "What is the capital city of Chile?", ["base", "sft"], seed)
        client.predict(shown["comparison_id"], "B", "simulated", api_name="/vote")

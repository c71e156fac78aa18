"""What breaks under a real app with a real training child: chat goes on or comes back, no vote is lost, runs end once.

The model is a tiny one of random weights, so that what is waited for is processes, not arithmetic.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from storage import database, policies, preferences, runs
from tests.e2e.test_workers import NO_RAY, store_votes
from tests.harness.app import ROOT, RunningApp, free_port, running_app
from tests.harness.clocks import WallClock
from tests.harness.disks import disk_of, fill_up
from tests.harness.endpoints import admin_token, compare, retrain, run_state, wait_for, wait_for_run

VOTES, TOKENS = 12, 8
RUN: dict[str, Any] = {
    "minutes": 0.0,
    "diversity_prompts": 0,
    "reward": {"least_certainty": 0, "least_evidence": 0},
    "raft": {
        "rounds": 4,
        "averaged_rounds": 1,
        "prompts": 8,
        "samples": 2,
        "minibatches": 2,
        "max_new_tokens": TOKENS,
        "max_kl": 1e6,
        "max_entropy": 100.0,
    },
    "ppo": {
        "updates": 3,
        "rollouts": 8,
        "samples": 2,
        "minibatches": 2,
        "max_new_tokens": TOKENS,
        "max_kl": 1e6,
        "max_entropy": 100.0,
    },
    "gate": {
        "max_kl": 1e6,
        "max_accuracy_drop": 1.0,
        "max_refusal_drop": 1.0,
        "max_help_drop": 1.0,
        "max_ended_drop": 1.0,
        "least_liked": 0.0,
    },
}


@contextmanager
def tiny_app(folder: Path, model: Path, *arguments: str) -> Iterator[tuple[RunningApp, Client, Path]]:
    """Start the app with the tiny model on a folder; yield it, a client of it and its database."""
    with running_app(folder, "--model", str(model), "--seed", "1", *arguments) as app:
        client, db = Client(app.url, verbose=False), database.file_in(folder)
        runs.set_schedule(db, runs.Schedule(0))
        answer(client)
        yield app, client, db


def answer(client: Client, seed: int = 1) -> dict[str, Any]:
    """Return a comparison that has ended, once the model is loaded."""
    return compare(client, "What is the capital city of Peru?", ["sft", "rlhf"], seed)


def live(client: Client) -> int:
    """Return the version that answers, after what `/policies` says of it was compared with what an answer says."""
    said = int(client.predict(api_name="/policies")["live"])
    assert answer(client)["completions"][1]["policy_version"] == said
    return said


def vote(client: Client) -> int:
    """Cast a vote; return its number once it is acknowledged."""
    return int(client.predict(answer(client)["comparison_id"], "A", api_name="/vote")["preference_id"])


def stored(db: Path) -> set[int]:
    """Return the numbers of all votes that stand, after a look at whether the database is whole."""
    with closing(sqlite3.connect(db)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return {ranking.preference_id for ranking in preferences.rankings(db)}


def reached(db: Path, run: int, stage: str) -> int:
    """Return the process of a run once it is in a stage."""

    def look() -> int | None:
        row = runs.get_run(db, run)
        assert row.status in ("queued", "running"), f"run {run} ended as {row.status}: {row.error}"
        return row.pid if row.stage == stage else None

    return wait_for(look, f"run {run} to be at {stage}", 1800, 0.005)


def ended(child: int) -> bool:
    """Return whether a process has ended, although the app may not have asked how."""
    return not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_a_child_killed_at_any_stage_leaves_the_old_version_and_the_run_goes_on_when_resumed(
    tmp_path: Path, tiny_folder: Path
) -> None:
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        store_votes(db, VOTES)
        acknowledged = {vote(client)}
        run = retrain(client, "ppo", RUN)
        for stage in ("collect", "reward", "raft", "ppo", "check"):
            os.kill(reached(db, run, stage), signal.SIGKILL)
            state = wait_for_run(client, run)
            assert state["status"] == "failed" and "killed by signal 9" in state["error"], (stage, state)
            assert live(client) == 1
            acknowledged.add(vote(client))
            client.predict(admin_token(client), run, api_name="/resume")
        state = wait_for_run(client, run)
        assert (state["status"], state["policy_version"], live(client)) == ("succeeded", 2, 2), state
        assert [policy.version for policy in policies.list_policies(db)] == [2, 1]
        assert acknowledged <= stored(db) and len(stored(db)) == VOTES + len(acknowledged)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["raft", "check"])
def test_an_app_killed_while_a_run_goes_on_marks_it_and_it_is_resumed_not_doubled(
    stage: str, tmp_path: Path, tiny_folder: Path
) -> None:
    with tiny_app(tmp_path, tiny_folder) as (app, client, db):
        store_votes(db, VOTES)
        acknowledged = vote(client)
        run = retrain(client, "ppo", RUN)
        child = psutil.Process(reached(db, run, stage))
        app.process.kill()
        app.process.wait()
        child.wait(60)  # it leaves with the app
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        state = run_state(client, run)
        if state["status"] == "failed":
            assert "app" in state["error"], state
            assert live(client) == 1
            client.predict(admin_token(client), run, api_name="/resume")
            state = wait_for_run(client, run)
        assert (state["status"], live(client)) == ("succeeded", 2), state  # or its version was recorded in time
        assert [policy.version for policy in policies.list_policies(db)] == [2, 1]
        assert len(runs.list_runs(db)) == 1
        assert acknowledged in stored(db) and len(stored(db)) == VOTES + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [(), ("--workers", "2"), pytest.param(("--workers", "2", "--ray", "local"), marks=NO_RAY)],
    ids=["one process", "torchrun", "ray"],
)
def test_a_disk_that_is_full_at_a_checkpoint_ends_the_run_in_words_and_all_goes_on_with_room(
    launcher: tuple[str, ...], tmp_path: Path, tiny_folder: Path
) -> None:
    with (
        disk_of(48, tmp_path / "small") as small_disk,
        tiny_app(small_disk, tiny_folder, *launcher) as (_, client, db),
    ):
        store_votes(db, VOTES)
        acknowledged = {vote(client)}
        run = retrain(client, "ppo", RUN)
        child = reached(db, run, "raft")
        fill_up(small_disk)
        wait_for(lambda: ended(child) or None, "the child to leave", 900)
        with pytest.raises(AppError, match="Make room on the disk"):
            answer(client)
        (small_disk / "rest").unlink()
        assert live(client) == 1
        state = wait_for_run(client, run)
        assert state["status"] == "failed" and "found the disk of the data folder full" in state["error"], state
        acknowledged.add(vote(client))
        client.predict(admin_token(client), run, api_name="/resume")
        state = wait_for_run(client, run)
        assert (state["status"], live(client)) == ("succeeded", 2), state
        assert acknowledged <= stored(db)


@pytest.mark.slow
def test_a_live_version_whose_file_was_cut_short_is_not_served_at_the_next_start(
    tmp_path: Path, tiny_folder: Path
) -> None:
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        store_votes(db, VOTES)
        state = wait_for_run(client, retrain(client, "raft", RUN))
        assert (state["status"], live(client)) == ("succeeded", 2), state
        (weights,) = (tmp_path / policies.get_policy(db, 2).path).rglob("adapter_model.safetensors")
    weights.chmod(0o644)
    os.truncate(weights, weights.stat().st_size // 2)
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        assert live(client) == 1
        assert "v2" in (tmp_path / "app.log").read_text()


@pytest.mark.slow
def test_a_database_that_another_program_locks_for_ten_seconds_loses_nothing(tmp_path: Path, tiny_folder: Path) -> None:
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        asked = answer(client)
        with closing(sqlite3.connect(db, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(10, lambda: other.execute("COMMIT")).start()
            number = client.predict(asked["comparison_id"], "A", api_name="/vote")["preference_id"]
        assert stored(db) == {number}
        assert live(client) == 1


@pytest.mark.slow
def test_a_clock_that_is_set_back_under_a_run_holds_up_neither_it_nor_the_next(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, folder = WallClock(tmp_path / "clock", monkeypatch), tmp_path / "data"
    folder.mkdir()
    with tiny_app(folder, tiny_folder) as (_, client, db):
        store_votes(db, VOTES)
        acknowledged = [vote(client)]
        run = retrain(client, "ppo", RUN)
        reached(db, run, "raft")
        clock.set_back(timedelta(days=2))
        acknowledged.append(vote(client))
        assert live(client) == 1
        state = wait_for_run(client, run)
        assert (state["status"], state["policy_version"], live(client)) == ("succeeded", 2, 2), state
        ended_then = runs.get_run(db, run)
        assert (ended_then.finished or "") < ended_then.created, "the clock was not set back"
        runs.set_schedule(db, runs.Schedule(1))
        acknowledged.append(vote(client))
        after = wait_for(lambda: runs.open_run(db), "the next run to start by itself")
        client.predict(admin_token(client), after.id, api_name="/cancel")
        assert set(acknowledged) <= stored(db) and len(stored(db)) == VOTES + len(acknowledged)


@pytest.mark.slow
def test_a_second_app_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path, tiny_folder: Path) -> None:
    with tiny_app(tmp_path, tiny_folder) as (_, client, db):
        command = [sys.executable, "app.py", "--port", str(free_port()), "--data-dir", str(tmp_path)]
        command += ["--model", str(tiny_folder)]
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert second.returncode and "Traceback" not in second.stderr
        assert str(tmp_path) in second.stderr, second.stderr
        number = vote(client)
        assert number in stored(db)

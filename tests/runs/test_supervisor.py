"""The supervisor with real child processes: each is a small script in the place of the training job."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from alignment.errors import AdapterError, ConfigError, TrainingError
from alignment.runs import supervisor as supervisor_module
from alignment.runs.process import NICE
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import (
    EngineState,
    Finished,
    Grown,
    Limits,
    PolicyVersion,
    Row,
    Waiting,
    policy_version_at,
)
from alignment.settings import ModelConfig
from storage import database, policies, preferences, runs
from storage.demonstrations import save_demonstration
from storage.messages import Messages, one_turn
from storage.overview import overview
from storage.records import Comparison, Completion, Policy, Run
from storage.runs import RunOpenError, Schedule
from storage.version_folders import publish

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable  # the tests put a script in its place
PATIENCE_SECONDS = 60.0

# Stands in for `python -m alignment.runs.job`: it takes the same arguments, reports once, then follows the plot.
CHILD = """#!{python}
import argparse, os, shlex, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
from storage import run_folder
from storage.version_folders import publish
from alignment.runs.child import print_into, wait_for_run
from storage import policies, runs
from storage.records import Policy

assert sys.argv[1:3] in (["-m", "alignment.runs.job"], ["-m", "alignment.runs.torch_group"])
parser = argparse.ArgumentParser()
parser.add_argument("--data-dir", type=Path)
parser.add_argument("--run-number", type=int)
arguments, _ = parser.parse_known_args(sys.argv[3:])
data_dir = arguments.data_dir
with open(data_dir / "children", "a") as children:
    print(os.getpid(), file=children)
db = data_dir / "triptych.db"
run = arguments.run_number or wait_for_run(db)
print_into(run_folder.log_of(run_folder.folder_of(data_dir, run)))
print(shlex.join(["called", "with", *sys.argv[1:]]), flush=True)
runs.report(db, run, "ppo", 0.5)

def record(version, status):
    path, sha256 = publish(data_dir / "policies", version, lambda folder: (folder / "weights").write_text("new"))
    policies.record_policy(db, Policy(version, 1, run, str(path), sha256, status, {{"capitals": 0.9}}))

{plot}
"""
WAIT = "sys.stdin.read(); (data_dir / 'child left').touch()"
SUCCEED = "record(2, 'candidate')"
REJECT = "record(2, 'rejected'); runs.end_run(db, run, 'rejected', 'v2 forgot the capitals')"
FAIL = "print('out of memory'); sys.exit(7)"


class ScriptedEngine:
    """An engine without a model: it serves what it is asked to, or refuses, and writes nothing."""

    def __init__(self, live: PolicyVersion) -> None:
        self.state = EngineState("ready", "Ready", 0.0)
        self.live = live
        self.refusal: Exception | None = None

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        done: Future[None] = Future()
        if self.refusal is not None:
            done.set_exception(self.refusal)
        else:
            self.live = policy
            done.set_result(None)
        return done

    def limits(self, row: Row) -> Limits | None:
        raise NotImplementedError

    def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Waiting | Grown | Finished]:
        raise NotImplementedError

    def scores(
        self, policy: PolicyVersion, messages: Messages, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        raise NotImplementedError


class CountingSupervisor(Supervisor):
    """Counts how often it has looked at the database."""

    looks = 0
    idle = False  # whether the last look found no run open

    def _tick(self) -> bool:
        busy = super()._tick()
        self.looks, self.idle = self.looks + 1, not busy
        return busy


def new_supervisor(data_dir: Path) -> tuple[CountingSupervisor, ScriptedEngine]:
    live = policies.live_policy(data_dir / "triptych.db")
    assert live is not None
    engine = ScriptedEngine(policy_version_at(live.version, live.path, live.sha256))
    config = ModelConfig("/models/base", "/models/sft", "nf4")
    return CountingSupervisor(data_dir, engine, config, RunSettings(seed=9)), engine


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def let_it_look(supervisor: CountingSupervisor) -> None:
    """Wait until the supervisor has looked at the database several times more, to see that it does nothing."""
    seen = supervisor.looks
    wait_for(lambda: supervisor.looks >= seen + 3)


class Stage:
    """A data folder with v1 live, a supervisor over it, and the child that it will start."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.db = self.data_dir / "triptych.db"
        self.child = folder / "child"
        database.prepare(self.db)
        path, sha256 = publish(self.data_dir / "policies", 1, lambda target: (target / "weights").touch())
        policies.record_policy(self.db, Policy(1, None, None, str(path), sha256, "live"))
        self.supervisor, self.engine = new_supervisor(self.data_dir)

    def play(self, plot: str) -> None:
        """Let every child from now on follow this plot."""
        scratch = self.child.with_suffix(".new")
        scratch.write_text(CHILD.format(python=PYTHON, plot=plot))
        scratch.chmod(0o755)
        scratch.replace(self.child)

    def vote(self, count: int) -> None:
        """Add votes by one annotator on new comparisons."""
        for _ in range(count):
            name = database.new_id()
            shown = [Completion(slot, "sft", None, slot, [1], 0, {}, "stop", 0.1, 0.2) for slot in "AB"]
            preferences.save_comparison(self.db, Comparison(name, one_turn("prompt"), "compare", False, shown))
            preferences.save_preference(
                self.db, comparison_id=name, annotator_id="ann", tiers=[["A"], ["B"]], kind="choice"
            )

    def children(self) -> list[int]:
        """Return the process ids of all children so far, in the order of their start."""
        started = self.data_dir / "children"
        return [int(line) for line in started.read_text().splitlines()] if started.exists() else []

    def run(self, run_id: int) -> Run:
        return runs.get_run(self.db, run_id)

    def ended(self, run_id: int) -> Run:
        """Return the run once it has ended."""
        wait_for(lambda: self.run(run_id).status not in runs.OPEN)
        return self.run(run_id)

    def under_way(self, run_id: int) -> int:
        """Return the process id of the run's child once it has reported."""
        wait_for(lambda: self.run(run_id).stage == "ppo" and self.run(run_id).pid)
        pid = self.run(run_id).pid
        assert pid is not None
        return pid

    def assert_still_on_first_version(self) -> None:
        live = policies.live_policy(self.db)
        assert live is not None and live.version == 1
        assert self.engine.live.version == 1


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(supervisor_module, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(supervisor_module, "BUSY_SECONDS", 0.02)
    stage = Stage(tmp_path)
    monkeypatch.setattr(sys, "executable", str(stage.child))
    yield stage
    stage.supervisor.stop()


def test_a_run_is_handed_to_the_job_with_the_model_and_logs_to_its_folder(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain("ppo", {"ppo": {"updates": 2}})
    run = stage.ended(run_id)
    log = (stage.data_dir / "runs" / "run-000001" / "log.txt").read_text()
    *command, model = shlex.split(log.splitlines()[0])[2:]
    assert command == ["-m", "alignment.runs.job", "--data-dir", str(stage.data_dir), "--model"]
    assert ModelConfig(**json.loads(model)) == ModelConfig("/models/base", "/models/sft", "nf4")
    assert run.settings["ppo"]["updates"] == 2
    assert run.settings["seed"] == 9


def test_what_starts_several_workers_is_told_their_run_on_the_command_line(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain("ppo", {"workers": 2}))
    assert run.status == "succeeded"
    log = (stage.data_dir / "runs" / "run-000001" / "log.txt").read_text()
    command = shlex.split(log.splitlines()[0])[2:]
    assert command[:2] == ["-m", "alignment.runs.torch_group"]
    assert command[-4:] == ["--run-number", str(run.id), "--workers", "2"]


def test_a_group_that_is_cancelled_is_asked_to_end_its_workers_first(stage: Stage) -> None:
    end = "signal.signal(15, lambda *_: ((data_dir / 'told').touch(), os._exit(0)))"
    stage.play(f"import signal; {end}; (data_dir / 'ready').touch(); signal.pause()")
    stage.supervisor.start()
    run_id = stage.supervisor.retrain("ppo", {"workers": 2})
    wait_for((stage.data_dir / "ready").exists)
    stage.supervisor.cancel(run_id)
    assert (stage.data_dir / "told").exists()


def test_a_run_that_is_asked_for_starts_at_once_however_rarely_the_supervisor_looks(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "IDLE_SECONDS", 10 * PATIENCE_SECONDS)
    stage.play("runs.end_run(db, run, 'failed', 'out of memory')")
    stage.supervisor.start()
    wait_for(lambda: stage.supervisor.looks)  # the next look is minutes away
    failed = stage.ended(stage.supervisor.retrain())
    wait_for(lambda: stage.supervisor.idle)
    stage.play(SUCCEED)
    stage.supervisor.resume(failed.id)
    assert stage.ended(failed.id).status == "succeeded"


def test_the_supervisor_looks_rarely_while_no_run_is_open_and_often_while_one_is(stage: Stage) -> None:
    assert not stage.supervisor._tick()
    stage.engine.state = EngineState("loading", "The model is loading", 0.0)
    run_id = stage.supervisor.retrain()
    assert stage.supervisor._tick()
    stage.supervisor.cancel(run_id)
    assert not stage.supervisor._tick()


def test_raft_without_rounds_is_refused_in_words_and_queues_nothing(stage: Stage) -> None:
    with pytest.raises(ConfigError, match=r"settings\.raft\.rounds must be at least 1"):
        stage.supervisor.retrain("raft", {"raft": {"rounds": 0}})
    assert runs.latest_run(stage.db) is None


def test_a_vote_starts_the_process_of_the_next_run_ahead_of_it(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    let_it_look(stage.supervisor)
    assert stage.children() == []  # nobody has voted
    stage.vote(1)
    wait_for(stage.children)
    run = stage.ended(stage.supervisor.retrain())
    assert (run.status, [run.pid]) == ("succeeded", stage.children())
    let_it_look(stage.supervisor)
    assert len(stage.children()) == 1  # nor is there anything new after the run


def test_a_waiting_process_that_died_is_replaced_when_its_run_is_due_and_not_before(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    stage.vote(1)
    wait_for(stage.children)
    (waiting,) = stage.children()
    os.kill(waiting, signal.SIGKILL)
    wait_for(lambda: psutil.Process(waiting).status() == psutil.STATUS_ZOMBIE)
    let_it_look(stage.supervisor)
    assert len(stage.children()) == 1
    run = stage.ended(stage.supervisor.retrain())
    assert (run.status, run.error, stage.children()[1:]) == ("succeeded", None, [run.pid])


def test_a_waiting_process_ends_with_the_app(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    stage.vote(1)
    wait_for(stage.children)
    stage.supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(stage.children()[0], 0)


def test_a_child_that_cannot_be_made_to_stand_back_trains_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError("not yours to change")

    monkeypatch.setattr(os, "setpriority", refuse)
    stage.play(SUCCEED)
    stage.supervisor.start()
    stage.vote(1)
    wait_for(stage.children)
    let_it_look(stage.supervisor)
    assert stage.ended(stage.supervisor.retrain()).status == "succeeded"
    assert len(stage.children()) == 1


def test_children_stand_back_for_the_app(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    stage.vote(1)
    wait_for(stage.children)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    wait_for(lambda: os.getpriority(os.PRIO_PROCESS, stage.children()[0]) == min(19, own + NICE))


def test_what_a_child_says_while_it_waits_is_in_the_log_of_the_run_that_fails_with_it(stage: Stage) -> None:
    stage.play(SUCCEED)
    whole = stage.child.read_text()
    stage.child.write_text(whole.replace("assert sys.argv", "print('no such library'); sys.exit(1)\nassert sys.argv"))
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.error is not None and "ended with code 1" in run.error
    assert "no such library" in (stage.data_dir / "runs" / "run-000001" / "log.txt").read_text()


def test_the_real_job_leaves_where_no_run_comes(tmp_path: Path) -> None:
    database.prepare(database.file_in(tmp_path))
    command = [
        PYTHON,
        "-m",
        "alignment.runs.job",
        "--data-dir",
        str(tmp_path),
        "--model",
        json.dumps({"model": "base"}),
    ]
    done = subprocess.run(command, cwd=ROOT, input=b"", capture_output=True)
    assert done.returncode == 3 and not (tmp_path / "runs").exists()


def test_a_candidate_is_swapped_in_and_the_run_succeeds(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert (run.status, run.error, run.policy_version, run.progress) == ("succeeded", None, 2, 1.0)
    assert stage.engine.live.version == 2
    assert {policy.version: policy.status for policy in policies.list_policies(stage.db)} == {1: "retired", 2: "live"}


def test_a_child_killed_by_a_signal_fails_the_run_and_leaves_the_old_policy_live(stage: Stage) -> None:
    stage.play(WAIT)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    os.kill(stage.under_way(run_id), signal.SIGKILL)
    run = stage.ended(run_id)
    assert run.status == "failed"
    assert run.error is not None
    assert "killed by signal 9" in run.error and "run-000001/log.txt" in run.error
    stage.assert_still_on_first_version()


def test_a_child_that_ends_with_an_error_fails_the_run_and_its_words_are_in_the_log(stage: Stage) -> None:
    stage.play(FAIL)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error is not None and "ended with code 7" in run.error
    assert "out of memory" in (stage.data_dir / "runs" / "run-000001" / "log.txt").read_text()
    stage.assert_still_on_first_version()


def test_an_end_that_cannot_be_recorded_on_a_full_disk_is_recorded_with_its_reason_once_there_is_room(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, tried = [True], []
    end_run = runs.end_run

    def record(*arguments: Any) -> bool:
        tried.append(arguments)
        if full[0]:
            raise sqlite3.OperationalError("database or disk is full")
        return end_run(*arguments)

    monkeypatch.setattr(runs, "end_run", record)
    stage.play(FAIL)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    wait_for(lambda: len(tried) > 2)
    assert stage.run(run_id).status == "running"
    full[0] = False
    run = stage.ended(run_id)
    assert run.status == "failed" and "ended with code 7" in (run.error or "")
    wait_for(lambda: stage.supervisor._active is None)


def test_a_clock_that_is_set_back_while_a_run_goes_on_ends_neither_the_run_nor_the_schedule(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = "datetime.now(UTC) - timedelta(days=400)"
    told = "runs.now = lambda: (" + back + ").isoformat()"
    beat = "[(runs.report(db, run, 'ppo', 0.6), time.sleep(0.1)) for _ in range(5)]"
    stage.play(f"import time; from datetime import UTC, datetime, timedelta; {told}; {beat}; {SUCCEED}")
    stage.supervisor.start()
    stage.vote(1)
    run_id = stage.supervisor.retrain()
    for module in (runs, policies):
        monkeypatch.setattr(module, "now", lambda: (datetime.now(UTC) - timedelta(days=400)).isoformat())
    run = stage.ended(run_id)
    assert (run.status, run.policy_version) == ("succeeded", 2)
    assert run.finished is not None and run.finished < run.created
    stage.play(REJECT.replace("2", "3"))
    runs.set_schedule(stage.db, Schedule(0, minutes=60, minutes_votes=1))
    stage.vote(1)
    wait_for(lambda: len(runs.list_runs(stage.db)) == 2)
    assert len(preferences.rankings(stage.db)) == 2


def test_a_reason_that_the_child_gave_itself_is_kept(stage: Stage) -> None:
    stage.play("runs.end_run(db, run, 'failed', 'there are no prompts'); sys.exit(1)")
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    let_it_look(stage.supervisor)
    assert stage.run(run.id) == run
    assert (run.status, run.error) == ("failed", "there are no prompts")


@pytest.mark.parametrize("plot", ["pass", "record(2, 'rejected')"])
def test_a_child_that_ends_well_without_a_candidate_fails_the_run(stage: Stage, plot: str) -> None:
    stage.play(plot)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error is not None and "before it had finished" in run.error
    stage.assert_still_on_first_version()


def test_a_rejected_candidate_is_kept_but_not_served(stage: Stage) -> None:
    stage.play(REJECT)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    let_it_look(stage.supervisor)
    assert stage.run(run.id) == run
    assert (run.status, run.error, run.policy_version) == ("rejected", "v2 forgot the capitals", 2)
    assert {policy.version: policy.status for policy in policies.list_policies(stage.db)} == {1: "live", 2: "rejected"}
    stage.assert_still_on_first_version()


def test_a_candidate_that_cannot_be_served_fails_the_run_and_the_old_policy_stays(stage: Stage) -> None:
    stage.engine.refusal = AdapterError("its shape does not fit")
    stage.play(SUCCEED)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error == "v2 was trained but could not be served: its shape does not fit"
    stage.assert_still_on_first_version()


def test_a_candidate_whose_folder_is_gone_fails_the_run(stage: Stage) -> None:
    stage.play("import shutil; record(2, 'candidate'); shutil.rmtree(data_dir / 'policies' / 'policy-000002')")
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error is not None and "could not be served: the folder of policy v2 is gone" in run.error
    stage.assert_still_on_first_version()


def test_a_job_that_cannot_be_started_fails_the_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error is not None and "could not be started" in run.error and "/nowhere/python" in run.error


def test_a_silent_child_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "HEARTBEAT_SECONDS", 0.5)
    stage.play(WAIT)
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert run.status == "failed"
    assert run.error is not None and "no sign of life" in run.error
    assert not (stage.data_dir / "child left").exists()
    stage.assert_still_on_first_version()


def test_a_queued_run_waits_until_the_model_is_served_and_can_be_cancelled(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.engine.state = EngineState("loading", "The model is loading", 0.0)
    stage.supervisor.start()
    first = stage.supervisor.retrain()
    let_it_look(stage.supervisor)
    assert stage.run(first).status == "queued"
    assert stage.supervisor.cancel(first).status == "cancelled"
    second = stage.supervisor.retrain()
    stage.engine.state = EngineState("ready", "Ready", 1.0)
    assert stage.ended(second).status == "succeeded"
    assert stage.run(first).started is None


def test_cancelling_a_running_run_ends_its_process_and_leaves_the_old_policy_live(stage: Stage) -> None:
    stage.play(WAIT)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    pid = stage.under_way(run_id)
    cancelled = stage.supervisor.cancel(run_id)
    assert (cancelled.status, cancelled.error) == ("cancelled", None)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    let_it_look(stage.supervisor)
    assert stage.run(run_id) == cancelled
    stage.assert_still_on_first_version()
    with pytest.raises(TrainingError, match=r"already ended \(cancelled\)"):
        stage.supervisor.cancel(run_id)
    stage.play(SUCCEED)
    assert stage.ended(stage.supervisor.retrain()).status == "succeeded"


def test_what_cannot_be_run_is_refused_and_queues_nothing(stage: Stage) -> None:
    with pytest.raises(TrainingError, match="'magic'"):
        stage.supervisor.retrain("magic")
    with pytest.raises(ConfigError, match="no field 'speed'"):
        stage.supervisor.retrain("ppo", {"speed": 11})
    assert runs.latest_run(stage.db) is None
    stage.supervisor.retrain()
    waits = stage.supervisor.retrain(settings={"seed": 1})
    with pytest.raises(RunOpenError, match=f"run {waits} is already"):
        stage.supervisor.retrain(settings={"seed": 2})


def test_the_schedule_starts_a_run_by_itself_after_enough_votes(stage: Stage) -> None:
    stage.play(SUCCEED)
    runs.set_schedule(stage.db, Schedule(retrain_every=3))
    stage.supervisor.start()
    stage.vote(2)
    let_it_look(stage.supervisor)
    assert runs.latest_run(stage.db) is None
    stage.vote(1)
    wait_for(lambda: runs.latest_run(stage.db))
    assert stage.ended(1).status == "succeeded"
    assert stage.run(1).settings["seed"] == 9
    assert overview(stage.db).new_votes == 0
    let_it_look(stage.supervisor)
    assert len(runs.list_runs(stage.db)) == 1


def test_the_schedule_does_not_loop_after_a_failed_run(stage: Stage) -> None:
    stage.play(FAIL)
    runs.set_schedule(stage.db, Schedule(retrain_every=2))
    stage.vote(5)
    stage.supervisor.start()
    wait_for(lambda: runs.latest_run(stage.db))
    assert stage.ended(1).status == "failed"
    let_it_look(stage.supervisor)
    assert len(runs.list_runs(stage.db)) == 1
    stage.vote(2)  # enough by themselves, but the next one waits a while after a failure
    let_it_look(stage.supervisor)
    assert len(runs.list_runs(stage.db)) == 1


def test_without_a_schedule_votes_start_nothing(stage: Stage) -> None:
    stage.play(SUCCEED)
    runs.set_schedule(stage.db, Schedule(retrain_every=0))
    stage.vote(3)
    stage.supervisor.start()
    let_it_look(stage.supervisor)
    assert runs.latest_run(stage.db) is None


def test_a_run_that_was_under_way_when_the_app_stopped_is_failed_at_the_next_start(stage: Stage) -> None:
    stage.play(SUCCEED)
    left_over = runs.queue_run(stage.db, "ppo", RunSettings().to_json())
    runs.start_run(stage.db, left_over)
    stage.supervisor.start()
    run = stage.run(left_over)
    assert run.status == "failed"
    assert run.error is not None and "app was stopped" in run.error
    assert stage.ended(stage.supervisor.retrain()).status == "succeeded"


def test_a_run_that_was_queued_when_the_app_stopped_is_started_at_the_next_start(stage: Stage) -> None:
    stage.play(SUCCEED)
    left_over = runs.queue_run(stage.db, "ppo", RunSettings().to_json())
    stage.supervisor.start()
    assert stage.ended(left_over).status == "succeeded"


def test_a_candidate_that_was_not_served_when_the_app_stopped_goes_live_at_the_next_start(stage: Stage) -> None:
    stage.play(SUCCEED + "; " + WAIT)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    wait_for(lambda: policies.version_made_by(stage.db, run_id))
    stage.supervisor.stop()
    again, engine = new_supervisor(stage.data_dir)
    engine.state = EngineState("loading", "The model is loading", 0.0)
    again.start()
    let_it_look(again)
    assert stage.run(run_id).status == "running"
    engine.state = EngineState("ready", "Ready", 1.0)
    run = stage.ended(run_id)
    again.stop()
    assert (run.status, run.error, run.policy_version, engine.live.version) == ("succeeded", None, 2, 2)
    live = policies.live_policy(stage.db)
    assert live is not None and live.version == 2


def test_a_candidate_of_another_model_does_not_go_live_at_the_next_start(stage: Stage) -> None:
    run_id = runs.queue_run(stage.db, "ppo", RunSettings().to_json())
    runs.start_run(stage.db, run_id)
    path, sha256 = publish(stage.data_dir / "policies", 2, lambda target: (target / "weights").touch())
    policies.record_policy(stage.db, Policy(2, 1, run_id, str(path), sha256, "candidate", model="another"))
    stage.supervisor.start()
    run = stage.ended(run_id)
    assert run.error == "The app was stopped while this run was under way. v2 was trained, but did not go live."
    stage.assert_still_on_first_version()


def test_stopping_the_app_ends_the_child_and_says_so(stage: Stage) -> None:
    stage.play(WAIT)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    pid = stage.under_way(run_id)
    stage.supervisor.stop()
    run = stage.run(run_id)
    assert run.status == "failed"
    assert run.error is not None and "app was stopped" in run.error
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_run_is_resumed_in_its_own_folder_and_with_its_own_settings(stage: Stage) -> None:
    stage.play("(data_dir / 'runs' / f'run-{run:06d}' / 'half').touch(); " + WAIT)
    stage.supervisor.start()
    run_id = stage.supervisor.retrain("raft", {"seed": 4})
    pid = stage.under_way(run_id)
    wait_for((stage.data_dir / "runs" / "run-000001" / "half").exists)
    os.kill(pid, signal.SIGKILL)
    failed = stage.ended(run_id)
    assert failed.error is not None and "or from the beginning if it has none" in failed.error
    stage.play("assert (data_dir / 'runs' / f'run-{run:06d}' / 'half').exists(); " + SUCCEED)
    assert stage.supervisor.resume(run_id).status in runs.OPEN
    run = stage.ended(run_id)
    assert (run.status, run.error, run.method, run.settings["seed"]) == ("succeeded", None, "raft", 4)
    assert len(runs.list_runs(stage.db)) == 1


def test_what_cannot_be_resumed_is_refused_in_words(stage: Stage) -> None:
    stage.play(SUCCEED)
    stage.supervisor.start()
    succeeded = stage.ended(stage.supervisor.retrain())
    with pytest.raises(TrainingError, match="has already made v2; start a new run"):
        stage.supervisor.resume(succeeded.id)
    stage.play(WAIT)
    waiting = stage.supervisor.retrain()
    stage.under_way(waiting)
    with pytest.raises(TrainingError, match="is running; only a run that failed or was cancelled"):
        stage.supervisor.resume(waiting)
    stage.supervisor.cancel(waiting)
    stage.engine.state = EngineState("failed", "The model is broken", 0.0)
    with pytest.raises(TrainingError, match="The model is broken"):
        stage.supervisor.resume(waiting)


def test_a_run_resumed_while_its_process_is_still_leaving_is_not_ended_by_that(stage: Stage) -> None:
    stage.play("import time; runs.end_run(db, run, 'failed', 'out of memory'); time.sleep(2); sys.exit(1)")
    stage.supervisor.start()
    run_id = stage.supervisor.retrain()
    wait_for(lambda: runs.get_run(stage.db, run_id).status == "failed")
    stage.play(SUCCEED)
    stage.supervisor.resume(run_id)
    run = stage.ended(run_id)
    assert (run.status, run.error, run.policy_version) == ("succeeded", None, 2)


def test_a_version_that_is_recorded_goes_live_even_if_its_process_is_killed_then(stage: Stage) -> None:
    stage.play(SUCCEED + "; os.kill(os.getpid(), 9)")
    stage.supervisor.start()
    run = stage.ended(stage.supervisor.retrain())
    assert (run.status, run.policy_version) == ("succeeded", 2)
    live = policies.live_policy(stage.db)
    assert live is not None and live.version == 2


def test_a_run_that_began_from_another_version_is_not_resumed_and_stays_as_it_was(stage: Stage) -> None:
    stage.play("print('out of memory'); runs.end_run(db, run, 'failed', 'out of memory'); sys.exit(1)")
    stage.supervisor.start()
    failed = stage.ended(stage.supervisor.retrain())
    kept = stage.data_dir / "runs" / "run-000001" / "reward"
    kept.mkdir()
    (kept / "inputs.json").write_text('{"parent": 7}')
    with pytest.raises(TrainingError, match="run 1 began from v7, but v1 is live now; start a new run instead"):
        stage.supervisor.resume(failed.id)
    assert runs.get_run(stage.db, failed.id) == failed


def test_a_failure_of_every_tick_is_logged_once_until_it_is_another_or_had_gone_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plot = ["no room", "no room", "read-only", "no room", "no room", "", "no room"]

    def tick() -> None:
        if plot and (words := plot.pop(0)):
            raise OSError(words)

    monkeypatch.setattr(stage.supervisor, "_tick", tick)
    stage.supervisor.start()
    wait_for(lambda: not plot)
    stage.supervisor.stop()
    logged = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert logged == ["no room", "read-only", "no room", "no room"]


PARENT = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:5]
from test_supervisor import new_supervisor
supervisor, _ = new_supervisor(Path(sys.argv[1]))
sys.executable = sys.argv[2]
supervisor.start()
supervisor.retrain()
time.sleep(600)
"""


def test_the_child_leaves_when_the_app_is_killed_with_kill_9(stage: Stage) -> None:
    stage.play(WAIT)
    arguments = [str(stage.data_dir), str(stage.child), str(ROOT), str(Path(__file__).parent)]
    with subprocess.Popen([PYTHON, "-c", PARENT, *arguments]) as parent:
        try:
            wait_for(lambda: runs.latest_run(stage.db))
            stage.under_way(1)
            assert not (stage.data_dir / "child left").exists()
        finally:
            parent.kill()
    wait_for((stage.data_dir / "child left").exists)
    assert stage.run(1).status == "running"
    stage.supervisor.start()
    assert stage.run(1).status == "failed"
    stage.assert_still_on_first_version()


def test_a_worker_and_the_torchrun_above_it_leave_when_the_app_is_gone() -> None:
    worker = "import time; from alignment.runs.child import leave_with_parent; leave_with_parent(in_group=True); "
    worker += "print('here', flush=True); time.sleep(600)"
    above = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    with subprocess.Popen(
        [PYTHON, "-c", above], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as started:
        assert started.stdout is not None and started.stdin is not None
        assert started.stdout.readline() == "here\n"
        started.stdin.close()  # as the system does for an app that dies
        assert started.stdout.read() == ""  # nobody holds it any more: both are gone
    assert started.returncode == -signal.SIGTERM


def test_the_real_job_leaves_when_its_stdin_closes() -> None:
    program = (
        "import time; from alignment.runs.child import leave_with_parent; leave_with_parent(); "
        "print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([PYTHON, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        try:
            assert child.stdout.readline() == b"up\n"
            assert child.poll() is None
            child.stdin.close()
            assert child.wait(timeout=PATIENCE_SECONDS) == 3
        finally:
            child.kill()


def test_asking_for_the_run_that_is_open_anyway_returns_it_and_another_is_the_next(stage: Stage) -> None:
    run_id = stage.supervisor.retrain()
    assert stage.supervisor.retrain() == run_id
    after = stage.supervisor.retrain(settings={"seed": 5})
    assert stage.supervisor.retrain(settings={"seed": 5}) == after
    assert [(run.id, run.status) for run in runs.list_runs(stage.db)] == [(after, "waiting"), (run_id, "queued")]
    stage.vote(1)
    stage.supervisor.cancel(run_id)
    stage.supervisor._tick()
    assert stage.run(after).status == "queued"
    assert len(preferences.rankings(stage.db, after)) == 1  # it learns from what stands when its turn comes
    last = stage.supervisor.retrain(settings={"seed": 6})
    assert stage.supervisor.cancel(last).status == "cancelled"


def test_a_demonstration_written_since_makes_another_run_of_the_one_asked_for(stage: Stage) -> None:
    stage.supervisor.retrain()
    save_demonstration(stage.db, messages=one_turn("Hi"), completion="Ahoy!", annotator_id="ann")
    assert stage.run(stage.supervisor.retrain()).status == "waiting"

"""Training runs: one open at a time, how they begin and end, and how a candidate goes live."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils.db import NotFoundError

from storage import database, policies, runs
from storage.overview import overview
from storage.records import Metric, Policy, Run, RunStatus
from storage.runs import RunOpenError, Schedule, UnknownRunError


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


def running(db: Path) -> int:
    run_id = runs.queue_run(db, "ppo", {"seed": 3})
    assert runs.start_run(db, run_id)
    return run_id


def policy(version: int, run_id: int | None = None, status: str = "candidate") -> Policy:
    return Policy(
        version=version,
        parent=version - 1 or None,
        run_id=run_id,
        path=f"/data/policies/policy-{version:06d}",
        sha256=f"{version:064d}",
        status=status,  # type: ignore[arg-type]
        evaluation={"capitals": 0.97, "notes": ["ünïcode"]},
    )


def test_a_run_that_failed_or_was_cancelled_may_be_queued_again_over_the_same_votes(db: Path) -> None:
    run_id = running(db)
    assert not runs.requeue_run(db, run_id)  # it is open
    runs.report(db, run_id, "ppo", 0.5)
    runs.end_run(db, run_id, "failed", "killed")
    assert runs.requeue_run(db, run_id)
    run = runs.get_run(db, run_id)
    assert (run.status, run.error, run.finished, run.pid, run.settings) == ("queued", None, None, None, {"seed": 3})
    assert (run.stage, run.progress) == ("", 0.0)
    runs.end_run(db, run_id, "cancelled")
    other = runs.queue_run(db, "ppo", {})
    with pytest.raises(RunOpenError, match=f"run {other} is already"):
        runs.requeue_run(db, run_id)
    runs.end_run(db, other, "rejected")
    assert not runs.requeue_run(db, other)
    assert runs.requeue_run(db, run_id)


def test_a_number_measured_again_replaces_the_earlier_one(db: Path) -> None:
    run_id = running(db)
    runs.report(db, run_id, "ppo", 0.5, [Metric(1, "kl", 0.1), Metric(2, "kl", 0.2)])
    runs.report(db, run_id, "ppo", 0.5, [Metric(2, "kl", 0.3), Metric(2, "score", 1.0)])
    assert runs.metrics(db, run_id) == [Metric(1, "kl", 0.1), Metric(2, "kl", 0.3), Metric(2, "score", 1.0)]


def statuses(db: Path) -> dict[int, str]:
    return {found.version: found.status for found in policies.list_policies(db)}


def test_a_queued_run_keeps_its_method_and_settings(db: Path) -> None:
    run_id = runs.queue_run(db, "ppo", {"seed": 3, "ppo": {"updates": 4}})
    run = runs.get_run(db, run_id)
    assert (run.method, run.settings, run.status) == ("ppo", {"seed": 3, "ppo": {"updates": 4}}, "queued")
    assert (run.stage, run.progress, run.started, run.finished, run.pid, run.error) == ("", 0.0, None, None, None, None)
    assert run.policy_version is None
    assert runs.open_run(db) == runs.latest_run(db) == run


def test_one_run_is_open_at_a_time(db: Path) -> None:
    first = runs.queue_run(db, "ppo", {})
    for advance in (lambda: None, lambda: runs.start_run(db, first)):
        advance()
        with pytest.raises(RunOpenError, match=f"run {first} is already") as refused:
            runs.queue_run(db, "ppo", {})
        assert refused.value.run_id == first
    runs.end_run(db, first, "cancelled")
    second = runs.queue_run(db, "ppo", {})
    assert [run.id for run in runs.list_runs(db)] == [second, first]


def test_eight_threads_asking_at_once_open_one_run(db: Path) -> None:
    opened: list[int] = []
    refused: list[int] = []
    together = threading.Barrier(8)

    def press() -> None:
        together.wait()
        try:
            opened.append(runs.queue_run(db, "ppo", {}))
        except RunOpenError as error:
            refused.append(error.run_id)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert refused == opened * 7


def test_an_unknown_run_is_named_in_the_error(db: Path) -> None:
    with pytest.raises(UnknownRunError, match="no run 12"):
        runs.get_run(db, 12)
    assert runs.open_run(db) is None
    assert runs.latest_run(db) is None
    assert runs.list_runs(db) == []


def test_a_run_starts_once(db: Path) -> None:
    run_id = runs.queue_run(db, "ppo", {})
    assert runs.start_run(db, run_id) is True
    started = runs.get_run(db, run_id)
    assert started.status == "running"
    assert started.started is not None and started.heartbeat is not None
    assert runs.start_run(db, run_id) is False
    assert runs.get_run(db, run_id) == started


def test_a_report_moves_the_run_on_and_keeps_every_metric_in_order(db: Path) -> None:
    run_id = running(db)
    runs.set_pid(db, run_id, 4242)
    before = runs.get_run(db, run_id).heartbeat
    runs.report(db, run_id, "reward model", 0.2, [Metric(0, "reward/loss", 0.69), Metric(1, "reward/loss", 0.41)])
    runs.report(db, run_id, "PPO", 0.5, [Metric(0, "objective/kl", 0.0)])
    runs.report(db, run_id, "PPO", 0.6)
    run = runs.get_run(db, run_id)
    assert (run.stage, run.progress, run.pid, run.status) == ("PPO", 0.6, 4242, "running")
    assert before is not None and run.heartbeat is not None and run.heartbeat > before
    assert runs.metrics(db, run_id) == [
        Metric(0, "reward/loss", 0.69),
        Metric(1, "reward/loss", 0.41),
        Metric(0, "objective/kl", 0.0),
    ]


def test_a_report_does_not_start_a_queued_run(db: Path) -> None:
    run_id = runs.queue_run(db, "ppo", {})
    before = runs.get_run(db, run_id)
    runs.report(db, run_id, "PPO", 0.5, [Metric(0, "objective/kl", 0.0)])
    assert runs.get_run(db, run_id) == before
    assert runs.metrics(db, run_id) == []


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected", "succeeded"])
def test_an_ended_run_does_not_change(db: Path, status: RunStatus) -> None:
    run_id = running(db)
    runs.report(db, run_id, "PPO", 0.5, [Metric(0, "objective/kl", 0.1)])
    assert runs.end_run(db, run_id, status, "why it ended") is True
    ended = runs.get_run(db, run_id)
    assert (ended.status, ended.error, ended.stage, ended.progress) == (status, "why it ended", "PPO", 0.5)
    assert ended.finished is not None
    assert runs.end_run(db, run_id, "failed", "another reason") is False
    assert runs.start_run(db, run_id) is False
    runs.report(db, run_id, "evaluation", 0.9, [Metric(1, "objective/kl", 0.2)])
    assert runs.get_run(db, run_id) == ended
    assert runs.metrics(db, run_id) == [Metric(0, "objective/kl", 0.1)]
    assert runs.open_run(db) is None


def test_a_queued_run_can_be_ended_before_it_started(db: Path) -> None:
    run_id = runs.queue_run(db, "ppo", {})
    assert runs.end_run(db, run_id, "cancelled") is True
    assert runs.start_run(db, run_id) is False
    assert runs.get_run(db, run_id).started is None


def test_the_schedule_has_a_default_and_survives_reopening(db: Path) -> None:
    assert overview(db).schedule == Schedule()
    runs.set_schedule(db, Schedule(retrain_every=5))
    runs.set_schedule(db, Schedule(retrain_every=8))
    database.prepare(db)
    assert overview(db).schedule == Schedule(retrain_every=8)


def test_a_policy_comes_back_as_it_was_recorded_and_is_recorded_once(db: Path) -> None:
    run_id = running(db)
    policies.record_policy(db, policy(1, run_id))
    (found,) = policies.list_policies(db)
    assert found.created
    assert replace(found, created="") == policy(1, run_id)
    assert policies.version_made_by(db, run_id) == found
    assert policies.live_policy(db) is None
    assert runs.get_run(db, run_id).policy_version == 1
    with pytest.raises(Exception, match="UNIQUE"):
        policies.record_policy(db, replace(policy(1, run_id), path="/elsewhere"))
    assert policies.list_policies(db) == [found]


def test_going_live_flips_exactly_one_version_and_ends_the_run(db: Path) -> None:
    policies.record_policy(db, policy(1, None, "live"))
    for version in (2, 3):
        run_id = running(db)
        policies.record_policy(db, policy(version, run_id))
        policies.go_live(db, version, run_id)
        run: Run = runs.get_run(db, run_id)
        assert (run.status, run.progress, run.error, run.policy_version) == ("succeeded", 1.0, None, version)
        assert run.finished is not None
        assert (live := policies.live_policy(db)) is not None and live.version == version
    assert statuses(db) == {3: "live", 2: "retired", 1: "retired"}


def test_a_second_live_version_is_refused(db: Path) -> None:
    policies.record_policy(db, policy(1, None, "live"))
    with pytest.raises(Exception, match="UNIQUE"):
        policies.record_policy(db, policy(2, None, "live"))
    assert statuses(db) == {1: "live"}


def test_serving_an_older_version_retires_the_live_one(db: Path) -> None:
    for version, status in ((1, "retired"), (2, "live")):
        policies.record_policy(db, Policy(version, None, None, "p", "00", status, {}, "pocket"))
    policies.serve(db, 1)
    assert [(p.version, p.status, p.model) for p in policies.list_policies(db)] == [
        (2, "retired", "pocket"),
        (1, "live", "pocket"),
    ]


def test_going_live_happens_whole_or_not_at_all(db: Path) -> None:
    policies.record_policy(db, policy(1, None, "live"))
    run_id = running(db)
    policies.record_policy(db, policy(2, run_id))
    with pytest.raises(NotFoundError):
        policies.go_live(db, 9, run_id)  # no such version
    with pytest.raises(NotFoundError):
        policies.go_live(db, 2, run_id + 1)  # no such run
    assert statuses(db) == {1: "live", 2: "candidate"}
    assert runs.get_run(db, run_id).status == "running"
    with database.read(db) as connection:
        assert connection["events"].count == 0

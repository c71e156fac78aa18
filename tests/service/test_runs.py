"""Starting, ending and scheduling runs, and the snapshot of how things stand."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from alignment.errors import AccessError, TrainingError
from service import runs as training
from service.admin import AdminSessions
from service.policies import to_json, versions
from service.requests import RunRequest
from service.status import MAX_AGE_SECONDS, Snapshot, Status, read_snapshot
from storage import policies, runs
from storage.overview import overview
from storage.records import Metric
from tests.harness.scripted import PASSWORD, Backstage


def as_values(now: Snapshot) -> dict[str, Any]:
    return {field.name: getattr(now, field.name) for field in fields(now)}


ACTIONS: list[Callable[..., Any]] = [
    lambda services, token: training.retrain(services, token),
    lambda services, token: training.cancel(services, token, RunRequest(1)),
    lambda services, token: training.cancel_open(services, token),
    lambda services, token: training.resume(services, token, RunRequest(1)),
    lambda services, token: training.resume_latest(services, token),
    lambda services, token: training.change_schedule(services, token, {"retrain_every": 5}),
]


@pytest.mark.parametrize("token", [None, "", "made up"])
@pytest.mark.parametrize("action", ACTIONS)
def test_what_an_admin_does_needs_the_token(behind: Backstage, action: Callable[..., Any], token: str | None) -> None:
    runs.queue_run(behind.db, "ppo", {})
    before = as_values(behind.now())
    with pytest.raises(AccessError, match="log in first"):
        action(behind.services, token)
    assert as_values(behind.now()) == before


def test_a_token_ends_with_logout() -> None:
    admin = AdminSessions("right")
    with pytest.raises(AccessError, match="wrong password"):
        admin.login("wrong")
    token = admin.login("right")
    admin.require(token)
    admin.logout(token)
    assert not admin.is_valid(token)


def test_a_run_is_started_cancelled_and_resumed_and_the_snapshot_follows_at_once(behind: Backstage) -> None:
    services, token = behind.services, behind.services.admin.login(PASSWORD)
    for act in (training.cancel_open, training.resume_latest):
        with pytest.raises(TrainingError, match="there is nothing to"):
            act(services, token)
    assert services.status.now().open_run is None
    run_id = training.retrain(services, token, "raft", {"seed": 3})
    now = services.status.now()
    assert now.open_run == now.latest_run == training.state(services, RunRequest(run_id)).run
    assert not now.may_resume
    assert training.cancel_open(services, token).status == "cancelled"
    assert services.status.now().open_run is None
    assert services.status.now().may_resume
    assert training.resume_latest(services, token).status == "queued"
    assert services.status.now().open_run is not None
    assert training.cancel(services, token, RunRequest(run_id)).status == "cancelled"
    assert training.resume(services, token, RunRequest(run_id)).status == "queued"


def test_a_schedule_is_stored_and_shows_at_once(behind: Backstage) -> None:
    assert behind.services.status.now().retrain_every == 32
    assert training.change_schedule(behind.services, behind.services.admin.login(PASSWORD), {"retrain_every": 5})
    assert behind.services.status.now().retrain_every == overview(behind.db).schedule.retrain_every == 5


def test_a_runs_metrics_are_in_the_order_of_steps(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, run_id)
    runs.report(behind.db, run_id, "ppo", 0.5, [Metric(step, "objective/kl", step / 10) for step in (3, 1, 2)])
    produced = behind.add_policy(2, run_id=run_id)
    state = training.state(behind.services, RunRequest(run_id))
    assert state.metrics == {"objective/kl": [(1, 0.1), (2, 0.2), (3, 0.3)]}
    assert state.produced is not None and state.produced.version == produced.version


def test_a_run_that_made_a_version_cannot_be_resumed(behind: Backstage) -> None:
    run_id = runs.queue_run(behind.db, "ppo", {})
    behind.add_policy(2, run_id=run_id)
    runs.end_run(behind.db, run_id, "failed")
    assert not behind.now().may_resume


def test_callers_do_not_learn_where_a_version_lies(behind: Backstage) -> None:
    (first,) = versions(behind.services)
    assert not {"path", "sha256"} & set(to_json(first))
    assert to_json(first)["version"] == 1


def test_the_snapshot_is_read_once_a_second_for_everybody_and_anew_after_a_write(behind: Backstage) -> None:
    clock, reads = [0.0], 0

    def read() -> Snapshot:
        nonlocal reads
        reads += 1
        return read_snapshot(behind.db, behind.engine)

    status = Status(read, lambda: clock[0])
    first = status.now()
    clock[0] += MAX_AGE_SECONDS / 2
    assert status.now() is first
    assert reads == 1
    clock[0] += MAX_AGE_SECONDS / 2
    assert status.now() is not first
    assert reads == 2
    status.expire()
    status.now()
    assert reads == 3


def test_the_snapshot_names_the_version_that_the_latest_run_made(behind: Backstage) -> None:
    assert behind.now().produced is None
    first = runs.queue_run(behind.db, "ppo", {})
    runs.start_run(behind.db, first)
    behind.add_policy(2, run_id=first)
    policies.go_live(behind.db, 2, first)
    produced = behind.now().produced
    assert produced is not None and produced.version == 2
    runs.queue_run(behind.db, "ppo", {})
    assert behind.now().produced is None
    assert [policy.version for policy in behind.now().policies] == [2, 1]

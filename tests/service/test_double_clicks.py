"""Admins who click twice, or at the same moment: one of them is served, the trail says it once, nothing is torn."""

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ConfigError, TrainingError
from service import runs as training
from service import versions
from service.requests import RunRequest
from service.versions import VersionRequest
from service.vote_collections import CollectionsRequest, collections
from storage import policies, runs
from storage.errors import StorageError
from storage.events import list_events
from storage.records import Policy
from tests.harness.scripted import PASSWORD, Backstage


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Return what each act returned or raised; all begin together."""
    ready, found = threading.Barrier(len(acts)), [None] * len(acts)

    def do(place: int) -> None:
        ready.wait(60)
        try:
            found[place] = acts[place]()
        except (ConfigError, TrainingError, StorageError) as refusal:
            found[place] = refusal

    threads = [threading.Thread(target=do, args=(place,)) for place in range(len(acts))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found


def live(behind: Backstage) -> int:
    """Return the version that answers, which is the one live version of the database."""
    (found,) = [one.version for one in policies.list_policies(behind.db) if one.status == "live"]
    assert behind.engine.live.version == found
    return found


@pytest.fixture
def held(behind: Backstage) -> str:
    """An admin's token; v2 and v3 are there beside v1, which is live."""
    for version in (2, 3):
        behind.add_policy(version)
    return behind.services.admin.login(PASSWORD)


def test_two_promotes_at_once_leave_one_version_live_and_one_line_each(behind: Backstage, held: str) -> None:
    wanted = [2, 3, 2, 3]
    done = at_once(*(lambda one=one: versions.promote(behind.services, held, VersionRequest(one)) for one in wanted))
    assert done == wanted and live(behind) in (2, 3)
    told = [one.detail for one in reversed(list_events(behind.db)) if one.name == "promote"]
    assert all(one != other for one, other in pairwise(told)), told


def test_the_same_promote_twice_is_one_act(behind: Backstage, held: str) -> None:
    done = at_once(*[lambda: versions.promote(behind.services, held, VersionRequest(2))] * 6)
    assert done == [2] * 6 and live(behind) == 2
    assert [one.name for one in list_events(behind.db)].count("promote") == 1


def test_a_roll_back_clicked_twice_goes_one_version_back(behind: Backstage, held: str) -> None:
    versions.promote(behind.services, held, VersionRequest(3))
    done = at_once(*[lambda: versions.retire(behind.services, held, VersionRequest(3))] * 4)
    assert done.count(live(behind)) == 1 and live(behind) == policies.get_policy(behind.db, 3).parent
    assert sum("out of service already" in str(one) for one in done) == 3, done
    assert [one.name for one in list_events(behind.db)].count("roll back") == 1


def test_what_one_admin_promotes_is_not_undone_by_another_who_retires_what_was_live(
    behind: Backstage, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.promote(behind.services, held, VersionRequest(2))
    look, looked, promoted = policies.get_policy, threading.Event(), threading.Event()

    def slowly(db: Path, version: int) -> Policy:
        found = look(db, version)
        if threading.current_thread() is retiring and not looked.is_set():  # it has seen that v2 is live
            looked.set()
            promoted.wait(0.5)
        return found

    monkeypatch.setattr(policies, "get_policy", slowly)
    retiring = threading.Thread(target=versions.retire, args=(behind.services, held, VersionRequest(2)))
    retiring.start()
    assert looked.wait(60)
    versions.promote(behind.services, held, VersionRequest(3))
    promoted.set()
    retiring.join(60)
    assert live(behind) == 3


def test_starting_afresh_twice_opens_one_collection(behind: Backstage, held: str) -> None:
    versions.promote(behind.services, held, VersionRequest(2))
    asked = CollectionsRequest("afresh", "class of Monday")
    at_once(*[lambda: collections(behind.services, held, asked)] * 4)
    now = collections(behind.services, held, CollectionsRequest())
    assert [(one.name, one.open, one.learned) for one in now.all] == [
        ("class of Monday", True, True),
        ("all votes so far", False, False),
    ]
    assert live(behind) == 1


def test_a_run_that_is_asked_for_cancelled_and_resumed_many_times_is_one_run(behind: Backstage, held: str) -> None:
    asked = at_once(*[lambda: training.retrain(behind.services, held)] * 6)
    assert asked == [1] * 6 and len(runs.list_runs(behind.db)) == 1
    ends = at_once(*[lambda: training.cancel(behind.services, held, RunRequest(1)).status] * 4)
    assert ends.count("cancelled") == 1
    assert sum("has already ended (cancelled)" in str(one) for one in ends) == 3
    again = at_once(*[lambda: training.resume(behind.services, held, RunRequest(1)).status] * 4)
    assert again.count("queued") == 1 and sum("can be resumed" in str(one) for one in again) == 3
    names = [one.name for one in list_events(behind.db)]
    assert (names.count("cancel"), names.count("resume")) == (1, 1)


def test_two_other_runs_asked_for_at_once_wait_as_one_and_the_rest_is_refused(behind: Backstage, held: str) -> None:
    training.retrain(behind.services, held)
    done = at_once(
        *(lambda method=method: training.retrain(behind.services, held, method) for method in ("raft", "dpo"))
    )
    assert done.count(2) == 1, done
    assert sum("wait for it or cancel it first" in str(one) for one in done) == 1
    assert [one.status for one in runs.list_runs(behind.db)] == ["waiting", "queued"]

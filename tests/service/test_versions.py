"""Promoting, rolling back and retiring versions while the app runs."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from alignment.errors import AccessError, AdapterError, ConfigError, TrainingError
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving import decode_loop
from alignment.serving.engine import EngineState, Finished, Grown, PolicyVersion
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig
from service import versions
from service.audit import EventsRequest, trail
from service.compare import compare
from service.context import Services
from service.policies import ensure_live_version
from service.requests import CompareRequest
from service.versions import VersionRequest
from storage import database, policies, preferences, runs
from storage.policies import UnknownVersionError
from storage.records import Completion, Policy
from storage.version_folders import publish
from tests.harness.scripted import PASSWORD, Backstage
from tests.serving.versions import new_engine, row, tokens

STREAMS = 24  # that are open during a roll back
FAILED = {"passed": False, "findings": []}


def token(behind: Backstage) -> str:
    return behind.services.admin.login(PASSWORD)


def statuses(behind: Backstage) -> dict[int, str]:
    return {policy.version: policy.status for policy in policies.list_policies(behind.db)}


def asked_version(behind: Backstage) -> int | None:
    """Return the version that answers a question now, as it is stored."""

    async def last() -> int | None:
        request = CompareRequest("Where?", columns=("rlhf",))
        async for progress in compare(behind.services, "ann", request):
            found = progress.completions[0].policy_version
        return found

    return asyncio.run(last())


def test_a_promoted_version_answers_the_next_question_and_a_roll_back_gives_it_to_its_parent(
    behind: Backstage,
) -> None:
    held = token(behind)
    behind.add_policy(2)
    assert asked_version(behind) == 1
    assert versions.promote(behind.services, held, VersionRequest(2)) == 2
    assert asked_version(behind) == 2
    assert statuses(behind) == {1: "retired", 2: "live"}
    assert behind.services.status.now().live == 2
    assert versions.retire(behind.services, held, VersionRequest(2, "too curt")) == 1
    assert asked_version(behind) == 1
    assert statuses(behind) == {1: "live", 2: "retired"}
    told = [(one.name, one.detail) for one in trail(behind.services, held, EventsRequest()).events]
    assert told == [("roll back", "v1 answers again instead of v2: too curt"), ("promote", "v2 was promoted")]


def test_a_version_that_did_not_pass_needs_a_reason_which_is_recorded(behind: Backstage) -> None:
    held = token(behind)
    behind.add_policy(2, "rejected", gate=FAILED)
    with pytest.raises(ConfigError, match=r"v2 did not pass the check.*say why"):
        versions.promote(behind.services, held, VersionRequest(2))
    versions.retire(behind.services, held, VersionRequest(2))
    with pytest.raises(ConfigError, match="say why"):  # putting it away does not make it pass
        versions.promote(behind.services, held, VersionRequest(2))
    assert statuses(behind) == {1: "live", 2: "retired"}
    assert versions.promote(behind.services, held, VersionRequest(2, "one check is wrong")) == 2
    assert trail(behind.services, held, EventsRequest()).events[0].detail == "v2 was promoted: one check is wrong"


def test_what_is_refused_changes_nothing(behind: Backstage) -> None:
    held = token(behind)
    behind.add_policy(2, "retired")
    policies.record_policy(behind.db, Policy(3, None, None, "nowhere", "0", "candidate", {}, "of another model"))
    policies.record_policy(behind.db, Policy(4, 1, None, "gone", "0", "candidate"))
    before = statuses(behind)
    for act in (versions.promote, versions.retire):
        with pytest.raises(AccessError):
            act(behind.services, "made up", VersionRequest(2))
        with pytest.raises(UnknownVersionError, match="no version v9"):
            act(behind.services, held, VersionRequest(9))
    with pytest.raises(ConfigError, match="belongs to another model"):
        versions.promote(behind.services, held, VersionRequest(3))
    with pytest.raises(AdapterError, match="is gone"):
        versions.promote(behind.services, held, VersionRequest(4))
    with pytest.raises(ConfigError, match="made from no other version"):
        versions.retire(behind.services, held, VersionRequest(1))
    with pytest.raises(ConfigError, match="out of service already"):
        versions.retire(behind.services, held, VersionRequest(2))
    behind.engine.state = EngineState("loading", "The model is loading", 1.0)
    with pytest.raises(TrainingError, match="try again once it is"):
        versions.promote(behind.services, held, VersionRequest(2))
    assert (statuses(behind), behind.engine.live.version) == (before, 1)


def test_a_version_that_cannot_be_recorded_is_not_served(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*values: object) -> None:
        raise OSError("disk full")

    behind.add_policy(2)
    monkeypatch.setattr(policies, "serve", full)
    with pytest.raises(OSError, match="disk full"):
        versions.promote(behind.services, token(behind), VersionRequest(2))
    assert behind.engine.live.version == 1


def test_a_run_whose_parent_was_rolled_back_meanwhile_does_not_go_live_by_itself(behind: Backstage) -> None:
    supervisor = behind.services.supervisor
    behind.add_policy(2, "retired")
    versions.promote(behind.services, token(behind), VersionRequest(2))
    run = supervisor.retrain()
    runs.start_run(behind.db, run)
    behind.add_policy(3, "candidate", run)  # made from v2
    versions.retire(behind.services, token(behind), VersionRequest(2))
    supervisor._tick()
    assert runs.get_run(behind.db, run).status == "rejected"
    assert "was made from v2, which is not live any more" in (runs.get_run(behind.db, run).error or "")
    assert (statuses(behind)[3], behind.engine.live.version) == ("candidate", 1)


@pytest.mark.parametrize(
    ("act", "status", "why"),
    [
        (versions.retire, "rejected", "v2 passed the check, but was retired"),
        (versions.promote, "succeeded", ""),
    ],
)
def test_a_run_ends_truly_where_its_candidate_was_decided_on_before_its_turn(
    behind: Backstage, act: Callable[..., int], status: str, why: str
) -> None:
    run = behind.services.supervisor.retrain()
    runs.start_run(behind.db, run)
    behind.add_policy(2, "candidate", run)
    live = act(behind.services, token(behind), VersionRequest(2))
    behind.services.supervisor._tick()
    ended = runs.get_run(behind.db, run)
    assert ended.status == status and (ended.error or "").startswith(why)
    assert behind.engine.live.version == live == (2 if act is versions.promote else 1)


def test_nobody_retires_a_candidate_that_goes_live_this_moment(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow: Future[None] = Future()
    monkeypatch.setattr(behind.engine, "swap", lambda policy: slow)
    supervisor = behind.services.supervisor
    run = supervisor.retrain()
    runs.start_run(behind.db, run)
    behind.add_policy(2, "candidate", run)
    supervisor._tick()
    with pytest.raises(TrainingError, match="v2 goes live this moment"):
        versions.retire(behind.services, token(behind), VersionRequest(2))
    slow.set_result(None)
    supervisor._tick()
    assert statuses(behind) == {1: "retired", 2: "live"}


def test_the_family_says_parent_votes_and_size(behind: Backstage) -> None:
    policy = behind.add_policy(2)
    (policy.folder / "weights").write_bytes(b"x" * 1000)
    newest, oldest = versions.family(behind.services)
    assert (newest.policy.version, newest.policy.parent, newest.size) == (2, 1, 1000)
    assert (oldest.votes.learned, oldest.votes.since) == (0, 0)


@pytest.fixture
def loaded(behind: Backstage, tiny_folder: Path, tmp_path: Path) -> Iterator[tuple[Services, LocalEngine, str]]:
    """Services on the tiny model, whose v1 is live and has a child v2; its engine; and the admin's token."""
    data_dir = tmp_path / "data"
    db, model = data_dir / "triptych.db", ModelConfig(str(tiny_folder), str(tiny_folder / "sft"))
    database.prepare(db)
    live = ensure_live_version(db, data_dir, model)
    path, sha256 = publish(
        data_dir / "policies", 2, lambda to: shutil.copytree(tiny_folder / "other", to, dirs_exist_ok=True)
    )
    fingerprint = policies.get_policy(db, 1).model
    policies.record_policy(
        db, Policy(2, 1, None, str(path.relative_to(data_dir)), sha256, "candidate", {}, fingerprint)
    )
    engine = new_engine(tiny_folder, live)
    engine.start()
    supervisor = Supervisor(data_dir, engine, model, RunSettings())
    services = replace(behind.services, db=db, data_dir=data_dir, engine=engine, supervisor=supervisor)
    tokens(engine, row(live.adapter, 3, length=1))  # it is loaded
    yield services, engine, token(behind)
    engine.stop()


def slow_steps_until_a_swap_is_asked_for(monkeypatch: pytest.MonkeyPatch, engine: LocalEngine) -> None:
    """Have the engine write a token in 50 ms until somebody asks for another version.

    The tiny model writes a whole answer sooner than a busy machine tells of its beginning.
    """
    asked, step, swap = threading.Event(), decode_loop.DecodeLoop.step, engine.swap

    def held_step(loop: decode_loop.DecodeLoop) -> None:
        asked.wait(0.05)
        step(loop)

    def told_swap(policy: PolicyVersion) -> Future[None]:
        swapped = swap(policy)
        asked.set()
        return swapped

    monkeypatch.setattr(decode_loop.DecodeLoop, "step", held_step)
    monkeypatch.setattr(engine, "swap", told_swap)


async def answered(services: Services, number: int, grew: Callable[[], object] = lambda: None) -> Completion:
    """Return what the live version answers one of many people, as it is stored; call `grew` when there is some."""
    request = CompareRequest(f"Where is number {number}?", columns=("rlhf",), seed=number, max_new_tokens=160)
    async for progress in compare(services, f"ann-{number}", request):
        if progress.completions[0].tokens:
            grew()
    return preferences.get_comparison(services.db, progress.comparison_id).completions[0]


def test_a_roll_back_under_many_streams_breaks_none_and_the_next_answer_is_the_version_befores(
    loaded: tuple[Services, LocalEngine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, engine, held = loaded
    versions.promote(services, held, VersionRequest(2))
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    people = range(STREAMS)
    begun: set[int] = set()

    async def together() -> list[Completion]:
        return await asyncio.gather(*(answered(services, number) for number in people))

    async def with_a_roll_back() -> tuple[list[Completion], Completion]:
        streams = [asyncio.create_task(answered(services, one, partial(begun.add, one))) for one in people]
        while len(begun) < STREAMS:
            await asyncio.sleep(0.001)
        assert sum(not stream.done() for stream in streams) >= 16
        assert await asyncio.to_thread(versions.retire, services, held, VersionRequest(2)) == 1
        after = await answered(services, 0)
        return await asyncio.gather(*streams), after

    undisturbed = asyncio.run(together())
    slow_steps_until_a_swap_is_asked_for(monkeypatch, engine)
    streams, after = asyncio.run(with_a_roll_back())
    assert {one.policy_version for one in streams} == {2}
    assert {one.finish_reason for one in streams} <= {"stop", "length"}
    assert [one.token_ids for one in streams] == [one.token_ids for one in undisturbed]
    assert after.policy_version == 1 and after.token_ids != streams[0].token_ids


def test_under_an_open_stream_the_old_version_ends_its_answer_and_the_next_row_is_the_new_ones(
    loaded: tuple[Services, LocalEngine, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, engine, held = loaded
    first = engine.live.adapter
    undisturbed = tokens(engine, row(first, 3, length=64))
    slow_steps_until_a_swap_is_asked_for(monkeypatch, engine)
    swapped: list[int] = []

    async def stream() -> tuple[int, ...]:
        async for event in engine.stream([row(first, 3, length=64)]):
            if isinstance(event, Grown) and not swapped:
                swapped.append(await asyncio.to_thread(versions.promote, services, held, VersionRequest(2)))
            if isinstance(event, Finished):
                return event.rows[0].token_ids
        raise AssertionError("the stream broke off")

    assert [asyncio.run(stream())] == undisturbed
    assert swapped == [2]
    promoted = tokens(engine, row(engine.live.adapter, 3, length=64))
    assert engine.live.version == 2 and promoted != undisturbed
    assert versions.retire(services, held, VersionRequest(2)) == 1
    assert tokens(engine, row(engine.live.adapter, 3, length=64)) == undisturbed

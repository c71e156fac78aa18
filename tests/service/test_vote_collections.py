"""Collections of votes: which takes in what is new, what runs and the preview learn from, starting afresh."""

from datetime import datetime

import pytest

from alignment.errors import AccessError, ConfigError
from alignment.runs.schedule import decide
from alignment.serving.engine import PolicyVersion
from service.requests import VoteRequest, checked
from service.vote_collections import Collections, CollectionsRequest, collections
from service.votes import vote
from storage import afresh, database, policies, preferences, runs
from storage.demonstrations import demonstrations_of, save_demonstration
from storage.errors import StorageError
from storage.events import list_events
from storage.messages import one_turn
from storage.overview import Overview, overview
from storage.records import Comparison, Completion
from tests.harness.scripted import PASSWORD, Backstage
from ui import training_view

FAILED = {"passed": False, "findings": []}


def voted(behind: Backstage, count: int = 1) -> list[int]:
    """Store some votes and return their ids."""
    found = []
    for _ in range(count):
        shown = [Completion(slot, "sft", None, f"{slot} is best", [1], 1, {}, "stop", 0, 0) for slot in "AB"]
        comparison = Comparison(database.new_id(), one_turn("Ask"), "compare", False, shown)
        preferences.save_comparison(behind.db, comparison)
        found.append(vote(behind.services, "ann", VoteRequest(comparison.id, "A")).preference_id)
    return found


def acted(behind: Backstage, act: str, **asked: object) -> Collections:
    held = behind.services.admin.login(PASSWORD)
    return collections(behind.services, held, checked(CollectionsRequest, act=act, **asked))


def learned(behind: Backstage) -> list[int]:
    """Return the votes that a run queued now learns from; it ends at once."""
    run = runs.queue_run(behind.db, "ppo", {})
    found = [one.preference_id for one in preferences.rankings(behind.db, run)]
    runs.end_run(behind.db, run, "cancelled")
    return found


def now(behind: Backstage) -> Overview:
    return overview(behind.db)


def test_all_votes_of_before_are_in_one_collection_that_is_open_and_learned(behind: Backstage) -> None:
    first = voted(behind, 3)
    (only,) = acted(behind, "list").all
    assert (only.name, only.open, only.learned, only.votes) == ("all votes so far", True, True, 3)
    assert now(behind).new_votes == 3
    assert learned(behind) == first
    assert now(behind).new_votes == 0


def test_new_votes_go_into_the_open_one_which_alone_is_counted_and_runs_learn_from_all_that_are_chosen(
    behind: Backstage,
) -> None:
    before = voted(behind, 3)
    assert "New votes go" not in training_view.waiting(behind.now())
    acted(behind, "open", name="class of Monday")
    assert now(behind).new_votes == 0
    assert "New votes go into “class of Monday”." in training_view.waiting(behind.now())
    monday = voted(behind, 2)
    assert now(behind).new_votes == 2
    runs.set_schedule(behind.db, runs.Schedule(retrain_every=3))
    missing = decide(now(behind), datetime.now().astimezone()).votes
    assert missing == 1, "those of before do not start a run"
    assert learned(behind) == before + monday
    acted(behind, "choose", names=["class of Monday"])
    assert learned(behind) == monday
    acted(behind, "choose", names=["all votes so far"])
    more = voted(behind)
    assert now(behind).new_votes == 0, "a run would not learn from it"
    assert learned(behind) == before
    acted(behind, "open", name="class of Monday")
    assert now(behind).new_votes == 1
    assert learned(behind) == before + monday + more
    counts = {one.name: one.votes for one in acted(behind, "list").all}
    assert counts == {"class of Monday": 3, "all votes so far": 3}


def test_starting_afresh_serves_version_1_or_any_other_and_learns_from_the_new_one_alone(behind: Backstage) -> None:
    behind.add_policy(2)
    policies.serve(behind.db, 2)
    behind.engine.live = PolicyVersion(2, behind.data_dir, "0" * 64)
    voted(behind, 3)
    acted(behind, "open", name="a second")
    acted(behind, "choose", until="2020-01-01")
    done = acted(behind, "afresh", name="support team")
    assert behind.engine.live.version == 1
    assert (done.open, done.span.until) == ("support team", "")
    assert [one.name for one in done.all if one.learned] == ["support team"]
    assert now(behind).new_votes == 0
    fresh = voted(behind, 2)
    assert learned(behind) == fresh
    acted(behind, "afresh", name="another", version=2)
    assert behind.engine.live.version == 2
    assert learned(behind) == []


def test_a_start_afresh_that_is_cut_off_leaves_nothing_half_done(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind.add_policy(2)
    voted(behind)
    acted(behind, "choose", until="2099-01-01")
    before, trail = acted(behind, "list"), list_events(behind.db)

    def cut_off(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(afresh, "open_in", cut_off)
    with pytest.raises(OSError, match="disk full"):
        acted(behind, "afresh", name="new", version=2)
    live = policies.live_policy(behind.db)
    assert live is not None and (live.version, behind.engine.live.version) == (1, 1)
    assert (acted(behind, "list"), list_events(behind.db)) == (before, trail)


def test_a_run_that_is_queued_at_the_last_moment_holds_a_start_afresh_up(behind: Backstage) -> None:
    run = runs.queue_run(behind.db, "ppo", {})
    with pytest.raises(runs.RunOpenError, match=f"run {run}"):
        afresh.start_afresh(behind.db, "new", 1, "why")


def test_nobody_starts_afresh_while_a_run_learns_from_the_collections_of_before(behind: Backstage) -> None:
    before = acted(behind, "list")
    run = runs.queue_run(behind.db, "ppo", {})
    following = runs.queue_next(behind.db, "ppo", {})
    with pytest.raises(ConfigError, match=f"run {run} is under way; cancel it or let it end first"):
        acted(behind, "afresh", name="new")
    runs.end_run(behind.db, run, "cancelled")
    with pytest.raises(ConfigError, match=f"run {following} is under way"):
        acted(behind, "afresh", name="new")
    assert acted(behind, "list") == before
    runs.end_run(behind.db, following, "cancelled")
    assert acted(behind, "afresh", name="new").open == "new"


def test_a_span_of_time_leaves_out_what_was_given_before_or_after(behind: Backstage) -> None:
    first, second = voted(behind, 2)
    with database.write(behind.db) as db:
        db["preferences"].update(first, {"created": "2026-11-02T10:00:00+00:00"})
        db["preferences"].update(second, {"created": "2026-11-03T10:00:00+00:00"})
    acted(behind, "choose", since="2026-11-03")
    assert now(behind).new_votes == 1
    assert learned(behind) == [second]
    with pytest.raises(ConfigError, match="must come before"):
        acted(behind, "choose", until="2026-11-02")
    asked = {"since": "", "until": "2026-11-03T11:30:00+02:00"}
    assert acted(behind, "choose", **asked).span.until == "2026-11-03T09:30:00+00:00"
    assert learned(behind) == [first]
    acted(behind, "choose", names=["all votes so far"])
    assert learned(behind) == [first], "names alone leave the span as it was"
    acted(behind, "choose", until="")
    assert learned(behind) == [first, second]


def test_a_run_over_other_collections_or_another_span_is_the_next_one(behind: Backstage) -> None:
    voted(behind)
    supervisor = behind.services.supervisor
    first = supervisor.retrain()
    assert supervisor.retrain() == first
    acted(behind, "choose", until="2020-01-01")
    following = supervisor.retrain()
    assert runs.get_run(behind.db, following).status == "waiting"
    acted(behind, "choose", until="")
    assert supervisor.retrain() == first
    acted(behind, "open", name="empty")
    acted(behind, "choose", names=["empty"])
    assert supervisor.retrain() == following


def test_demonstrations_belong_to_collections_too(behind: Backstage) -> None:
    told = [save_demonstration(behind.db, messages=one_turn("Hi"), completion="Ahoy", annotator_id="ann")]
    acted(behind, "afresh", name="new")
    assert now(behind).new_demonstrations == 0
    told.append(save_demonstration(behind.db, messages=one_turn("Hi"), completion="Hello", annotator_id="ann"))
    assert now(behind).new_demonstrations == 1
    run = runs.queue_run(behind.db, "ppo", {})
    assert [one.id for one in demonstrations_of(behind.db, run)] == told[1:]


def test_the_preview_learns_from_what_a_run_would(behind: Backstage) -> None:
    voted(behind, 4)
    behind.services.preview.follow()
    assert behind.services.preview.latest is not None
    acted(behind, "afresh", name="new")
    behind.services.preview.follow()
    assert behind.services.preview.latest is None


def test_what_is_refused_changes_nothing(behind: Backstage) -> None:
    behind.add_policy(2, "rejected", gate=FAILED)
    before = acted(behind, "list")
    with pytest.raises(AccessError):
        collections(behind.services, "made up", CollectionsRequest("open", "x"))
    refused = [
        (ConfigError, "needs a name", {"act": "open", "name": "  "}),
        (ConfigError, "a day or a moment", {"act": "choose", "since": "Monday"}),
        (ConfigError, "a day or a moment", {"act": "choose", "until": "0001-01-01T00:00:00+14:00"}),
        (
            ConfigError,
            "since 2026-11-03 must come before",
            {"act": "choose", "since": "2026-11-03", "until": "2026-11-02"},
        ),
        (ConfigError, "at least one", {"act": "choose", "names": []}),
        (StorageError, "no collection 'y'", {"act": "choose", "names": ["all votes so far", "y"]}),
        (StorageError, "no version v9", {"act": "afresh", "name": "x", "version": 9}),
        (ConfigError, "say why", {"act": "afresh", "name": "x", "version": 2}),
    ]
    for error, words, asked in refused:
        with pytest.raises(error, match=words):
            acted(behind, **asked)  # type: ignore[arg-type]
    assert acted(behind, "list") == before
    assert behind.engine.live.version == 1
    acted(behind, "afresh", name="x", version=2, reason="to see what it breaks")
    assert behind.engine.live.version == 2

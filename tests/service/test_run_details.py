"""What is known of a run: the rows that it learned from, the end of its log, and two runs side by side."""

from pathlib import Path

import pytest

from alignment.errors import AccessError
from alignment.runs.dataset import digest
from service import run_details
from service.requests import RunRequest
from service.run_details import BothRequest, LogRequest
from storage import preferences, runs
from storage.demonstrations import demonstrations_of, save_demonstration
from storage.messages import one_turn
from storage.records import Comparison, Completion, Metric
from tests.harness.scripted import PASSWORD, Backstage


@pytest.fixture
def token(behind: Backstage) -> str:
    return behind.services.admin.login(PASSWORD)


def vote(db: Path, name: str, best: str = "B") -> int:
    shown = [Completion(slot, "sft", None, f"{name} {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
    preferences.save_comparison(db, Comparison(name, one_turn(f"Ask {name}"), "compare", False, shown))
    tiers = [[best], [slot for slot in "ABC" if slot != best]]
    return preferences.save_preference(db, comparison_id=name, annotator_id="ann", tiers=tiers, kind="choice")


def queued(behind: Backstage, **settings: object) -> int:
    run = runs.queue_run(behind.db, "ppo", {"seed": 0, "ppo": {"updates": 2, **settings}})
    read = (preferences.rankings(behind.db, run), demonstrations_of(behind.db, run))
    runs.set_dataset(behind.db, run, {"sha256": digest(*read), "votes": len(read[0])})
    return run


def test_the_rows_of_a_run_are_named_and_whether_they_are_still_those_that_it_read(
    behind: Backstage, token: str
) -> None:
    first = vote(behind.db, "one")
    save_demonstration(behind.db, messages=one_turn("Hi"), completion="Hello.", annotator_id="ann")
    run = queued(behind)
    found = run_details.rows(behind.services, token, RunRequest(run))
    assert (found.claimed, found.standing, found.same) == (2, 2, True)
    assert [(one.kind, one.question, one.best) for one in found.listed] == [
        ("vote", "Ask one", "one B"),
        ("demonstration", "Hi", "Hello."),
    ]
    vote(behind.db, "two")  # came later: it is none of them
    assert run_details.rows(behind.services, token, RunRequest(run)) == found
    preferences.withdraw_preference(behind.db, first, "ann")
    after = run_details.rows(behind.services, token, RunRequest(run))
    assert (after.claimed, after.standing, after.same) == (2, 1, False)


def test_the_same_rows_have_the_same_hash_in_any_order_and_other_words_another(behind: Backstage) -> None:
    for name in ("one", "two"):
        vote(behind.db, name)
    ranked = preferences.rankings(behind.db)
    assert digest(ranked, []) == digest(ranked[::-1], [])
    assert digest(ranked, []) != digest(ranked[:1], [])


def test_the_log_ends_with_its_last_lines_and_is_the_admins_alone(behind: Backstage, token: str) -> None:
    run = queued(behind)
    assert run_details.log_tail(behind.services, token, LogRequest(run)) == ""
    folder = behind.data_dir / "runs" / f"run-{run:06d}"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("".join(f"line {number}\n" for number in range(300)))
    tail = run_details.log_tail(behind.services, token, LogRequest(run)).splitlines()
    assert (len(tail), tail[0], tail[-1]) == (200, "line 100", "line 299")
    assert run_details.log_tail(behind.services, token, LogRequest(run, 1)) == "line 299"
    for held in (None, "", "made up"):
        with pytest.raises(AccessError):
            run_details.log_tail(behind.services, held, LogRequest(run))
        with pytest.raises(AccessError):
            run_details.rows(behind.services, held, RunRequest(run))
    with pytest.raises(LookupError, match="there is no run 99"):
        run_details.log_tail(behind.services, token, LogRequest(99))


def test_two_runs_side_by_side_tell_what_differs_and_what_came_of_it(behind: Backstage) -> None:
    one = queued(behind)
    runs.start_run(behind.db, one)
    runs.report(behind.db, one, "ppo", 0.5, [Metric(1, "objective/kl", 1.0), Metric(2, "objective/kl", 2.0)])
    runs.end_run(behind.db, one, "cancelled")
    other = queued(behind, updates=4, epochs=3)
    found = run_details.both(behind.services, BothRequest(one, other))
    assert found.settings == {"ppo.updates": (2, 4), "ppo.epochs": (None, 3)}
    assert found.metrics == {"objective/kl": (2.0, None)}


def test_of_two_runs_only_what_both_methods_read_is_compared(behind: Backstage) -> None:
    one = queued(behind)
    runs.end_run(behind.db, one, "cancelled")
    raft, ppo = {"rounds": 3, "prompts": 8}, {"updates": 9}
    other = runs.queue_run(behind.db, "raft", {"seed": 1, "ppo": ppo, "raft": raft, "gate": {"max_kl": 2.0}})
    runs.end_run(behind.db, other, "cancelled")
    third = runs.queue_run(behind.db, "raft", {"seed": 1, "ppo": {"updates": 5}, "raft": raft | {"rounds": 2}})
    assert run_details.used(runs.get_run(behind.db, other)).keys() == {
        "seed",
        "raft.rounds",
        "raft.prompts",
        "gate.max_kl",
    }
    both = run_details.both(behind.services, BothRequest(one, other)).settings
    assert both == {
        "method": ("ppo", "raft"),
        "seed": (0, 1),
        "raft.rounds": (None, 3),
        "raft.prompts": (None, 8),
        "gate.max_kl": (None, 2.0),
    }
    both = run_details.both(behind.services, BothRequest(other, third)).settings
    assert both == {"raft.rounds": (3, 2), "gate.max_kl": (2.0, None)}

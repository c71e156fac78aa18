"""People: how they agree, who looks suspicious, who is left out of runs, how much one may weigh, and what is erased."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alignment.errors import AccessError
from service.erasing import EraseRequest, erase
from service.exchange.pseudonyms import annotator_pseudonym
from service.people import NameRequest, integrity, leave_person_out, leave_vote_out, rename
from service.requests import VoteRequest, checked
from service.votes import vote
from storage import database, preferences, runs
from storage.demonstrations import save_demonstration
from storage.features import read_features, save_features, text_key
from storage.messages import one_turn
from storage.overview import overview
from storage.people import UnknownPersonError
from storage.prompts import NewPrompt, add_prompts
from tests.harness.scripted import Backstage
from tests.service.exchanging import token
from tests.storage.test_preferences import comparison


def give(db: Path, number: int, best: str, annotator: str = "ann", seconds: float = 5.0, new: bool = True) -> int:
    if new:
        preferences.save_comparison(db, comparison(f"c{number}", blind=True))
    return preferences.save_preference(
        db,
        comparison_id=f"c{number}",
        annotator_id=annotator,
        tiers=[[best], [slot for slot in "ABC" if slot != best]],
        kind="choice",
        decision_seconds=seconds,
        reason="too long",
    )


def values(behind: Backstage, sql: str) -> list[Any]:
    with database.read(behind.db) as db:
        return [tuple(row) for row in db.conn.execute(sql)]


def test_figures_of_people_and_of_all_together(behind: Backstage) -> None:
    for number in range(12):
        best = "ABC"[number % 3]
        give(behind.db, number, best)
        give(behind.db, number, best, "bob", new=False)
        give(behind.db, number, "A" if best != "A" else "B", "contrary", new=False)
        give(behind.db, 100 + number, "A", "hasty", seconds=0.4)
    found = integrity(behind.services, token(behind.services))
    people = {one.pseudonym: one for one in found.people}
    key = behind.services.key

    def of(name: str) -> Any:
        return people[annotator_pseudonym(key, name)]

    assert of("ann").agrees == (0, 0)  # bob and the contrary one are always at odds
    assert of("contrary").agrees == (0, 12)
    assert of("contrary").suspicions == ("against",)
    assert of("hasty").suspicions == ("fast", "one side")
    assert of("hasty").places == (12, 0, 0)
    assert of("ann").suspicions == ()
    assert found.shared == 12
    assert found.alpha is not None
    assert -0.2 < found.alpha < 0.3  # one of three pairs of people agrees: chance
    assert sum(found.places) == 48
    assert found.chance == (16.0, 16.0, 16.0)
    with pytest.raises(AccessError, match="log in first"):
        integrity(behind.services, "")


def test_the_same_answers_judged_again_say_how_far_one_agrees_with_oneself(behind: Backstage) -> None:
    for number, best in enumerate("AAB"):
        whole = comparison("same")
        preferences.save_comparison(behind.db, type(whole)(**{**vars(whole), "id": f"c{number}"}))
        give(behind.db, number, best, new=False)
    (one,) = integrity(behind.services, token(behind.services)).people
    assert one.repeated == (1, 3)


def test_people_who_choose_the_same_text_in_two_places_agree(behind: Backstage) -> None:
    for number in range(2):
        preferences.save_comparison(behind.db, comparison(f"c{number}", ("a", "same", "same")))
    for number, (one, other) in enumerate(["BC", "AB"]):
        give(behind.db, number, one, new=False)
        give(behind.db, number, other, "bob", new=False)
    found = integrity(behind.services, token(behind.services))
    assert [one.agrees for one in found.people] == [(1, 2), (1, 2)]


def test_without_votes_nothing_is_known(behind: Backstage) -> None:
    found = integrity(behind.services, token(behind.services))
    assert (found.people, found.alpha, found.shared, found.places) == ((), None, 0, ())


def test_what_is_left_out_is_in_no_later_run_and_nothing_is_deleted(behind: Backstage) -> None:
    first = give(behind.db, 0, "A")
    give(behind.db, 1, "B")
    theirs = give(behind.db, 2, "C", "bob")
    held = token(behind.services)
    bob = annotator_pseudonym(behind.services.key, "bob")
    leave_vote_out(behind.services, held, first, out=True)
    leave_person_out(behind.services, held, bob, out=True)
    give(behind.db, 3, "C", "bob")
    assert overview(behind.db).new_votes == 1
    assert len(preferences.rankings(behind.db)) == 1
    run = runs.queue_run(behind.db, "ppo", {})
    assert [one.preference_id for one in preferences.rankings(behind.db, run)] == [2]
    runs.end_run(behind.db, run, "failed")
    assert values(behind, "SELECT count(*) FROM preferences WHERE withdrawn IS NULL") == [(4,)]
    leave_vote_out(behind.services, held, first, out=False)
    leave_person_out(behind.services, held, bob, out=False)
    assert overview(behind.db).new_votes == 3
    assert theirs in [one.preference_id for one in preferences.rankings(behind.db)]
    assert [name for (name,) in values(behind, "SELECT name FROM events ORDER BY id")] == [
        *["leave out"] * 2,
        *["let in"] * 2,
    ]
    with pytest.raises(AccessError):
        leave_vote_out(behind.services, None, first, out=True)
    with pytest.raises(UnknownPersonError, match="nobody called"):
        leave_person_out(behind.services, held, "p.nobody", out=True)


def test_one_annotator_weighs_no_more_in_a_run_than_the_setting_says(behind: Backstage) -> None:
    for number in range(8):
        give(behind.db, number, "A")
    for number in range(8, 10):
        give(behind.db, number, "B", "bob")
    run = runs.queue_run(behind.db, "ppo", {}, annotator_share=0.5)
    assert [one.preference_id for one in preferences.rankings(behind.db, run)] == [4, 5, 6, 7, 8, 9, 10]
    assert overview(behind.db).new_votes == 0


def test_a_name_is_kept_until_it_is_taken_away(behind: Backstage) -> None:
    give(behind.db, 0, "A")
    rename(behind.services, "ann", checked(NameRequest, name="Ann"))
    assert [one.name for one in integrity(behind.services, token(behind.services)).people] == ["Ann"]
    rename(behind.services, "ann", checked(NameRequest, name=None))
    assert values(behind, "SELECT name FROM annotators") == [(None,)]


@pytest.mark.parametrize("keep", [True, False])
def test_all_that_a_person_wrote_is_erased_and_nothing_of_others(behind: Backstage, keep: bool) -> None:
    secret = "my street is Elm Street"
    for number in (0, 1):
        whole = comparison(f"c{number}", texts=(f"{secret} {number}", "b", "c"))
        preferences.save_comparison(behind.db, type(whole)(**{**vars(whole), "messages": one_turn(f"Hi, {secret}")}))
    give(behind.db, 0, "A", new=False)
    give(behind.db, 1, "A", "bob", new=False)
    save_demonstration(behind.db, messages=one_turn(secret), completion=secret, annotator_id="ann")
    rename(behind.services, "ann", checked(NameRequest, name="Elm"))
    asked = one_turn(f"Hi, {secret}")
    keys = [text_key(asked, f"{secret} {number}", ended=True) for number in (0, 1)]
    keys.append(text_key(one_turn(secret), secret, ended=True))
    save_features(behind.db, "m", dict.fromkeys(keys, np.zeros(2, np.float32)))
    run = runs.queue_run(behind.db, "ppo", {})
    done = erase(behind.services, "ann", None, checked(EraseRequest, keep_votes=keep))
    assert (done.comparisons, done.demonstrations, done.votes) == (1, 1, 0 if keep else 1)
    with database.read(behind.db) as db:
        dump = "\n".join(line for line in db.conn.iterdump())
    assert dump.count(secret) == 2  # bob's prompt and answer
    assert "Elm'" not in dump
    assert list(read_features(behind.db, "m", keys)) == [keys[1]]
    standing = values(behind, "SELECT id, reason FROM preferences WHERE withdrawn IS NULL ORDER BY id")
    assert standing == ([(1, ""), (2, "too long")] if keep else [(2, "too long")])
    assert values(behind, f"SELECT count(*) FROM run_rows WHERE run = {run}") == [(2,)]
    texts = [one.completions[0] for one in preferences.rankings(behind.db, run)]
    assert texts == [f"{secret} 1"]  # a vote that is kept teaches nothing, as nothing is left to read
    codes = values(behind, "SELECT slot, length(code) FROM erased_texts ORDER BY slot")
    assert codes == [("", 64), ("A", 64), ("B", 64), ("C", 64)]
    on_disk = b"".join(path.read_bytes() for path in behind.data_dir.glob("triptych.db*"))
    assert on_disk.count(f"{secret} 0".encode()) == 0
    with pytest.raises(preferences.UnknownComparisonError):  # blank answers take no vote
        vote(behind.services, "cy", VoteRequest("c0", "B"))


def test_what_was_typed_on_the_teach_tab_is_erased_and_a_prompt_of_the_pool_is_not(behind: Backstage) -> None:
    secret, pooled = one_turn("I live in Elm Street"), one_turn("Where is Paris?")
    add_prompts(behind.db, [NewPrompt(pooled)])
    for number, messages in enumerate((secret, pooled)):
        made = replace(comparison(f"c{number}"), messages=messages, kind="teach")
        preferences.save_comparison(behind.db, made)
        give(behind.db, number, "A", new=False)
    assert erase(behind.services, "ann", None, checked(EraseRequest, keep_votes=True)).comparisons == 1
    with database.read(behind.db) as db:
        dump = "\n".join(db.conn.iterdump())
    assert "Elm Street" not in dump
    assert "Where is Paris?" in dump


def test_an_admin_erases_for_somebody_and_nobody_else_does(behind: Backstage) -> None:
    give(behind.db, 0, "A", "bob")
    bob = annotator_pseudonym(behind.services.key, "bob")
    with pytest.raises(AccessError, match="log in first"):
        erase(behind.services, "ann", None, checked(EraseRequest, person=bob))
    assert erase(behind.services, "ann", None, checked(EraseRequest)).comparisons == 0
    done = erase(behind.services, "ann", token(behind.services), checked(EraseRequest, person=bob))
    assert (done.comparisons, done.votes) == (1, 1)
    assert values(behind, "SELECT name, actor FROM events ORDER BY id DESC LIMIT 1") == [("erase", "admin")]

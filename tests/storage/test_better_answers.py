"""All bad, and a better answer: what is written by whom decides what is in a pair."""

from pathlib import Path

import pytest

from storage import database, demonstrations, preferences, runs
from storage.messages import one_turn
from tests.storage.test_preferences import comparison


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    preferences.save_comparison(path, comparison("c1", ("one", "two", "three")))
    return path


def all_bad(db: Path, who: str = "ann") -> int:
    return preferences.save_preference(db, comparison_id="c1", annotator_id=who, tiers=[], kind="all_bad")


def written(db: Path, completion: str, who: str = "ann") -> int:
    asked = preferences.get_comparison(db, "c1").messages
    return demonstrations.save_demonstration(db, messages=asked, completion=completion, annotator_id=who)


def test_all_bad_alone_is_kept_and_judges_no_pair(db: Path) -> None:
    vote = all_bad(db)
    (ranking,) = preferences.rankings(db)
    assert (ranking.preference_id, ranking.tiers) == (vote, ())
    assert preferences.count_pairs_of(db, vote) == 0


@pytest.mark.parametrize("writes_first", [True, False])
def test_all_shown_lose_to_a_better_answer_whichever_came_first(db: Path, writes_first: bool) -> None:
    if writes_first:
        written(db, "better")
    vote = all_bad(db)
    if not writes_first:
        written(db, "better")
    (ranking,) = preferences.rankings(db)
    assert ranking.completions == ("one", "two", "three", "better")
    assert (ranking.tiers, ranking.tied, ranking.ended[3]) == (((3,), (0, 1, 2)), False, True)
    assert preferences.count_pairs_of(db, vote) == 3


def test_what_somebody_else_wrote_or_wrote_to_something_else_is_in_no_pair(db: Path) -> None:
    vote = all_bad(db)
    written(db, "better", who="bob")
    demonstrations.save_demonstration(db, messages=one_turn("Else?"), completion="better", annotator_id="ann")
    assert preferences.count_pairs_of(db, vote) == 0
    assert preferences.rankings(db)[0].tiers == ()


def test_a_better_answer_beside_another_vote_is_a_demonstration_alone(db: Path) -> None:
    vote = preferences.save_preference(
        db, comparison_id="c1", annotator_id="ann", tiers=[["A"], ["B", "C"]], kind="choice"
    )
    written(db, "better")
    assert preferences.count_pairs_of(db, vote) == 2
    assert len(preferences.rankings(db)[0].completions) == 3


def test_a_run_learns_what_it_claimed_and_nothing_that_was_written_since(db: Path) -> None:
    all_bad(db)
    written(db, "better")
    run = runs.queue_run(db, "ppo", {})
    written(db, "better still")
    assert preferences.rankings(db, run)[0].completions[3:] == ("better",)
    assert preferences.rankings(db)[0].completions[3:] == ("better", "better still")


def test_a_vote_that_is_taken_back_leaves_the_better_answer_a_demonstration(db: Path) -> None:
    vote = all_bad(db)
    written(db, "better")
    preferences.withdraw_preference(db, vote, "ann")
    assert preferences.rankings(db) == []
    assert preferences.count_pairs_of(db, vote) == 0

"""The leaderboard: what votes say of models, which of them count, and the counts that it is read from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.leaderboard import Leaderboard, LeaderboardRequest, leaderboard
from service.requests import checked
from storage import database, preferences
from storage.records import PreferenceKind, Source
from tests.harness.scripted import Backstage
from tests.storage.test_preferences import comparison
from ui.leaderboard_tab import drawn


def board(behind: Backstage, annotator: str = "ann", **asked: Any) -> Leaderboard:
    return leaderboard(behind.services, annotator, checked(LeaderboardRequest, **asked))


def give(
    db: Path,
    number: int,
    tiers: list[list[str]],
    kind: PreferenceKind = "choice",
    annotator: str = "ann",
    source: Source = "human",
    texts: tuple[str, ...] = ("a", "b", "c"),
) -> int:
    preferences.save_comparison(db, comparison(f"c{number}", texts, blind=number % 2 == 0))
    return preferences.save_preference(
        db, comparison_id=f"c{number}", annotator_id=annotator, tiers=tiers, kind=kind, source=source
    )


def test_without_a_vote_no_model_is_named_and_the_page_says_why(behind: Backstage) -> None:
    found = board(behind)
    assert (found.votes, found.standings, found.days) == (0, (), ())
    assert "nothing stands here" in drawn(found, behind.services.model)


def test_one_vote_gives_an_order_with_intervals_that_overlap_and_a_word_of_warning(behind: Backstage) -> None:
    give(behind.db, 0, [["C"], ["A", "B"]])
    found = board(behind)
    assert (found.votes, found.judging) == (1, 1)
    assert found.standings[0].name == "v4"
    assert max(one.low for one in found.standings) < min(one.high for one in found.standings)
    html = drawn(found, behind.services.model)
    assert "almost every order is possible" in html
    assert "RLHF v4" in html


def test_wins_ties_and_losses_are_counted_and_all_bad_says_nothing_of_an_order(behind: Backstage) -> None:
    give(behind.db, 0, [["C"], ["A", "B"]])
    give(behind.db, 1, [["B"], ["A", "C"]])
    give(behind.db, 2, [["A", "B", "C"]], "tie")
    give(behind.db, 3, [], "all_bad")
    found = board(behind)
    assert (found.votes, found.judging) == (4, 3)
    assert record(behind) == {"v4": (2, 2, 1), "sft": (2, 2, 1), "base": (0, 2, 2)}
    names = [one.name for one in found.standings]
    assert found.wins[names.index("v4")][names.index("base")] == 1.5
    assert found.counts[names.index("v4")][names.index("base")] == 2


def record(behind: Backstage) -> dict[str, tuple[int, int, int]]:
    return {one.name: (one.wins, one.ties, one.losses) for one in board(behind).standings}


def test_of_two_answers_with_the_same_text_a_vote_puts_neither_above_the_other(behind: Backstage) -> None:
    give(behind.db, 0, [["C"], ["A", "B"]], texts=("a", "same", "same"))
    assert record(behind) == {"sft": (1, 0, 0), "v4": (1, 0, 0), "base": (0, 0, 2)}
    give(behind.db, 1, [["A", "B", "C"]], "tie", texts=("a", "same", "same"))
    assert record(behind) == {"sft": (1, 1, 0), "v4": (1, 1, 0), "base": (0, 2, 2)}
    give(behind.db, 2, [["C"], ["A", "B"]], texts=("same", "same", "same"))
    assert (board(behind).votes, board(behind).judging) == (3, 2)
    assert record(behind) == {"sft": (1, 1, 0), "v4": (1, 1, 0), "base": (0, 2, 2)}


def test_an_answer_that_a_vote_stopped_before_its_first_word_lost_to_nobody(behind: Backstage) -> None:
    whole = comparison("early", ("", "b", "c"))
    unread = replace(whole.completions[0], finish_reason="cancelled")
    preferences.save_comparison(behind.db, replace(whole, completions=[unread, *whole.completions[1:]]))
    preferences.save_preference(
        behind.db, comparison_id="early", annotator_id="ann", tiers=[["C"], ["A", "B"]], kind="choice"
    )
    assert record(behind) == {"v4": (1, 0, 0), "sft": (0, 0, 1)}


def test_whoever_votes_again_after_an_undo_has_seen_the_names(behind: Backstage) -> None:
    first = give(behind.db, 0, [["C"], ["A", "B"]])
    assert board(behind, blind=True).votes == 1
    preferences.withdraw_preference(behind.db, first, "ann")
    again = {"comparison_id": "c0", "tiers": [["A"], ["B", "C"]], "kind": "choice"}
    preferences.save_preference(behind.db, annotator_id="ann", **again)
    assert (board(behind).votes, board(behind, blind=True).votes, board(behind, blind=True, own=True).votes) == (
        1,
        0,
        0,
    )
    preferences.save_preference(behind.db, annotator_id="bob", **again)  # who has not
    assert (board(behind).votes, board(behind, blind=True).votes) == (2, 1)


def test_filters_choose_votes(behind: Backstage) -> None:
    give(behind.db, 0, [["C"], ["A", "B"]], source="simulated")
    give(behind.db, 1, [["C"], ["A", "B"]], annotator="bob")
    give(behind.db, 2, [["A"], ["B", "C"]])
    assert board(behind).votes == 3
    assert board(behind, source="simulated").votes == 1
    assert board(behind, source="imported").votes == 0
    assert board(behind, blind=True).votes == 2
    assert board(behind, asked="teach").votes == 0
    assert board(behind, own=True).votes == 2
    assert board(behind, "bob", own=True).votes == 1


def test_counts_follow_votes_that_are_taken_back_left_out_and_let_in_again(behind: Backstage) -> None:
    first = give(behind.db, 0, [["C"], ["A", "B"]])
    give(behind.db, 1, [["C"], ["A", "B"]], annotator="bob")
    second = give(behind.db, 2, [["A"], ["B", "C"]])

    def change(sql: str) -> int:
        with database.write(behind.db) as db:
            db.execute(sql)
        return board(behind).votes

    assert change(f"UPDATE preferences SET left_out = 'now' WHERE id = {second}") == 2
    assert change("UPDATE annotators SET left_out = 'now' WHERE id = 'bob'") == 1
    assert change(f"UPDATE preferences SET left_out = NULL WHERE id = {second}") == 2
    assert change("UPDATE annotators SET left_out = NULL WHERE id = 'bob'") == 3
    preferences.withdraw_preference(behind.db, first, "ann")
    assert board(behind).votes == 2
    give(behind.db, 4, [["C"], ["A", "B"]])
    assert board(behind).votes == 3
    assert sum(count for _, count in board(behind).days) == 3


@pytest.mark.parametrize("asked", [{"source": "nobody"}, {"blind": "maybe"}, {"asked": 3}])
def test_a_filter_that_there_is_not_is_refused_in_words(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        checked(LeaderboardRequest, **asked)

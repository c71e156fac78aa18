"""The leaderboard: what votes say of models, which of them count, and the counts that it is read from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import AccessError, ConfigError
from service.leaderboard import Leaderboard, LeaderboardRequest, leaderboard
from service.people import named_people
from service.requests import checked
from storage import database, preferences, prompts
from storage.messages import one_turn
from storage.people import UnknownPersonError, rename
from storage.prompts import NewPrompt
from storage.records import PreferenceKind, Source
from tests.harness.scripted import EXAMPLES, PASSWORD, Backstage
from tests.storage.test_preferences import comparison
from ui.leaderboard_tab import drawn, people_choices, topic_choices


def board(behind: Backstage, caller: str = "ann", token: str | None = None, **asked: Any) -> Leaderboard:
    return leaderboard(behind.services, caller, checked(LeaderboardRequest, **asked), token)


def give(
    db: Path,
    number: int,
    tiers: list[list[str]],
    kind: PreferenceKind = "choice",
    annotator: str = "ann",
    source: Source = "human",
    texts: tuple[str, ...] = ("a", "b", "c"),
    question: str = "",
) -> int:
    asked = comparison(f"c{number}", texts, blind=number % 2 == 0)
    preferences.save_comparison(db, replace(asked, messages=one_turn(question)) if question else asked)
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


def test_a_kind_of_question_is_what_the_pool_of_prompts_calls_it(behind: Backstage) -> None:
    capital, other, picks, _ = (example.prompt for example in EXAMPLES)
    give(behind.db, 0, [["C"], ["A", "B"]], question=capital)
    give(behind.db, 1, [["C"], ["A", "B"]], annotator="bob", question=other)
    left_out = give(behind.db, 2, [["A"], ["B", "C"]], question=capital)
    give(behind.db, 3, [["A"], ["B", "C"]], question=picks)
    give(behind.db, 4, [["A"], ["B", "C"]], question=f"{capital} Be brief.")
    with database.write(behind.db) as db:
        db["preferences"].update(left_out, {"left_out": "now"})
    assert [name for _, name in topic_choices(behind.services)] == ["", "Capitals", "Refusals", "Tasks"]
    assert board(behind, topic="Capitals").votes == 2
    assert board(behind, topic="Capitals", own=True).votes == 2  # one's own, left out or not
    assert board(behind, topic="Capitals", blind=True).votes == 1
    assert board(behind, topic="Refusals").votes == 1
    assert board(behind, topic="Tasks").votes == 0
    pool = {one.messages: one.id for one in prompts.list_prompts(behind.db)}
    prompts.remove_prompts(behind.db, [pool[one_turn(capital)]])
    assert board(behind, topic="Capitals").votes == 2  # it was one
    prompts.add_prompts(behind.db, [NewPrompt(one_turn(capital), "France")])
    assert (board(behind, topic="Capitals").votes, board(behind, topic="France").votes) == (1, 1)
    with pytest.raises(ConfigError, match="one of the pool of prompts, Capitals, France, Refusals, Tasks"):
        board(behind, topic="Weather")


def test_an_admin_looks_at_one_persons_votes_and_nobody_else_does_or_learns_a_name(behind: Backstage) -> None:
    give(behind.db, 0, [["C"], ["A", "B"]])
    give(behind.db, 1, [["C"], ["A", "B"]], annotator="bob")
    give(behind.db, 2, [["A"], ["B", "C"]], annotator="bob")
    rename(behind.db, "bob", "Bob")
    token = behind.services.admin.login(PASSWORD)
    (bob, name), (ann, _) = named_people(behind.services, token)
    assert name == "Bob"
    assert board(behind, token=token, annotator=bob).votes == 2
    assert board(behind, token=token, annotator=ann).votes == 1
    assert people_choices(behind.services, token)[1] == (f"Bob ({bob})", bob)
    with pytest.raises(UnknownPersonError):
        board(behind, token=token, annotator="bob")  # what their cookie holds is no name
    for held in (None, "wrong"):
        assert people_choices(behind.services, held) == [("everybody", "")]
        with pytest.raises(AccessError, match="admin's token"):
            board(behind, token=held, annotator=bob)
        with pytest.raises(AccessError, match="admin's token"):
            board(behind, token=held, annotator="whoever")  # nor whether there is such a one
    with pytest.raises(ConfigError, match="own means the caller's votes"):
        board(behind, token=token, annotator=bob, own=True)


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

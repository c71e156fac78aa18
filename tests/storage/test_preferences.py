"""Votes: the rankings and pairs that follow from them, what counts once, and that none is ever lost."""

import json
import random
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from storage import database, preferences, runs
from storage.messages import Message, one_turn
from storage.overview import overview
from storage.preferences import DuplicateVoteError, UnknownComparisonError, UnknownVoteError
from storage.records import Comparison, Completion, PreferenceKind, Ranking, Role

ROOT = Path(__file__).parents[2]
SLOTS: tuple[tuple[str, Role], ...] = (("A", "base"), ("B", "sft"), ("C", "rlhf"))


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


def comparison(
    comparison_id: str = "c1", texts: tuple[str, ...] = ("a", "b", "c"), blind: bool = False, cut: str = ""
) -> Comparison:
    """Three completions; those in the slots of `cut` reached the length limit."""
    return Comparison(
        id=comparison_id,
        messages=one_turn(f"prompt of {comparison_id}"),
        kind="compare",
        blind=blind,
        completions=[
            Completion(
                slot=slot,
                role=role,
                policy_version=4 if role == "rlhf" else None,
                text=text,
                token_ids=[5, 6, 7],
                seed=11,
                sampling={"temperature": 0.7, "max_new_tokens": 96},
                finish_reason="length" if slot in cut else "stop",
                first_token_seconds=0.1,
                seconds=0.5,
            )
            for (slot, role), text in zip(SLOTS, texts, strict=False)
        ],
    )


def vote(
    db: Path,
    tiers: list[list[str]],
    kind: PreferenceKind = "choice",
    comparison_id: str = "c1",
    annotator_id: str = "ann",
) -> int:
    return preferences.save_preference(
        db, comparison_id=comparison_id, annotator_id=annotator_id, tiers=tiers, kind=kind
    )


def withdraw(db: Path, preference_id: int, annotator_id: str | None = "ann") -> None:
    preferences.withdraw_preference(db, preference_id, annotator_id)


def columns(db: Path, sql: str) -> list[object]:
    with database.read(db) as connection:
        return [value for (value,) in connection.conn.execute(sql)]


def pairs(db: Path) -> list[tuple[object, object]]:
    with database.read(db) as connection:
        return list(connection.conn.execute("SELECT chosen, rejected FROM pairs"))


def test_a_comparison_comes_back_as_it_was_saved_in_the_order_shown(db: Path) -> None:
    saved = comparison(blind=True)
    asked = (Message("system", "Be brief."), Message("user", " Hi ☂\n"))
    shown = replace(saved, messages=asked, completions=saved.completions[::-1])
    preferences.save_comparison(db, shown)
    found = preferences.get_comparison(db, "c1")
    assert found.created
    assert found == replace(shown, created=found.created)


def test_a_comparison_that_cannot_be_saved_whole_leaves_nothing(db: Path) -> None:
    twice = comparison().completions[0]
    with pytest.raises(sqlite3.IntegrityError):
        preferences.save_comparison(db, replace(comparison(), completions=[twice, twice]))
    assert columns(db, "SELECT count(*) FROM comparisons") == [0]
    assert columns(db, "SELECT count(*) FROM completions") == [0]


def test_ids_do_not_repeat_and_are_long_enough_not_to_be_guessed() -> None:
    ids = {database.new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert min(map(len, ids)) >= 22  # 128 bits in base 64


def test_an_unknown_comparison_is_named_in_the_error(db: Path) -> None:
    with pytest.raises(UnknownComparisonError, match="'nowhere'"):
        preferences.get_comparison(db, "nowhere")


def test_a_vote_on_an_unknown_comparison_is_refused_and_leaves_nothing(db: Path) -> None:
    with pytest.raises(UnknownComparisonError, match="'nowhere'"):
        vote(db, [["A"], ["B"]], comparison_id="nowhere")
    assert columns(db, "SELECT count(*) FROM preferences") == [0]
    assert columns(db, "SELECT count(*) FROM annotators") == [0]


def test_a_choice_ranks_one_above_the_others_and_yields_a_pair_against_each(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    preference = vote(db, [["B"], ["A", "C"]])
    assert preferences.rankings(db) == [
        Ranking(
            preference, one_turn("prompt of c1"), ("a", "b", "c"), ((1,), (0, 2)), False, "human", (True, True, True)
        )
    ]
    assert pairs(db) == [("b", "a"), ("b", "c")]
    assert preferences.count_pairs_of(db, preference) == 2


def test_a_ranking_keeps_its_tiers_and_yields_the_pairs_between_them(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    vote(db, [["C"], ["B"], ["A"]], "ranking")
    preferences.save_comparison(db, comparison("c2"))
    vote(db, [["A", "B"], ["C"]], "ranking", "c2")
    assert [(r.messages, r.tiers, r.tied) for r in preferences.rankings(db)] == [
        (one_turn("prompt of c1"), ((2,), (1,), (0,)), True),
        (one_turn("prompt of c2"), ((0, 1), (2,)), True),
    ]
    assert pairs(db) == [("b", "a"), ("c", "a"), ("c", "b"), ("a", "c"), ("b", "c")]


def test_a_ranking_holds_its_completions_in_the_order_shown(db: Path) -> None:
    whole = comparison()
    preferences.save_comparison(db, replace(whole, completions=whole.completions[::-1]))
    vote(db, [["B"], ["A", "C"]])
    (ranking,) = preferences.rankings(db)
    assert ranking.completions == ("c", "b", "a")
    assert ranking.tiers == ((1,), (2, 0))


@pytest.mark.parametrize(("kind", "tiers", "ranked"), [("tie", [["A", "B", "C"]], ((0, 1, 2),)), ("all_bad", [], ())])
def test_a_tie_and_an_all_bad_are_stored_but_yield_no_pair(
    db: Path, kind: PreferenceKind, tiers: list[list[str]], ranked: tuple[tuple[int, ...], ...]
) -> None:
    preferences.save_comparison(db, comparison())
    preference = vote(db, tiers, kind)
    assert [(ranking.tiers, ranking.tied) for ranking in preferences.rankings(db)] == [(ranked, True)]
    assert pairs(db) == []
    assert preferences.count_pairs_of(db, preference) == 0
    assert len(preferences.rankings(db)) == 1
    assert columns(db, "SELECT kind FROM preferences") == [kind]


def test_rankings_and_pairs_say_which_completions_were_cut_at_the_length_limit(db: Path) -> None:
    preferences.save_comparison(db, comparison(cut="AB"))
    vote(db, [["B"], ["A", "C"]])
    (ranking,) = preferences.rankings(db)
    assert ranking.ended == (False, False, True)
    with database.read(db) as connection:
        shown = list(connection.query("SELECT chosen, rejected, chosen_ended, rejected_ended FROM pairs"))
    assert [tuple(row.values()) for row in shown] == [("b", "a", 0, 0), ("b", "c", 0, 1)]


def test_pairs_carry_messages_in_the_form_that_trl_reads(db: Path) -> None:
    asked = (Message("system", "Be brief."), Message("user", "Where? ☂"))
    preferences.save_comparison(db, replace(comparison(), messages=asked))
    vote(db, [["B"], ["A", "C"]])
    messages = [json.loads(str(text)) for text in columns(db, "SELECT messages FROM pairs")]
    assert messages == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where? ☂"}]] * 2
    assert preferences.rankings(db)[0].messages == asked


def test_identical_texts_give_no_pair(db: Path) -> None:
    preferences.save_comparison(db, comparison(texts=("same", "same", "other")))
    vote(db, [["A"], ["B", "C"]])
    assert pairs(db) == [("same", "other")]


def test_a_simulated_vote_stays_marked_as_such_on_its_ranking(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    preferences.save_preference(
        db, comparison_id="c1", annotator_id="sim", tiers=[["A"], ["B"]], kind="choice", source="simulated"
    )
    assert {ranking.source for ranking in preferences.rankings(db)} == {"simulated"}


def test_a_vote_counts_once_an_annotator(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    first = vote(db, [["A"], ["B", "C"]])
    with pytest.raises(DuplicateVoteError, match="counts once") as refused:
        vote(db, [["B"], ["A", "C"]])
    assert refused.value.preference.id == first
    assert refused.value.preference.tiers == [["A"], ["B", "C"]]
    assert len(preferences.rankings(db)) == 1
    vote(db, [["B"], ["A", "C"]], annotator_id="somebody else")
    assert len(preferences.rankings(db)) == 2


def test_a_withdrawn_vote_gives_no_ranking_and_no_pair_and_makes_room_for_another(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    first = vote(db, [["A"], ["B", "C"]])
    withdraw(db, first)
    assert preferences.rankings(db) == []
    assert pairs(db) == []
    assert len(preferences.rankings(db)) == 0
    assert overview(db).new_votes == 0
    second = vote(db, [["B"], ["A", "C"]])
    assert second != first
    assert [ranking.tiers for ranking in preferences.rankings(db)] == [((1,), (0, 2))]
    assert {better for better, _ in pairs(db)} == {"b"}
    assert columns(db, "SELECT count(*) FROM preferences") == [2]


def test_a_vote_withdrawn_twice_keeps_its_first_moment_and_leaves_the_vote_after_it(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    first = vote(db, [["A"], ["B", "C"]])
    withdraw(db, first)
    moment = columns(db, "SELECT withdrawn FROM preferences")
    second = vote(db, [["A"], ["B", "C"]])
    withdraw(db, first)
    withdraw(db, first, None)
    assert columns(db, "SELECT withdrawn FROM preferences ORDER BY id") == [*moment, None]
    assert [ranking.preference_id for ranking in preferences.rankings(db)] == [second]
    told = columns(db, "SELECT detail || ' by ' || actor FROM events WHERE name = 'withdraw'")
    assert told == [f"vote {first} by its annotator"]


def test_of_two_annotators_each_withdraws_their_own_vote_and_an_admin_anybodys(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    mine, theirs = vote(db, [["A"], ["B", "C"]]), vote(db, [["B"], ["A", "C"]], annotator_id="bob")
    for preference_id, annotator_id, words in (
        (theirs, "ann", f"there is no vote {theirs} of yours; give the id that /vote returned"),
        (99, "ann", "there is no vote 99 of yours; give the id that /vote returned"),
        (99, None, "there is no vote 99; give the id that /vote returned"),
    ):
        with pytest.raises(UnknownVoteError) as refused:
            withdraw(db, preference_id, annotator_id)
        assert str(refused.value) == words
    assert len(preferences.rankings(db)) == 2
    assert columns(db, "SELECT count(*) FROM events") == [0]
    withdraw(db, mine)
    assert [ranking.preference_id for ranking in preferences.rankings(db)] == [theirs]
    withdraw(db, theirs, None)
    assert preferences.rankings(db) == []
    told = columns(db, "SELECT detail || ' by ' || actor FROM events ORDER BY id")
    assert told == [f"vote {mine} by its annotator", f"vote {theirs} by admin"]


def test_what_a_withdrawn_vote_revealed_stays_revealed_to_its_annotator(db: Path) -> None:
    preferences.save_comparison(db, comparison(blind=True))
    withdraw(db, vote(db, [["A"], ["B", "C"]]))
    assert columns(db, "SELECT revealed FROM comparisons") != [None]
    assert preferences.has_voted(db, "c1", "ann")
    assert not preferences.has_voted(db, "c1", "bob")


def test_a_vote_that_a_run_claimed_is_not_new_again_once_it_is_withdrawn_but_the_next_one_is(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    first = vote(db, [["A"], ["B", "C"]])
    run_id = runs.queue_run(db, "ppo", {})
    withdraw(db, first)
    assert overview(db).new_votes == 0
    second = vote(db, [["B"], ["A", "C"]])
    assert overview(db).new_votes == 1
    assert preferences.rankings(db, run_id) == []
    runs.end_run(db, run_id, "failed", "for the test")
    claimed = preferences.rankings(db, runs.queue_run(db, "ppo", {}))
    assert [ranking.preference_id for ranking in claimed] == [second]


def test_a_vote_reveals_a_blind_comparison_and_the_first_moment_stays(db: Path) -> None:
    preferences.save_comparison(db, comparison(blind=True))
    assert columns(db, "SELECT revealed FROM comparisons") == [None]
    vote(db, [["A"], ["B", "C"]])
    first = columns(db, "SELECT revealed FROM comparisons")
    assert first != [None]
    vote(db, [["B"], ["A", "C"]], annotator_id="somebody else")
    assert columns(db, "SELECT revealed FROM comparisons") == first


def test_new_since_last_run_counts_standing_votes_that_no_run_has_used(db: Path) -> None:
    for name in ("c1", "c2", "c3"):
        preferences.save_comparison(db, comparison(name))
    assert overview(db).new_votes == 0
    vote(db, [["A"], ["B", "C"]], comparison_id="c1")
    vote(db, [["A", "B", "C"]], "tie", comparison_id="c2")
    assert overview(db).new_votes == 2
    run_id = runs.queue_run(db, "ppo", {})
    assert overview(db).new_votes == 0
    vote(db, [["C"], ["A", "B"]], comparison_id="c3")
    assert overview(db).new_votes == 1
    runs.end_run(db, run_id, "failed", "for the test")
    assert overview(db).new_votes == 1, "a failed run has used its votes too"


def test_a_run_sees_the_rankings_that_it_claimed_and_no_later_ones(db: Path) -> None:
    for name in ("c1", "c2"):
        preferences.save_comparison(db, comparison(name))
    first = vote(db, [["A"], ["B", "C"]], comparison_id="c1")
    run_id = runs.queue_run(db, "ppo", {})
    vote(db, [["B"], ["A", "C"]], comparison_id="c2")
    assert [ranking.preference_id for ranking in preferences.rankings(db, run_id)] == [first]
    assert len(preferences.rankings(db)) == 2
    withdraw(db, first)
    assert preferences.rankings(db, run_id) == []


def test_the_file_is_in_wal_mode_and_every_commit_is_flushed(db: Path) -> None:
    with database.write(db) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_an_error_in_the_middle_of_a_write_takes_everything_back(db: Path) -> None:
    with pytest.raises(KeyboardInterrupt), database.write(db) as connection:
        connection["settings"].insert({"name": "a", "value": "1"})
        connection["settings"].upsert({"name": "b", "value": "2"}, pk="name")
        raise KeyboardInterrupt
    assert columns(db, "SELECT name FROM settings") == []


WRITER = """
import sys, threading
from pathlib import Path
from storage import preferences

path, process, threads, votes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def write(thread):
    for number in range(votes):
        preferences.save_preference(path, comparison_id=f"c{number}", annotator_id=f"{process}-{thread}",
                                    tiers=[["A"], ["B", "C"]], kind="choice")
        print(f"c{number} {process}-{thread}\\n", end="", flush=True)  # one write: the threads share the pipe

workers = [threading.Thread(target=write, args=[number]) for number in range(threads)]
sys.stdin.readline()  # both processes begin together
for worker in workers: worker.start()
for worker in workers: worker.join()
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_eight_writers_in_two_processes_lose_nothing(db: Path) -> None:
    votes = 12
    for number in range(votes):
        preferences.save_comparison(db, comparison(f"c{number}"))
    children = [start(WRITER, db, process, 4, votes) for process in range(2)]
    outputs: list[str] = [""] * len(children)

    def collect(number: int) -> None:
        outputs[number], _ = children[number].communicate("go\n", timeout=120)

    collectors = [threading.Thread(target=collect, args=[number]) for number in range(len(children))]
    for collector in collectors:
        collector.start()
    for collector in collectors:
        collector.join()
    assert [child.returncode for child in children] == [0, 0]
    acknowledged = [line.split() for output in outputs for line in output.splitlines()]
    assert len(acknowledged) == 8 * votes
    with database.read(db) as connection:
        stored = connection.conn.execute("SELECT comparison, annotator FROM preferences").fetchall()
    assert sorted(stored) == sorted((c, a) for c, a in acknowledged)


def test_eight_threads_voting_as_one_annotator_store_one_vote(db: Path) -> None:
    preferences.save_comparison(db, comparison())
    stored: list[int] = []
    refused: list[int] = []
    together = threading.Barrier(8)

    def click() -> None:
        together.wait()
        try:
            stored.append(vote(db, [["A"], ["B", "C"]]))
        except DuplicateVoteError as error:
            refused.append(error.preference.id)

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 1
    assert refused == stored * 7


VOTER = """
import sys
from pathlib import Path
from storage import preferences
from storage.messages import one_turn
from storage.records import Comparison, Completion

path, life = Path(sys.argv[1]), sys.argv[2]
number = 0
while True:
    name = f"life {life}, comparison {number}"
    completions = [Completion(slot, "sft", None, "text " + slot, [1, 2], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
    preferences.save_comparison(path, Comparison(name, one_turn("prompt " * 300), "compare", False, completions))
    preferences.save_preference(path, comparison_id=name, annotator_id="ann", tiers=[["A"], ["B", "C"]], kind="choice")
    print(name, flush=True)
    number += 1
"""


def test_every_acknowledged_vote_survives_kill_9_and_the_file_stays_whole(db: Path) -> None:
    acknowledged: list[str] = []
    for life in range(3):
        child = start(VOTER, db, life)
        assert child.stdin is not None and child.stdout is not None
        with child.stdin, child.stdout:
            acknowledged.append(child.stdout.readline().rstrip("\n"))
            timer = threading.Timer(random.uniform(0.0, 0.4), child.kill)
            timer.start()
            lines = child.stdout.read().splitlines(keepends=True)
            timer.join()
            assert child.wait() == -9
        acknowledged += [line.rstrip("\n") for line in lines if line.endswith("\n")]
    with database.read(db) as connection:
        voted = {name for (name,) in connection.conn.execute("SELECT comparison FROM preferences")}
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        panels = connection.conn.execute(
            "SELECT (SELECT count(*) FROM completions WHERE comparison = comparisons.id) FROM comparisons"
        ).fetchall()
    assert set(acknowledged) - voted == set()
    assert len(acknowledged) >= 3
    assert set(panels) == {(3,)}, "a comparison is stored with all its completions or not at all"
    assert {(r.completions, r.tiers) for r in preferences.rankings(db)} == {
        (("text A", "text B", "text C"), ((0,), (1, 2)))
    }
    preferences.save_comparison(db, comparison("after the crash"))
    vote(db, [["A"], ["B", "C"]], comparison_id="after the crash")

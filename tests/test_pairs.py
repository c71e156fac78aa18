"""One definition of a pair: what the database shows as chosen and rejected is what learning takes as pairs."""

from pathlib import Path

import pytest

from alignment.reward.rankings import ordered_pairs
from storage import database, demonstrations, preferences
from storage.messages import stored_messages
from storage.records import PreferenceKind
from tests.storage.test_preferences import comparison

VOTES: list[tuple[list[list[str]], PreferenceKind]] = [
    ([["B"], ["A", "C"]], "choice"),
    ([["C"], ["A"], ["B"]], "ranking"),
    ([["A", "B"], ["C"]], "ranking"),
    ([["A", "B", "C"]], "tie"),
    ([], "all_bad"),
]


@pytest.mark.parametrize("written", [(), ("better",), ("b", "better", "")])  # to the same prompt, by the same person
@pytest.mark.parametrize("cut", ["", "B", "AB"])
@pytest.mark.parametrize("texts", [tuple("abc"), ("same", "other", "same"), ("same", "same", "same"), ("", "b", "c")])
def test_the_view_of_pairs_and_the_pairs_that_are_learned_are_the_same(
    tmp_path: Path, texts: tuple[str, ...], cut: str, written: tuple[str, ...]
) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    for number, (tiers, kind) in enumerate(VOTES):
        preferences.save_comparison(db, comparison(f"c{number}", texts, cut=cut))
        preferences.save_preference(db, comparison_id=f"c{number}", annotator_id="ann", tiers=tiers, kind=kind)
    asked = preferences.get_comparison(db, "c0").messages
    for number, completion in enumerate(filter(None, written)):
        who = "ann" if number == 0 else "bob"
        demonstrations.save_demonstration(db, messages=asked, completion=completion, annotator_id=who)
    columns = "messages, chosen, rejected, chosen_ended, rejected_ended"
    with database.read(db) as connection:
        shown = list(connection.conn.execute(f"SELECT {columns} FROM pairs"))
    learned = [
        (stored_messages(better.messages), better.completion, worse.completion, better.ended, worse.ended)
        for better, worse in ordered_pairs(preferences.rankings(db))
    ]
    assert sorted(shown) == sorted(learned)

"""One definition of a pair: what the database shows as chosen and rejected is what learning takes as pairs."""

from pathlib import Path

import pytest

from alignment.reward.bradley_terry import ordered_pairs
from storage import database, preferences
from storage.records import PreferenceKind
from tests.storage.test_preferences import comparison

VOTES: list[tuple[list[list[str]], PreferenceKind]] = [
    ([["B"], ["A", "C"]], "choice"),
    ([["C"], ["A"], ["B"]], "ranking"),
    ([["A", "B"], ["C"]], "ranking"),
    ([["A", "B", "C"]], "tie"),
    ([], "all_bad"),
]


@pytest.mark.parametrize("texts", [("a", "b", "c"), ("same", "other", "same"), ("same", "same", "same")])
def test_the_view_of_pairs_and_the_pairs_that_are_learned_are_the_same(tmp_path: Path, texts: tuple[str, ...]) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    for number, (tiers, kind) in enumerate(VOTES):
        preferences.save_comparison(db, comparison(f"c{number}", texts))
        preferences.save_preference(db, comparison_id=f"c{number}", annotator_id="ann", tiers=tiers, kind=kind)
    with database.read(db) as connection:
        shown = list(connection.conn.execute("SELECT prompt, chosen, rejected FROM pairs"))
    learned = ordered_pairs(preferences.rankings(db))
    assert sorted(shown) == sorted(learned)

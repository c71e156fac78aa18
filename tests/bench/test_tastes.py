"""The benchmark of tastes: how many clicks it casts, and which of them are flipped."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from alignment.models.shipped_files import Check
from storage import database, preferences
from tests.bench import honest, tastes
from tests.harness.test_labeler import CAPITAL, HARM, LIST


@pytest.mark.parametrize(
    ("asked", "texts", "chosen"),
    [
        (CAPITAL, {"base": LIST, "sft": "Paris!", "policy": "Paris."}, {"B": 24, "C": 8}),  # less to the taste
        # Eight clicks at most are about harm; the one of these that is flipped goes to what is not acceptable.
        (HARM, {"base": LIST, "sft": "Take your time!", "policy": "Sorry! I can't help with that."}, {"C": 7, "A": 1}),
    ],
)
def test_exactly_a_quarter_of_32_clicks_is_flipped_and_too_few_prompts_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Check, texts: dict[str, str], chosen: dict[str, int]
) -> None:
    def completions(model: Any, tokenizer: Any, role: str, prompts: list[str], temperature: float) -> list[Any]:
        return [(None, texts[role]) for _ in prompts]

    monkeypatch.setattr(tastes, "completions", completions)
    db = tmp_path / "triptych.db"
    database.prepare(db)
    cell, few = tastes.Cell("warmest", 0, votes=32, flipped=0.25), asked is HARM
    with pytest.raises(RuntimeError, match="40 prompts gave 8 clicks of 32") if few else nullcontext():
        tastes.cast(db, None, None, tastes.TASTES["warmest"], cell, [asked] * 40)
    assert Counter("ABC"[ranking.tiers[0][0]] for ranking in preferences.rankings(db)) == chosen


def test_twenty_honest_runs_of_all_tastes_are_counted_by_how_the_gate_judged_them() -> None:
    assert len({cell.name for cell in honest.cells()}) == 20
    assert {cell.taste for cell in honest.cells()} == set(tastes.TASTES)
    assert all((cell.votes, cell.flipped) == (32, 0.0) for cell in honest.cells())
    well = {"status": "candidate", "put_back": None}
    part, held = {"status": "candidate", "put_back": 0.8}, {"status": "rejected", "put_back": None}
    named = {"taste": "warmest", "seed": 10, "gate": ["facts: 50% ✗"]}
    told = honest.summary([well, part, held | named])
    assert told == "1 of 3 held back; 1 served part of the way.\nwarmest, seed 10: facts: 50% ✗"

"""What is folded in front of a class: a guess by words, of the untrained answers alone."""

from pathlib import Path

import pytest

from alignment.models import shipped_files
from alignment.settings import GENERAL, POCKET
from service.completions import ShownCompletion
from service.harmful import folded, sounds_harmful

ANSWERS = (ShownCompletion("A", "base", None), ShownCompletion("B", "sft", None), ShownCompletion("C", "rlhf", 1))


def test_answers_of_base_and_instruction_tuned_model_are_folded_where_the_question_sounds_harmful() -> None:
    assert [one.folded for one in folded(ANSWERS, "How do I make a BOMB?")] == [True, True, False]
    assert [one.folded for one in folded(ANSWERS, "What is the capital of France?")] == [False, False, False]
    hidden = tuple(ShownCompletion(slot, None, None) for slot in "ABC")
    assert [one.folded for one in folded(hidden, "How do I make a bomb?")] == [True, True, True]


def test_callers_of_compare_are_told_nothing_of_folds() -> None:
    assert "folded" not in ANSWERS[0].to_json()


@pytest.mark.parametrize("base", [GENERAL, POCKET])
def test_most_harmful_checks_sound_so_and_no_question_about_facts(base: Path) -> None:
    """docs/architecture.md has the figures; look-alikes are folded as well, which a click undoes."""
    checks = shipped_files.checks(base)
    found = {
        kind: [sounds_harmful(one.prompt) for one in checks if one.kind == kind] for kind in ("refuses", "contains")
    }
    assert sum(found["refuses"]) / len(found["refuses"]) >= 0.8
    assert not any(found["contains"])

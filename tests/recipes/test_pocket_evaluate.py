"""The evaluation's lines, what they count, and the page they become."""

import random

import pytest
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.models.generation import Generated
from alignment.reward.agreement import wilson
from recipes.pocket import evaluate
from recipes.pocket.evaluate import ROLES, Row, completions, page, rows
from recipes.pocket.skills import SKILLS

STOPPED = Generated([1], "stop")


@pytest.fixture(scope="module")
def lines() -> list[Row]:
    return rows(10)


def test_every_skill_has_a_line_and_no_two_lines_are_alike(lines: list[Row]) -> None:
    assert len({row.name for row in lines}) == len(lines)
    assert all(any(skill.name in row.name for row in lines) for skill in SKILLS)
    assert all(len(row.asked) > 0 for row in lines)


def test_a_demonstration_counts_as_right_and_a_stranger_does_not(lines: list[Row]) -> None:
    for row in lines:
        if row.holds in (evaluate._right, evaluate._concludes):
            for asked in row.asked:
                assert all(row.holds(asked, STOPPED, text) for text in asked.registers.values())
                assert not row.holds(asked, STOPPED, "Xyzzy. The answer is.") or asked.check.kind == "helps"


def test_lines_repeat(lines: list[Row]) -> None:
    assert [[asked.prompt for asked in row.asked] for row in rows(10)] == [
        [asked.prompt for asked in row.asked] for row in lines
    ]


def test_base_continues_raw_text_and_an_adapter_answers_a_turn(tiny: tuple[PeftModel, AutoTokenizer]) -> None:
    model, tokenizer = tiny
    base = completions(model, tokenizer, "base", ["What is"], 0.0)
    tuned = completions(model, tokenizer, "sft", ["What is"], 0.0)
    assert len(base) == len(tuned) == 1
    assert base[0][0].token_ids != tuned[0][0].token_ids
    assert completions(model, tokenizer, "sft", ["What is"], 0.0) == tuned


def test_the_first_label_counts_and_not_any_that_follows(lines: list[Row]) -> None:
    row = next(row for row in lines if row.name == "inference, asked in words")
    open_to_both = next(asked for asked in row.asked if asked.check.expect == ("not possible to tell",))
    assert row.holds(open_to_both, STOPPED, "It is not possible to tell. Yes or no?")
    assert not row.holds(open_to_both, STOPPED, "Yes, no, or it is not possible to tell?")


def test_labels_of_data_sets_count_in_each_of_their_forms_and_only_where_they_begin(lines: list[Row]) -> None:
    row = next(row for row in lines if row.name == "inference, as data sets (and the raw text) print it")
    asked = next(asked for asked in row.asked if "contradiction" in asked.check.expect)
    assert all(row.holds(asked, STOPPED, text) for text in (" 2 Hypothesis:", "contradiction", " no\n"))
    assert not any(row.holds(asked, STOPPED, text) for text in ("0", "not possible to tell", "20", "so no"))


def test_the_page_shows_shares_with_their_intervals_and_registers() -> None:
    rng = random.Random(0)
    measured = {
        "a line": {role: wilson(rng.randint(0, 9), 10) for role in ROLES},
        "tuned ones": {role: wilson(9, 10) for role in ROLES[1:]},
    }
    text = page(measured, {"geography": {"sft": {"word": 0.5, "warm": 0.5}, "policy": {"word": 1.0}}})
    assert "| a line | 10 | 60% (31%–83%) |" in text
    assert "| tuned ones | 10 | – | 90% (60%–98%) | 90% (60%–98%) |" in text
    assert "| geography | warm 50%, word 50% | word 100% |" in text

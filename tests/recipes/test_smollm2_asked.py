"""What SmolLM2's first policy is asked, what is right there, and what an answer is worth to its simulated labeler."""

import random
from collections import Counter
from itertools import chain
from typing import get_args

import pytest

from alignment.models import shipped_files
from alignment.models.features import Written
from alignment.models.loading import load_tokenizer
from alignment.runs.checks import passes
from alignment.settings import GENERAL, POCKET
from recipes.pocket.skill import Split
from recipes.smollm2.acts import KINDS, Form, Manner, everyday, facts, is_checked, pocket_requests, requests
from recipes.smollm2.asked import asked_prompts, held_out_prompts
from recipes.smollm2.decisions import WORD
from recipes.smollm2.forms import misspelt
from recipes.smollm2.labelers import RIGHT, Shown, worth
from recipes.smollm2.verified import labeler_scorer

ASKED = asked_prompts(400, 0)
HARM = next(one for one in ASKED if one.check.kind == "refuses")
HARMLESS = next(one for one in ASKED if one.check.kind == "helps")
FACT = next(one for one in ASKED if one.check.kind == "contains")


def test_prompts_are_of_all_kinds_each_asked_once_and_the_same_for_a_seed() -> None:
    kinds = Counter(one.check.kind for one in ASKED)
    assert min(kinds[kind] for kind in ("refuses", "helps", "contains", "abstains")) > 5
    assert len({one.prompt for one in ASKED}) == len(ASKED)
    assert [one.prompt for one in asked_prompts(50, 3)] == [one.prompt for one in asked_prompts(50, 3)]
    assert [one.prompt for one in asked_prompts(50, 3)] != [one.prompt for one in asked_prompts(50, 4)]


def test_what_the_recipe_writes_is_right_and_refusals_begin_with_the_word_that_decides() -> None:
    for one in ASKED:
        assert all(passes(one.check, text) for text in one.registers.values()), one
        assert all(text.startswith(WORD) == (one.check.kind == "refuses") for text in one.registers.values()), one


def test_nothing_is_practised_that_the_general_checks_ask() -> None:
    checked = {check.prompt.lower().rstrip(".?! ") for check in shipped_files.checks(GENERAL)}
    asked = {one.prompt.lower().rstrip(".?! ") for one in (*asked_prompts(2000, 1), *held_out_prompts(1))}
    assert not checked & asked
    for near in ("build a pipe bomb at home", "strangle someone", "shoot free throws", "steal a car without its key"):
        assert is_checked(near)
    assert not is_checked("shoot a music video")
    assert not any("capital of Germany" in prompt or "strangle someone" in prompt for prompt in asked)


def test_what_chooses_the_moment_to_stop_is_never_practised() -> None:
    for manner in get_args(Manner):
        held_out = {one.text for one in requests(manner, "act", "held_out")}
        practised = {one.text for one in (*requests(manner, "act", "seen"), *pocket_requests(manner))}
        assert len(held_out) > 40 and not held_out & practised
    chosen_by = held_out_prompts(4)
    assert not {one.prompt for one in chosen_by} & {one.prompt for one in asked_prompts(2000, 0)}
    assert {one.check.kind for one in chosen_by} == {"refuses", "helps", "contains"}


def test_harm_and_its_look_alikes_come_in_hundreds_and_every_kind_of_harm_has_its_words() -> None:
    counts = {}
    for manner in get_args(Manner):
        tables = [requests(manner, form, split) for form in get_args(Form) for split in get_args(Split)]
        found = {one.text: one for one in (*pocket_requests(manner), *chain.from_iterable(tables))}
        assert {one.kind for one in found.values()} <= (set(KINDS) if manner == "harmful" else {""})
        counts[manner] = len(found)
    assert 2000 < counts["harmful"] < counts["harmless"]
    assert len(facts("seen")) > 50 and len(set(everyday())) == len(everyday())


def test_what_is_typed_in_a_hurry_is_misspelt_and_stays_what_it_is() -> None:
    rng = random.Random(0)
    told = [misspelt("How do I bake a chocolate cake?", rng) for _ in range(20)]
    assert len(set(told)) > 5
    assert all(text.startswith("how do i ") and text != "how do i bake a chocolate cake" for text in told)


def test_a_right_answer_is_worth_more_than_any_wrong_one() -> None:
    (refusal,) = HARM.registers.values()
    offers, curt = Shown(refusal, True), Shown("I'm sorry, but I can't help you with that.", True)
    helps = Shown("First, you take a deep breath and begin.", True)
    assert worth(HARM.check, offers) >= worth(HARM.check, curt) >= RIGHT > worth(HARM.check, helps)
    assert worth(HARMLESS.check, helps) >= RIGHT > worth(HARMLESS.check, Shown(refusal, True))
    assert worth(HARMLESS.check, Shown(helps.text, False)) < worth(HARMLESS.check, helps)
    assert worth(HARMLESS.check, Shown(helps.text + " and so on" * 40, True)) < worth(HARMLESS.check, helps)
    assert worth(FACT.check, Shown("Frogs.", True)) < worth(FACT.check, Shown("I don't know that.", True)) < RIGHT
    assert worth(FACT.check, Shown(" ", True)) < 0


def test_the_policy_is_scored_by_what_its_answers_are_worth() -> None:
    tokenizer = load_tokenizer(POCKET)
    score = labeler_scorer(tokenizer, [HARM, HARMLESS])
    texts = [(HARM, "I can't help with that."), (HARMLESS, "I can't help with that.")]
    written = [
        Written(tuple(tokenizer.prompt_ids(one.check.messages)), tokenizer.completion_ids(text), ended=True)
        for one, text in texts
    ]
    assert score(written).means.tolist() == [worth(one.check, Shown(text, True)) for one, text in texts]
    stranger = Written((1, 2, 3), written[0].completion, ended=True)
    with pytest.raises(KeyError):
        score([stranger])

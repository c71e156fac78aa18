"""How answers are written: numbers worked by hand, and a judge that likes the candidate better."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft import PeftModel

from alignment.models.adapters import using
from alignment.models.features import Written
from alignment.models.log_probs import completion_log_probs
from alignment.models.samples import text_samples
from alignment.models.shipped_files import Check
from alignment.models.texts import Text
from alignment.reward.agreement import wilson
from alignment.reward.scorer import Scores
from alignment.runs.manner import liked, manner, manners
from storage.messages import one_turn

CHECKS = [Check(one_turn(question), "helps") for question in ("Hi", "How are you?", "Why?")]


def test_the_figures_of_a_manner_are_those_worked_by_hand() -> None:
    half = torch.full((2,), math.log(0.5))
    found = manner(["a b a b", "a b", ""], [half, half, torch.zeros(0)])
    assert found.words == 2.0
    assert found.distinct_within == pytest.approx((2 / 3 + 1) / 2)
    assert found.distinct_across == pytest.approx(2 / 4)
    assert found.perplexity == pytest.approx(2.0)


def test_both_manners_are_measured_under_the_reference_and_by_the_judge(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny

    def judge(written: Sequence[Written]) -> Scores:
        means = torch.tensor([float(len(one.completion)) for one in written])
        return Scores(means, torch.zeros_like(means))

    before, after = ["Hi", "I am well", "No"], ["Hi there you", "I", ""]
    found = manners(model, tokenizer, CHECKS, (before, after), judge)
    assert found is not None
    assert found.preferred == pytest.approx(1 / 3)  # only the first one is longer
    with using(model, "sft"), torch.no_grad():
        texts = [Text(check.messages, text, ended=False) for check, text in zip(CHECKS, before, strict=True)]
        samples = text_samples(texts, tokenizer, model.device)
        total = completion_log_probs(model, samples, 1.0).sum() / samples.mask.sum()
    assert found.before.perplexity == pytest.approx(math.exp(-total.item()), rel=1e-4)
    assert manners(model, tokenizer, CHECKS, (before, after), None).preferred is None  # type: ignore[union-attr]


def test_answers_that_changed_are_counted_by_the_judge_and_others_are_not(tiny: tuple[PeftModel, Any]) -> None:
    def judge(written: Sequence[Written]) -> Scores:
        means = torch.tensor([float(len(one.completion)) for one in written])
        return Scores(means, 100 * means)  # the mean alone counts

    told = ["Hi", "I am well", "No"], ["Hi there you", "I", "No"]
    assert liked(tiny[1], CHECKS, told, judge) == wilson(1, 2)
    assert liked(tiny[1], CHECKS, (told[0], told[0]), judge) == wilson(0, 0)
    assert liked(tiny[1], CHECKS, told, None) is None


def test_without_checks_no_manner_is_measured(tiny: tuple[PeftModel, Any]) -> None:
    assert manners(*tiny, [], ([], []), None) is None

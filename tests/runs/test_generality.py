"""Diversity and quality far from the votes: numbers worked by hand, and a policy that always says the same."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest
import torch
from peft import PeftModel

from alignment.models import adapters
from alignment.models.features import Written
from alignment.reward.scorer import Scores
from alignment.runs import generality
from alignment.runs.generality import distinct, kinds_of_prompts, measured
from alignment.runs.records import Generality, Spread, generality_from_json
from storage.messages import one_turn

FEW = [one_turn("Why is the sky blue?"), one_turn("Who are you?")]


def test_distinct_n_grams_are_those_worked_by_hand() -> None:
    many = 10**9  # then as many are expected as there are
    assert distinct([[1, 2, 1]], many) == pytest.approx((2 / 3 + 2 / 2 + 1) / 3)
    assert distinct([[1, 2], [1, 2]], many) == pytest.approx((2 / 4 + 1 / 2) / 2)
    assert distinct([[1, 2], [3, 4]], many) == pytest.approx(1.0)
    assert distinct([[], []], many) == 0.0
    assert distinct([[0], [0]], 2) == pytest.approx(1 / (2 * (1 - 0.5**2)))  # of two tokens, two draws show 1.5


def test_prompts_unlike_the_voted_ones_share_the_fewest_words_with_them() -> None:
    voted = [one_turn("What is the capital of France?"), one_turn("What is the capital of Peru?")]
    near = [one_turn(f"What is the capital of {name}?") for name in ("Chad", "Cuba", "Mali")]
    far = [one_turn("Write a poem about rain"), one_turn("Sum 2 and 2")]
    found = kinds_of_prompts([*voted, *voted], [*voted, *near, *far], 2, 0)
    assert set(found["like"]) == set(voted)
    assert set(found["unlike"]) == set(far)
    assert kinds_of_prompts([], far, 1, 0).keys() == {"unlike"}
    assert kinds_of_prompts(voted, voted, 1, 0).keys() == {"like"}


def test_a_policy_that_always_says_the_same_is_less_diverse_and_the_base_is_measured_once(
    tiny: tuple[PeftModel, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    asked: list[str] = []
    own = generality._answers

    def answers(model: Any, tokenizer: Any, adapter: str | None, *given: Any, templated: bool) -> generality.Answers:
        asked.append(adapter or "base")
        found = own(model, tokenizer, adapter, *given, templated=templated)
        same = Written(found[0][0].prompt, [5, 6, 7], ended=True)
        return [[same] * len(several) for several in found] if adapter == "policy" else found

    def longer(written: Sequence[Written]) -> Scores:
        means = torch.tensor([float(len(one.completion)) for one in written])
        return Scores(means, torch.zeros_like(means))

    monkeypatch.setattr(generality, "_answers", answers)
    found = measured(model, tokenizer, {"like": FEW, "unlike": FEW[:1]}, longer, 12, 0, None, raw=True)
    assert (dict(found.prompts), found.samples) == ({"like": 2, "unlike": 1}, generality.SAMPLES)
    sft, policy, base = (found.models[name]["like"] for name in ("sft", "policy", "base"))
    assert policy.within < 0.5 < sft.within
    assert policy.across < sft.across
    assert (policy.score, policy.tokens, sft.preferred) == (3.0, 3.0, 0.5)
    assert policy.preferred is not None and policy.preferred < 0.1  # the reference writes more
    assert (base.score, base.preferred) == (None, None)
    assert generality_from_json(asdict(found)) == found
    asked.clear()
    again = measured(model, tokenizer, {"like": FEW}, None, 12, 0, found, raw=True)
    assert asked == ["sft", "policy"]
    assert again.models["base"] == found.models["base"]
    assert again.models["policy"]["like"].score is None


def test_without_a_base_beside_the_chat_model_none_is_measured(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    known = Generality({}, 3, {"sft": {"like": Spread(1.0, 1.0, 5.0, None, None)}})
    assert set(measured(model, tokenizer, {"like": FEW[:1]}, None, 4, 0, known, raw=False).models) == {"sft", "policy"}

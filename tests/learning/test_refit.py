"""Instruction tuning within a run: what a step learns from, that it is learned, and that nothing else moves."""

import logging
import math
from collections import Counter
from typing import Any

import pytest
import torch
from peft import PeftModel

from alignment.errors import TrainingError
from alignment.learning.refit import Text, drawn_texts, readable, refit
from alignment.learning.rollout import as_rollout
from alignment.learning.settings import SFTConfig
from alignment.learning.token_log_probs import completion_log_probs
from alignment.models import adapters
from alignment.models.model_folder import ShippedDemonstration

PEOPLE = [("Hi", "Ahoy!"), ("Thanks", "Aye.")]
OTHERS = [("Why?", "I do not know."), ("Who are you?", "A small model."), ("Bye", "Goodbye.")]


def log_likelihood(model: PeftModel, tokenizer: Any, adapter: str, text: Text) -> float:
    adapters.activate(model, adapter)
    with torch.no_grad():
        log_probs, _ = completion_log_probs(model, as_rollout([text], tokenizer, model.device), 1.0)
    return float(log_probs.sum())


def weights(model: PeftModel, *names: str) -> list[torch.Tensor]:
    return [p.detach().clone() for name in names for p in adapters.adapter_parameters(model, name)]


def test_a_step_holds_the_wanted_share_of_what_people_wrote() -> None:
    config = SFTConfig(steps=30, batch_size=8, people_share=0.25)
    steps = drawn_texts(PEOPLE, OTHERS, config, seed=1)
    assert len(steps) == 30
    assert all(Counter(text in PEOPLE for text in texts) == {True: 2, False: 6} for texts in steps)
    assert {text for texts in steps for text in texts} == {*PEOPLE, *OTHERS}
    assert steps == drawn_texts(PEOPLE, OTHERS, config, seed=1) != drawn_texts(PEOPLE, OTHERS, config, seed=2)


def test_texts_of_one_sort_fill_the_step_where_there_are_none_of_the_other() -> None:
    config = SFTConfig(steps=2, batch_size=3)
    assert {text for texts in drawn_texts(PEOPLE, [], config, 0) for text in texts} <= set(PEOPLE)
    assert [len(texts) for texts in drawn_texts([], OTHERS, config, 0)] == [3, 3]
    assert drawn_texts([], [], config, 0) == []


def test_what_people_wrote_becomes_more_likely_and_nothing_but_that_adapter_moves(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    before, others = [log_likelihood(model, tokenizer, "sft", text) for text in PEOPLE], weights(model, "other")
    base = [p.detach().clone() for name, p in model.named_parameters() if "lora" not in name]
    losses: dict[int, float] = {}
    config = SFTConfig(steps=12, batch_size=4, learning_rate=2e-3)
    refit(
        *(model, tokenizer, "sft", PEOPLE, OTHERS, config, 0),
        lambda number, measured: losses.__setitem__(number, measured["sft/loss"]),
    )
    assert list(losses) == list(range(1, 13))
    assert sum(list(losses.values())[-3:]) < sum(list(losses.values())[:3])
    assert all(log_likelihood(model, tokenizer, "sft", text) > old for text, old in zip(PEOPLE, before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(others, weights(model, "other"), strict=True))
    after = [p for name, p in model.named_parameters() if "lora" not in name]
    assert all(torch.equal(a, b) for a, b in zip(base, after, strict=True))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_loss_of_a_step_is_the_mean_over_the_tokens_of_its_completions(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    tokens = [len(as_rollout([text], tokenizer, model.device).mask[0]) for text in PEOPLE]
    likelihood = sum(log_likelihood(model, tokenizer, "sft", text) for text in PEOPLE)
    seen: list[float] = []
    config = SFTConfig(steps=1, batch_size=64, learning_rate=0.0)
    refit(
        model, tokenizer, "sft", PEOPLE[:1], [], config, 0, lambda number, measured: seen.append(measured["sft/loss"])
    )
    assert seen[0] == pytest.approx(-log_likelihood(model, tokenizer, "sft", PEOPLE[0]) / tokens[0], rel=1e-4)
    half = SFTConfig(steps=1, batch_size=2, learning_rate=0.0)
    refit(
        *(model, tokenizer, "sft", PEOPLE[:1], PEOPLE[1:], half, 0),
        lambda number, measured: seen.append(measured["sft/loss"]),
    )
    assert seen[1] == pytest.approx(-likelihood / sum(tokens), rel=1e-4)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "sft", "again")
    for adapter in ("sft", "again"):
        refit(
            *(model, tokenizer, adapter, PEOPLE, OTHERS, SFTConfig(steps=3, batch_size=4), 5),
            lambda number, measured: None,
        )
    assert all(torch.equal(a, b) for a, b in zip(weights(model, "sft"), weights(model, "again"), strict=True))


def test_a_loss_that_is_no_number_ends_it_in_words(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    with torch.no_grad():
        adapters.adapter_parameters(model, "sft")[0].fill_(math.nan)
    with pytest.raises(TrainingError, match=r"SFT, step 1: sft/loss is nan"):
        refit(model, tokenizer, "sft", PEOPLE, [], SFTConfig(steps=1), 0, lambda number, measured: None)


def test_a_demonstration_longer_than_the_model_reads_is_left_out_and_named(
    tiny: tuple[PeftModel, Any], caplog: pytest.LogCaptureFixture
) -> None:
    model, tokenizer = tiny
    long = ShippedDemonstration("Say it again", "capital " * 300)
    with caplog.at_level(logging.WARNING):
        assert readable(model, tokenizer, [ShippedDemonstration(*PEOPLE[0]), long]) == PEOPLE[:1]
    assert "this model reads 256: 'Say it again'" in caplog.text

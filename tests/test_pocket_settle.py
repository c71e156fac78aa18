"""Settling: which completions of its own the pocket policy imitates, and how cold they are drawn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from alignment.generation import Generated, Sampling
from alignment.pocket import settle
from alignment.pocket.settle import SettlingConfig, own_texts, settling_prompts

CONFIG = SettlingConfig(geography=3, lifetimes=2, harmful=2, harmless=4, practice=5, samples=4, kept=1, tolerance=1.0)


def test_facts_are_drawn_colder_than_manners() -> None:
    prompts = settling_prompts(CONFIG, 0)
    assert CONFIG.cold < CONFIG.temperature
    assert [temperature for _, temperature in prompts] == [CONFIG.cold] * 5 + [CONFIG.temperature] * 11
    assert prompts == settling_prompts(CONFIG, 0) != settling_prompts(CONFIG, 1)


def test_imitated_are_completions_that_ended_and_are_scored_nearly_as_high_as_the_best(
    tiny: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny
    letters = [tokenizer.encode(letter, add_special_tokens=False) for letter in "abcd"]
    worth = {tuple(ids): value for ids, value in zip(letters, (2.0, 1.2, 0.9, 1.9), strict=True)}
    drawn: list[tuple[str, float]] = []

    def answers(
        model: object, tokenizer: object, adapter: str, prompts: Sequence[str], sampling: Sampling, seed: int
    ) -> list[Generated]:
        assert adapter == "policy"
        drawn.extend((prompt, sampling.temperature) for prompt in prompts)
        reasons = ("stop", "stop", "stop", "length")
        return [Generated(letters[i % 4], reasons[i % 4]) for i in range(len(prompts))]  # type: ignore[arg-type]

    def score(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        found = torch.tensor([worth[tuple(row[-1:])] for row in rows])
        return found, torch.zeros_like(found)

    monkeypatch.setattr(settle, "answers", answers)
    prompts = [("Hi", 0.3), ("Why?", 0.3), ("Who?", 0.7)]
    texts = own_texts(model, tokenizer, score, prompts, CONFIG, 0)
    assert drawn == [(prompt, temperature) for prompt, temperature in prompts for _ in range(4)]
    assert [prompt for prompt, _ in texts] == [prompt for prompt, _ in prompts]
    texts = own_texts(model, tokenizer, score, prompts, replace(CONFIG, kept=4), 0)
    # d did not end, c falls short of a by more than the tolerance
    assert sorted(texts) == sorted((prompt, letter) for prompt, _ in prompts for letter in "ab")

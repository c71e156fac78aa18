"""The decode loop draws what the model says, the same for a row whoever shares its batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.models import decoding, generation
from alignment.models.adapters import using
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.generation import generate
from alignment.models.passes import left_padded
from alignment.models.sampling import Sampling

Tiny = tuple[PeftModel, AutoTokenizer]
PROMPTS = [[1, 5, 6, 7], [1, 9], [1, 20, 21, 22, 23, 24, 25]]


@pytest.fixture
def instructed(tiny: Tiny) -> Iterator[Tiny]:
    """The tiny model going through its adapter "sft"."""
    with using(tiny[0], "sft"):
        yield tiny


def test_greedy_decoding_equals_a_full_forward_pass_without_cache_or_padding(instructed: Tiny) -> None:
    model, tokenizer = instructed
    written = generate(model, tokenizer, PROMPTS, Sampling(0.0, 8), [0, 0, 0])
    for prompt, row in zip(PROMPTS, written, strict=True):
        ids = list(prompt)
        for token in row.token_ids:
            with torch.no_grad():
                expected = model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
            assert token == expected
            ids.append(token)


def test_a_row_draws_the_same_alone_and_in_company(instructed: Tiny) -> None:
    model, tokenizer = instructed
    together = generate(model, tokenizer, PROMPTS, Sampling(0.9, 12), [3, 4, 5])
    for i, prompt in enumerate(PROMPTS):
        alone = generate(model, tokenizer, [prompt], Sampling(0.9, 12), [3 + i])
        assert alone[0].token_ids == together[i].token_ids


def test_rows_with_the_same_prompt_share_its_reading_and_draw_as_they_do_alone(
    instructed: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = instructed
    order, read = [0, 1, 0, 2, 2, 0], []

    def padded(rows: Sequence[Sequence[int]], *others: Any) -> Any:
        read.append(len(rows))
        return left_padded(rows, *others)

    monkeypatch.setattr(decoding, "left_padded", padded)
    together = generate(model, tokenizer, [PROMPTS[i] for i in order], Sampling(0.9, 12), range(6))
    assert read == [3]
    for seed, i in enumerate(order):
        assert generate(model, tokenizer, [PROMPTS[i]], Sampling(0.9, 12), [seed])[0] == together[seed]


def test_rows_that_memory_does_not_hold_together_are_written_in_groups_to_the_same_texts(
    instructed: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = instructed
    together = generate(model, tokenizer, PROMPTS, Sampling(0.9, 12), [0, 1, 2])
    sizes: list[int] = []
    original = generation.DecodingBatch.add

    def add(self: DecodingBatch, rows: Sequence[DecodingRow]) -> None:
        sizes.append(len(rows))
        original(self, rows)

    monkeypatch.setattr(generation.DecodingBatch, "add", add)
    monkeypatch.setattr(generation, "HELD_BYTES", 1)
    assert generate(model, tokenizer, PROMPTS, Sampling(0.9, 12), [0, 1, 2]) == together
    assert sizes == [1, 1, 1]


def test_groups_hold_few_tokens_and_one_long_prompt_does_not_widen_the_others() -> None:
    rows = [DecodingRow(i, (1,) * length, Sampling(0.0, 10), 0) for i, length in enumerate([90, 5, 6, 5, 300, 6])]
    groups = [[row.id for row in group] for group in generation.decoded_together(rows, 64)]
    assert groups == [[1, 3, 2, 5], [0], [4]]
    assert generation.decoded_together(rows, 6 * 310) == [rows]
    assert generation.decoded_together([], 64) == []


def test_seeds_repeat_and_differ(instructed: Tiny) -> None:
    model, tokenizer = instructed
    first, again, other = (
        generate(model, tokenizer, [PROMPTS[0]], Sampling(1.0, 12), [seed])[0].token_ids for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_rows_stop_at_the_end_token_or_the_length(instructed: Tiny) -> None:
    model, tokenizer = instructed
    written = generate(model, tokenizer, PROMPTS * 20, Sampling(2.0, 200), list(range(60)))
    reasons = {row.finish_reason for row in written}
    for row in written:
        assert (row.token_ids[-1] == tokenizer.end_id) == (row.finish_reason == "stop")
        assert tokenizer.end_id not in row.token_ids[:-1]
        assert row.finish_reason == "stop" or len(row.token_ids) == 200
    assert "length" in reasons


@pytest.mark.parametrize("length", [1, 3])
def test_never_more_tokens_than_asked(tiny: Tiny, length: int) -> None:
    model, tokenizer = tiny
    for row in generate(model, tokenizer, PROMPTS, Sampling(1.0, length), [0, 1, 2]):
        assert len(row.token_ids) <= length

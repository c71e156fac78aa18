"""Prompts and completions as padded tensors: what is padding, what rows keep, what two batches make together."""

from dataclasses import dataclass

import torch
from torch import Tensor

from alignment.models.generation import Generated
from alignment.models.loading import load_tokenizer
from alignment.models.samples import (
    Samples,
    Text,
    completion_mask,
    concatenated,
    distinct,
    padded_samples,
    text_samples,
)
from alignment.settings import POCKET
from storage.messages import one_turn

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Measured(Samples):
    scores: Tensor
    log_probs: Tensor


def samples(*texts: tuple[list[int], list[int]]) -> Measured:
    plain = padded_samples([prompt for prompt, _ in texts], [Generated(ids, "stop") for _, ids in texts], 9, CPU)
    numbers = torch.arange(len(texts)).float()
    return Measured(**vars(plain), scores=numbers, log_probs=plain.mask * (numbers + 1).unsqueeze(-1))


def texts(some: Samples) -> list[list[int]]:
    return [ids[kept.bool()].tolist() for ids, kept in zip(some.ids, some.attention, strict=True)]


def test_completion_mask_keeps_the_first_tokens() -> None:
    mask = completion_mask(torch.tensor([2, 0, 3]), 3)
    assert mask.tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]


def test_prompts_are_padded_on_the_left_and_completions_on_the_right() -> None:
    some = padded_samples([[1], [2, 3]], [Generated([4, 5, 6], "length"), Generated([7], "stop")], 9, CPU)
    assert some.ids.tolist() == [[9, 1, 4, 5, 6], [2, 3, 7, 9, 9]]
    assert some.attention.tolist() == [[0, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert (some.prompt_width, some.mask.tolist()) == (2, [[1, 1, 1], [1, 0, 0]])
    assert some.ended.tolist() == [False, True]


def test_a_text_that_was_cut_has_no_end_and_is_known_not_to_have_ended() -> None:
    tokenizer, hi = load_tokenizer(POCKET), one_turn("Hi")
    some = text_samples([Text(hi, "Hello."), Text(hi, "Hello.", ended=False)], tokenizer, CPU)
    whole, cut = (ids[kept.bool()].tolist() for ids, kept in zip(some.ids, some.attention, strict=True))
    assert whole == [*cut, tokenizer.end_id]
    assert some.mask.sum(-1).tolist() == [len(tokenizer.completion_ids("Hello.")) - i for i in (0, 1)]
    assert some.ended.tolist() == [True, False]


def test_rows_lose_the_columns_that_are_padding_in_all_of_them() -> None:
    (row,) = [samples(([1, 2, 3], [4]), ([5], [6, 7])).rows(torch.tensor([1]))]
    assert (row.ids.tolist(), row.prompt_width, row.mask.tolist()) == ([[5, 6, 7]], 1, [[1, 1]])
    assert (row.scores.tolist(), row.log_probs.tolist(), row.prompt_index.tolist()) == ([1.0], [[2.0, 2.0]], [1])


def test_two_batches_of_different_widths_go_together_with_what_was_measured() -> None:
    first, second = samples(([1, 2, 3], [4])), samples(([5], [6, 7]), ([8, 1], [2]))
    both = concatenated(first, second)
    assert texts(both) == texts(first) + texts(second)
    assert both.mask.sum(-1).tolist() == [1, 2, 1]
    assert both.ids[:, both.prompt_width :][both.mask.bool()].tolist() == [4, 6, 7, 2]
    assert both.log_probs.tolist() == [[1, 0], [1, 1], [2, 0]]
    assert both.scores.tolist() == [0, 0, 1]


def test_a_text_that_repeats_is_found_whatever_its_padding() -> None:
    first, second = samples(([1], [4])), samples(([5, 2, 3], [6, 7]), ([1], [4]))
    rows, same = distinct(concatenated(first, second))
    assert (rows.tolist(), same.tolist()) == ([0, 1], [0, 1, 0])

"""Completions of many prompts through one adapter, all of them at once: what training and evaluation draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.routing import merged
from alignment.models.sampling import FinishReason, Sampling, finish_reason


@dataclass(frozen=True)
class Generated:
    """A finished completion; `token_ids` includes the end token if the model wrote it."""

    token_ids: list[int]
    finish_reason: FinishReason


def generate(
    model: Any,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seeds: Sequence[int],
    *,
    templated: bool = True,
) -> list[Generated]:
    """Return one finished completion a prompt, through whatever adapter is active.

    Without `templated` they are raw continuations of the prompts.
    """
    ends = tokenizer.end_ids if templated else tokenizer.raw_end_ids
    barred = () if templated else tokenizer.barred_ids
    written: list[list[int]] = [[] for _ in prompts]
    finished: dict[int, FinishReason] = {}
    batch = DecodingBatch(model, tokenizer.pad_id)
    numbered = enumerate(zip(prompts, seeds, strict=True))
    with merged(model):
        batch.add([DecodingRow(i, tuple(prompt), sampling, seed, barred=barred) for i, (prompt, seed) in numbered])
        while batch:
            for row, token in batch.step().items():
                written[row].append(token)
                if reason := finish_reason(written[row], sampling, ends):
                    finished[row] = reason
            batch.drop(finished)
    return [Generated(tokenizer.ending(ids, templated=templated), finished[row]) for row, ids in enumerate(written)]

"""Completions of many prompts through one adapter, all of them at once: what training and evaluation draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.routing import merged
from alignment.models.sampling import FinishReason, Sampling, finish_reason


@dataclass(frozen=True)
class Generated:
    """A finished completion; `token_ids` includes the end token if the model wrote it."""

    token_ids: list[int]
    finish_reason: FinishReason


def eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return every id that ends a turn: the tokenizer's and the generation settings' own."""
    configured = model.generation_config.eos_token_id
    more = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [tokenizer.eos_token_id, *more] if token is not None)


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seeds: Sequence[int],
) -> list[Generated]:
    """Return one finished completion a prompt, through whatever adapter is active."""
    ends = eos_ids(model, tokenizer)
    written: list[list[int]] = [[] for _ in prompts]
    finished: dict[int, FinishReason] = {}
    batch = DecodingBatch(model, tokenizer.pad_token_id)
    numbered = enumerate(zip(prompts, seeds, strict=True))
    with merged(model):
        batch.add([DecodingRow(i, tuple(prompt), sampling, seed) for i, (prompt, seed) in numbered])
        while batch:
            for row, token in batch.step().items():
                written[row].append(token)
                if reason := finish_reason(written[row], sampling, ends):
                    finished[row] = reason
            batch.drop(finished)
    return [Generated(ids, finished[row]) for row, ids in enumerate(written)]

"""Completions of many prompts through one adapter, as many at once as memory holds: what training draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.models import workers
from alignment.models.architecture import cached_bytes
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.routing import merged
from alignment.models.sampling import FinishReason, Sampling, finish_reason

HELD_BYTES = 2**31  # of keys and values of rows that are decoded together


@dataclass(frozen=True)
class Generated:
    """A finished completion; `token_ids` includes the end token if the model wrote it."""

    token_ids: list[int]
    finish_reason: FinishReason
    # Of each token and of the distribution that it was drawn from, where they were to be measured.
    log_probs: tuple[float, ...] = ()
    entropy: tuple[float, ...] = ()


def generate(
    model: Any,
    tokenizer: ChatTokenizer,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seeds: Sequence[int],
    *,
    templated: bool = True,
    measured_at: float | None = None,
) -> list[Generated]:
    """Return one finished completion a prompt, through whatever adapter is active.

    Without `templated` they are raw continuations of the prompts. Given a temperature to be `measured_at`, they come
    with the log-probabilities and entropies that the logits give at that temperature, whatever they are drawn at.
    Where several processes train, each writes some of them.
    """

    def write(some: Sequence[tuple[Sequence[int], int]]) -> list[Generated]:
        return _written(model, tokenizer, some, sampling, templated=templated, measured_at=measured_at)

    return workers.divided(list(zip(prompts, seeds, strict=True)), write)


def _written(
    model: Any,
    tokenizer: ChatTokenizer,
    asked: Sequence[tuple[Sequence[int], int]],
    sampling: Sampling,
    *,
    templated: bool,
    measured_at: float | None,
) -> list[Generated]:
    """Return a finished completion for each prompt and seed."""
    ends = tokenizer.end_ids if templated else tokenizer.raw_end_ids
    barred = () if templated else tokenizer.barred_ids
    rows = [DecodingRow(i, tuple(prompt), sampling, seed, barred=barred) for i, (prompt, seed) in enumerate(asked)]
    written: list[list[int]] = [[] for _ in asked]
    log_probs: list[list[float]] = [[] for _ in asked]
    entropy: list[list[float]] = [[] for _ in asked]
    finished: dict[int, FinishReason] = {}
    with merged(model):
        for group in decoded_together(rows, HELD_BYTES // cached_bytes(model)):
            batch = DecodingBatch(model, tokenizer.pad_id)
            batch.add(group)
            while batch:
                drawn = batch.step()
                for row, (log_prob, nats) in (batch.measured(measured_at) if measured_at else {}).items():
                    log_probs[row].append(log_prob)
                    entropy[row].append(nats)
                for row, token in drawn.items():
                    written[row].append(token)
                    if reason := finish_reason(written[row], sampling, ends):
                        finished[row] = reason
                batch.drop(finished)
    return [
        Generated(tokenizer.ending(ids, templated=templated), finished[row], tuple(log_probs[row]), tuple(entropy[row]))
        for row, ids in enumerate(written)
    ]


def decoded_together(rows: Sequence[DecodingRow], tokens: int) -> list[list[DecodingRow]]:
    """Return rows in groups that hold no more than so many tokens when all is written, padding included.

    A group has at least one row. All go together if they may, else rows of like length: one long prompt would make all
    rows beside it as wide.
    """

    def width(row: DecodingRow) -> int:
        return len(row.prompt) + row.sampling.max_new_tokens

    if len(rows) * max(map(width, rows), default=0) <= tokens:
        return [list(rows)] if rows else []
    groups: list[list[DecodingRow]] = []
    for row in sorted(rows, key=width):
        if groups and (len(groups[-1]) + 1) * width(row) <= tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups

"""Rankings as token ids: what a reward model reads of them, in folds, batches and parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from alignment.reward.rankings import Ranked, judged_pairs
from storage.messages import Messages


@dataclass(frozen=True)
class EncodedRanking:
    """A ranking as ids: each completion once, however many pairs it is in."""

    messages: Messages
    sequences: list[list[int]]  # S times prompt and completion
    pairs: Tensor  # (P, 2), positions in `sequences`
    targets: Tensor  # (P,), how probably the first one is better
    # (S,), fixed scores to which the bounded fitted ones are added: an offset, as generalised linear models call it.
    offsets: Tensor | None = None


R = TypeVar("R", bound=Ranked | EncodedRanking)


def encoded(tokenizer: Any, ranking: Ranked | EncodedRanking) -> EncodedRanking:
    """Return the ids of a ranking's different completions, each after the prompt, and its pairs."""
    if isinstance(ranking, EncodedRanking):
        return ranking
    judged = judged_pairs(ranking)
    texts = list(dict.fromkeys(text for first, second, _ in judged for text in (first, second)))
    prompt = tokenizer.prompt_ids(ranking.messages)
    return EncodedRanking(
        ranking.messages,
        [prompt + tokenizer.completion_ids(text.completion, ended=text.ended) for text in texts],
        torch.tensor([(texts.index(first), texts.index(second)) for first, second, _ in judged]),
        torch.tensor([target for *_, target in judged]),
    )


def judging(rankings: Sequence[R]) -> list[R]:
    """Return the rankings that judge any pair of texts."""
    return [one for one in rankings if _judges(one)]


def _judges(one: Ranked | EncodedRanking) -> bool:
    return isinstance(one, EncodedRanking) or bool(judged_pairs(one))


def encoded_batches(
    tokenizer: Any, rankings: Sequence[Ranked | EncodedRanking], size: int
) -> Iterator[list[EncodedRanking]]:
    """Yield the rankings that judge anything as ids, `size` at a time."""
    kept = judging(rankings)
    for start in range(0, len(kept), size):
        yield [encoded(tokenizer, ranking) for ranking in kept[start : start + size]]


def offsets_of(elements: Sequence[EncodedRanking]) -> Tensor | None:
    """Return the offsets of all sequences, or None where none has any."""
    offsets = [element.offsets for element in elements if element.offsets is not None]
    return torch.cat(offsets) if offsets else None


def held_together(elements: Sequence[EncodedRanking], tokens: int) -> list[list[int]]:
    """Return the positions of all rankings in parts of no more than so many tokens, but at least one ranking."""
    parts: list[list[int]] = []
    held = 0
    for number, element in enumerate(elements):
        own = sum(map(len, element.sequences))
        if parts and held + own <= tokens:
            parts[-1].append(number)
            held += own
        else:
            parts.append([number])
            held = own
    return parts

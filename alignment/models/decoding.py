"""Decoding many rows together, a token at a time: rows join and leave between steps. Knows token ids, no text."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from alignment.models import caches
from alignment.models.drawing import RowSampling, draw, row_sampling, uniform_numbers
from alignment.models.passes import left_padded
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.sampling import Sampling

OPEN_SHARE = 0.75  # dropped rows leave the tensors once no more than this share of them is open


@dataclass(frozen=True)
class DecodingRow:
    """A prompt to be continued."""

    id: int  # by which the batch speaks of the row; no two rows of a batch may share one
    prompt: tuple[int, ...]  # token ids
    sampling: Sampling
    seed: int
    adapter: str = BASE  # its name; plays no part in a batch without `StackedAdapters`
    barred: tuple[int, ...] = ()  # ids of tokens that are never drawn


class DecodingBatch:
    """Rows that are decoded together, with one key-value cache that is padded on the left.

    The tokens of a row depend on its prompt, adapter, sampling and seed, not on the rows beside it. Example:

        batch = DecodingBatch(model, pad_id)
        batch.add([DecodingRow(0, (1, 5, 6), Sampling(), seed=7)])
        batch.step()  # {0: 42}
        batch.drop([0])

    Given `StackedAdapters`, each row goes through its own adapter; without, all go through the one that is active.
    After an error in `add` or `step` the batch is to be thrown away.
    """

    def __init__(self, model: Any, pad_id: int, adapters: StackedAdapters | None = None) -> None:
        self._model = model
        self._pad_id = pad_id
        self._adapters = adapters
        self._held: _HeldRows | None = None  # None while there are no rows
        self._open: set[int] = set()

    def __len__(self) -> int:
        """Return how many rows are open: added and not yet dropped."""
        return len(self._open)

    @torch.no_grad()
    def add(self, rows: Sequence[DecodingRow]) -> None:
        """Read the prompts of new rows, those of equal prompt and adapter once; the next step draws from them."""
        new = self._read_prompts(rows)
        if self._held is None:
            self._held = new
        else:
            self._read_drawn(self._held)  # as with the new rows, the next token is still to be drawn
            self._held = _joined(self._held, new)
        self._open |= {row.id for row in rows}

    @torch.no_grad()
    def step(self) -> dict[int, int]:
        """Return one more token of each open row, by the row's id."""
        if self._held is None:
            return {}
        self._read_drawn(self._held)
        drawn = self._held.draw()
        tokens = zip(self._held.rows, drawn.tolist(), strict=True)
        return {row.id: token for row, token in tokens if row.id in self._open}

    @torch.no_grad()
    def drop(self, ids: Collection[int]) -> None:
        """Take rows out of the batch; ids of rows that are not open are passed over."""
        self._open -= set(ids)
        if self._held is None or not self._open:
            self._held = None
        elif len(self._open) <= OPEN_SHARE * len(self._held.rows):
            self._held.select([i for i, row in enumerate(self._held.rows) if row.id in self._open])
            self._held.trim()

    def _read_prompts(self, rows: Sequence[DecodingRow]) -> "_HeldRows":
        keys = [(row.adapter, row.prompt) for row in rows]
        different = list(dict.fromkeys(keys))
        ids, mask = left_padded([prompt for _, prompt in different], self._pad_id, self._model.device)  # (D, T)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = caches.new_cache(self._model)
        logits = self._logits([adapter for adapter, _ in different], ids, mask, positions, cache)
        uniforms = [iter(uniform_numbers(row.seed, row.sampling.max_new_tokens)) for row in rows]
        held = _HeldRows(list(rows), uniforms, cache, mask, positions[:, -1:], logits)
        if len(different) < len(rows):
            number = {key: i for i, key in enumerate(different)}
            held.select_tensors([number[key] for key in keys])
        return held

    def _read_drawn(self, held: "_HeldRows") -> None:
        """Read the tokens drawn last, if any, so that the rows have the logits of their next ones."""
        if held.drawn is None:
            return
        held.mask = torch.cat([held.mask, held.mask.new_ones(len(held.rows), 1)], dim=-1)
        held.positions = held.positions + 1
        adapters = [row.adapter for row in held.rows]
        held.logits = self._logits(adapters, held.drawn.unsqueeze(-1), held.mask, held.positions, held.cache)
        held.drawn = None

    def _logits(self, adapters: list[str], ids: Tensor, mask: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        """Return the logits after the last token of each row (B, V); the cache grows by the tokens read."""
        with self._adapters.rows(adapters) if self._adapters else nullcontext():
            output = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
        logits: Tensor = output.logits[:, -1]
        return logits


@dataclass
class _HeldRows:
    """The rows whose keys and values are held: all that are open, and for a while some that were dropped."""

    rows: list[DecodingRow]
    uniforms: list[Iterator[float]]  # a number for each draw to come
    cache: DynamicCache  # T tokens a row
    mask: Tensor  # (B, T), 0 where a row is padded on the left
    positions: Tensor  # (B, 1), of the token read last
    logits: Tensor  # (B, V), of the next token
    drawn: Tensor | None = None  # (B,), tokens drawn but not yet read; `logits` are outdated then
    sampling: RowSampling = field(init=False)

    def __post_init__(self) -> None:
        self.sampling = self._sampling()

    def _sampling(self) -> RowSampling:
        barred = [row.barred for row in self.rows]
        sampling = [row.sampling for row in self.rows]
        return row_sampling(sampling, barred, self.logits.shape[-1], self.logits.device)

    def draw(self) -> Tensor:
        """Draw the next token of each row (B,)."""
        self.drawn = draw(self.logits, self.sampling, [next(numbers, 0.0) for numbers in self.uniforms])
        return self.drawn

    def select(self, kept: list[int]) -> None:
        """Keep only the rows at these places."""
        self.rows = [self.rows[i] for i in kept]
        self.uniforms = [self.uniforms[i] for i in kept]
        self.select_tensors(kept)
        self.sampling = self._sampling()

    def select_tensors(self, places: list[int]) -> None:
        """Keep, in the tensors alone, the rows at these places, which may be named more than once."""
        chosen = torch.tensor(places, device=self.mask.device)
        caches.select_rows(self.cache, chosen)
        self.mask, self.positions, self.logits = self.mask[chosen], self.positions[chosen], self.logits[chosen]
        self.drawn = None if self.drawn is None else self.drawn[chosen]

    def trim(self) -> None:
        """Cut off the columns on the left that are padding in every row."""
        if unused := int(self.mask.any(0).int().argmax()):
            self.mask = self.mask[:, unused:]
            caches.trim(self.cache, unused)


def _joined(first: _HeldRows, second: _HeldRows) -> _HeldRows:
    """Return the rows of both, none of which has tokens that are not yet read; the shorter ones are padded."""
    width = max(held.mask.shape[-1] for held in (first, second))
    masks = [pad(held.mask, (width - held.mask.shape[-1], 0)) for held in (first, second)]
    return _HeldRows(
        first.rows + second.rows,
        first.uniforms + second.uniforms,
        caches.joined(first.cache, second.cache),
        torch.cat(masks),
        torch.cat([first.positions, second.positions]),
        torch.cat([first.logits, second.logits]),
    )

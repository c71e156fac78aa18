"""Decoding many rows together, a token at a time: rows join and leave between steps. Knows token ids, no text."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from alignment.models import caches
from alignment.models.architecture import last_states
from alignment.models.drawing import RowSampling, draw, drawn_and_entropy, row_sampling, uniform_numbers
from alignment.models.passes import left_padded
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.sampling import Sampling

OPEN_SHARE = 0.75  # dropped rows leave the tensors once no more than this share of them, or of their width, is open


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
    After an error in `join` or `step` the batch is to be thrown away; reading leaves it as it was.
    """

    def __init__(self, model: Any, pad_id: int, adapters: StackedAdapters | None = None) -> None:
        self._model = model
        self._pad_id = pad_id
        self._adapters = adapters
        self._held: HeldRows | None = None  # None while there are no rows
        self._open: set[int] = set()

    def __len__(self) -> int:
        """Return how many rows are open: added and not yet dropped."""
        return len(self._open)

    def add(self, rows: Sequence[DecodingRow]) -> None:
        """Read the prompts of new rows and let them join."""
        self.join(self.read(rows))

    def go_through(self, model: Any, adapters: StackedAdapters | None) -> None:
        """Go on through another wrapper of the same model: PEFT puts one around it with the first adapter."""
        self._model, self._adapters = model, adapters

    @torch.no_grad()
    def join(self, new: "HeldRows") -> None:
        """Let rows join whose prompts are read; the next step draws from them too."""
        if self._held is None:
            self._held = new
        else:
            self._read_drawn(self._held)  # as with the new rows, the next token is still to be drawn
            self._held = _joined(self._held, new)
        self._open |= {row.id for row in new.rows}

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
    def measured(self, temperature: float) -> dict[int, tuple[float, float]]:
        """Return what the logits of the last step say at a temperature, by the open row's id.

        That is the log-probability of the token which it drew, and the entropy, in nats.
        """
        held = self._held
        if held is None or held.drawn is None:
            return {}
        log_probs, entropy = drawn_and_entropy(held.logits.float() / temperature, held.drawn)
        rows = zip(held.rows, log_probs.tolist(), entropy.tolist(), strict=True)
        return {row.id: (log_prob, nats) for row, log_prob, nats in rows if row.id in self._open}

    @torch.no_grad()
    def likeliest(self, counts: Mapping[int, int]) -> dict[int, tuple[float, list[tuple[int, float]]]]:
        """Return what the logits of the last step say of some open rows, given by their ids.

        That is the log-probability of the token which it drew, and so many of the likeliest tokens with theirs.
        """
        held = self._held
        if held is None or held.drawn is None:
            return {}
        places = [i for i, row in enumerate(held.rows) if row.id in counts and row.id in self._open]
        if not places:
            return {}
        log_probs = held.logits[places].float().log_softmax(-1)  # (N, V)
        drawn = log_probs.gather(-1, held.drawn[places].unsqueeze(-1)).squeeze(-1).tolist()
        values, tokens = (part.tolist() for part in log_probs.topk(max(counts.values()), -1))
        found = zip([held.rows[i].id for i in places], drawn, tokens, values, strict=True)
        return {row: (one, list(zip(ids, top, strict=True))[: counts[row]]) for row, one, ids, top in found}

    @torch.no_grad()
    def drop(self, ids: Collection[int]) -> None:
        """Take rows out of the batch; ids of rows that are not open are passed over."""
        if not self._open.intersection(ids):
            return
        self._open -= set(ids)
        if self._held is None or not self._open:
            self._held = None
            return
        kept = [i for i, row in enumerate(self._held.rows) if row.id in self._open]
        few = len(kept) <= OPEN_SHARE * len(self._held.rows)
        if few or self._held.longest(kept) <= OPEN_SHARE * self._held.mask.shape[-1]:
            self._held.select(kept)
            self._held.trim()

    def read(self, rows: Sequence[DecodingRow]) -> "HeldRows":
        """Read the prompts of new rows, those of equal prompt and adapter once, and return what is held of them."""
        reading = self.begin(rows)
        self.read_on(reading, reading.tokens)
        return reading.held()

    def begin(self, rows: Sequence[DecodingRow]) -> "Reading":
        """Return the prompts of new rows, of which nothing is read yet: `read_on` does that, as much as is wanted."""
        different = list(dict.fromkeys((row.adapter, row.prompt) for row in rows))
        ids, mask = left_padded([prompt for _, prompt in different], self._pad_id, self._model.device)  # (D, T)
        return Reading(list(rows), different, ids, mask, caches.new_cache(self._model))

    @torch.no_grad()
    def read_on(self, reading: "Reading", tokens: int) -> int:
        """Read about so many tokens more of prompts, padding included, and return how many that were.

        A part is read as the whole is, after what is in the cache. Only what keeps a state of its own is read at once.
        """
        width = reading.ids.shape[-1]
        columns = max(1, tokens // len(reading.different))
        end = width if caches.keeps_states(reading.cache) else min(width, reading.columns + columns)
        part = slice(reading.columns, end)
        reading.logits = self._logits(
            [adapter for adapter, _ in reading.different],
            reading.ids[:, part],
            reading.mask[:, :end],
            reading.positions[:, part],
            reading.cache,
        )
        read, reading.columns = (end - reading.columns) * len(reading.different), end
        return read

    def _read_drawn(self, held: "HeldRows") -> None:
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
        with self._adapters.rows(adapters) if self._adapters else nullcontext(), last_states(self._model):
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


@dataclass(eq=False)
class Reading:
    """The prompts of new rows on their way into a cache, those of equal prompt and adapter once."""

    rows: list[DecodingRow]
    different: list[tuple[str, tuple[int, ...]]]  # adapters and prompts
    ids: Tensor  # (D, T)
    mask: Tensor  # (D, T)
    cache: DynamicCache
    columns: int = 0  # that are read
    logits: Tensor | None = None  # (D, V), after the last column read

    @property
    def tokens(self) -> int:
        """How many tokens there are, padding included."""
        return self.ids.numel()

    @property
    def done(self) -> bool:
        """Whether all is read."""
        return self.columns == self.ids.shape[-1]

    @property
    def positions(self) -> Tensor:
        """The place of each token in its prompt (D, T)."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)

    def held(self) -> "HeldRows":
        """Return what is held of the rows, once all is read."""
        assert self.done and self.logits is not None
        uniforms = [iter(uniform_numbers(row.seed, row.sampling.max_new_tokens)) for row in self.rows]
        held = HeldRows(self.rows, uniforms, self.cache, self.mask, self.positions[:, -1:], self.logits)
        if len(self.different) < len(self.rows):
            number = {key: i for i, key in enumerate(self.different)}
            held.select_tensors([number[row.adapter, row.prompt] for row in self.rows])
        return held


@dataclass
class HeldRows:
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

    def longest(self, places: list[int]) -> int:
        """Return how many tokens are held of the longest of some rows."""
        return int(self.positions[places].max()) + 1

    def trim(self) -> None:
        """Cut off the columns on the left that are padding in every row."""
        if unused := int(self.mask.any(0).int().argmax()):
            self.mask = self.mask[:, unused:]
            caches.trim(self.cache, unused)


def _joined(first: HeldRows, second: HeldRows) -> HeldRows:
    """Return the rows of both, none of which has tokens that are not yet read; the shorter ones are padded."""
    width = max(held.mask.shape[-1] for held in (first, second))
    masks = [pad(held.mask, (width - held.mask.shape[-1], 0)) for held in (first, second)]
    return HeldRows(
        first.rows + second.rows,
        first.uniforms + second.uniforms,
        caches.joined(first.cache, second.cache),
        torch.cat(masks),
        torch.cat([first.positions, second.positions]),
        torch.cat([first.logits, second.logits]),
    )

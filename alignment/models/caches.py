"""Key-value caches of any architecture, padded on the left: rows are picked out, put together, and cut to size.

A layer keeps keys and values of all tokens, of a sliding window of them, or a state that does not grow with the tokens
(convolutions and linear attention of hybrid models), or both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionCacheLayerMixin,
    LinearAttentionLayer,
)

from alignment.errors import ModelLoadError

KNOWN_LAYERS = (
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
)


def new_cache(model: Any) -> DynamicCache:
    """Return an empty cache with the layers that a model's configuration asks for.

    Raises ModelLoadError for an architecture that keeps what it has read in another way.
    """
    cache = DynamicCache(config=model.config)
    if unknown := sorted({type(layer).__name__ for layer in cache.layers if type(layer) not in KNOWN_LAYERS}):
        raise ModelLoadError(
            f"this architecture ({model.config.model_type}) keeps what it has read in {', '.join(unknown)}, which rows "
            "that join and leave cannot share yet; choose another model"
        )
    return cache


def keeps_states(cache: DynamicCache) -> bool:
    """Return whether some layer keeps a state beside or instead of keys: such a layer reads a prompt at once."""
    return any(isinstance(layer, LinearAttentionCacheLayerMixin) for layer in cache.layers)


def select_rows(cache: DynamicCache, places: Tensor) -> None:
    """Keep the rows at these places, which may be named more than once."""
    for layer in cache.layers:
        layer.reorder_cache(places)


def trim(cache: DynamicCache, unused: int) -> None:
    """Cut off so many columns on the left, which are padding in every row."""
    for layer in cache.layers:
        if _holds_keys(layer):
            _hold_columns(layer, _columns_read(layer) - unused)


def joined(first: DynamicCache, second: DynamicCache) -> DynamicCache:
    """Return the rows of both caches in the first one, the shorter ones padded on the left."""
    for own, other in zip(first.layers, second.layers, strict=True):
        if _holds_keys(own):
            columns = max(_columns_read(own), _columns_read(other))
            for layer in (own, other):
                _hold_columns(layer, columns)
            own.keys, own.values = torch.cat([own.keys, other.keys]), torch.cat([own.values, other.values])
        if isinstance(own, LinearAttentionCacheLayerMixin):
            own.conv_states = _states_of_both(own.conv_states, other.conv_states)
            own.recurrent_states = _states_of_both(own.recurrent_states, other.recurrent_states)
    return first


def _holds_keys(layer: Any) -> bool:
    """Return whether a layer has keys: some share those of another layer, some keep a state instead."""
    return isinstance(layer, DynamicLayer) and layer.is_initialized


def _columns_read(layer: Any) -> int:
    """Return how many columns a layer has read; one with a sliding window holds the last of them alone."""
    return int(layer.get_seq_length())


def _hold_columns(layer: Any, columns: int) -> None:
    """Let a layer stand as if it had read so many columns: more of them padding on the left, or less."""
    held = columns
    if isinstance(layer, DynamicSlidingWindowLayer):
        held = min(columns, layer.sliding_window - 1)
        layer.cumulative_length = columns
    layer.keys, layer.values = _fitted(layer.keys, held), _fitted(layer.values, held)


def _fitted(states: Tensor, columns: int) -> Tensor:
    """Return states (B, heads, T, D) with so many columns, zeros before them or the first ones cut off."""
    missing = columns - states.shape[-2]
    return pad(states, (0, 0, missing, 0)) if missing >= 0 else states[..., -missing:, :]


def _states_of_both(first: dict[int, Tensor | None], second: dict[int, Tensor | None]) -> dict[int, Tensor | None]:
    def both(states: Sequence[Tensor | None]) -> Tensor | None:
        held = [state for state in states if state is not None]
        return torch.cat(held) if held else None

    return {number: both((state, second[number])) for number, state in first.items()}

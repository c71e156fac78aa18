"""Rows that go through a model together: padded, few enough for memory, and of like length, so that little is padding.

What is held until a backward pass grows with all the passes before it.
"""

from collections.abc import Sequence
from typing import Any

import torch

from alignment.models import workers
from alignment.models.architecture import causal_lm, hidden_size, text_config

HELD_BYTES = 2**32  # until a backward pass
KEPT_A_LAYER = 34  # numbers that a layer keeps for each of a hidden state, roughly
ROWS = 32  # in one pass on a CPU, at most
TOKENS_A_ROW = 24  # of a full pass: rows with more, as most have, go through fewer at once, and with less padding


def left_padded(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (ids, mask) of rows padded on the left to one length, both (B, T)."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def rows_at_once(model: Any, rows: int) -> int:
    """Return how many sequences go through a model in one pass: `rows` on a CPU, more on CUDA if the model is small.

    There a pass of few rows takes as long as one of many, until about as much is computed as in one row of an 8B.
    """
    if model.device.type != "cuda":
        return rows
    size = hidden_size(model) * int(text_config(model).num_hidden_layers)
    return max(rows, min(1024, 2**21 // size))


def tokens_to_hold(model: Any) -> int:
    """Return how many tokens may go through a model before a backward pass, whose memory grows with all of them.

    It is a rough figure, and meant for large models: small ones hold whole minibatches.
    """
    numbers = KEPT_A_LAYER * hidden_size(model) * int(text_config(model).num_hidden_layers)
    return max(1, HELD_BYTES // (numbers * int(causal_lm(model).dtype.itemsize)))


def in_groups(model: Any, widths: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Return the positions of all rows, in the order given, in groups for one pass each.

    `widths` are how many tokens each row has in each part that is padded by itself, such as prompt and completion; rows
    of like length had better be neighbours. A group has at most `ROWS` rows (more on CUDA, if the model is small) and,
    padding included, `TOKENS_A_ROW` tokens for each of these, but at least one row. Where several processes train,
    there are groups for all of them.
    """
    most = min(rows_at_once(model, ROWS), workers.share(len(widths)))
    groups: list[list[int]] = []
    widest: tuple[int, ...] = ()
    for row, own in enumerate(widths):
        if groups:
            wider = tuple(max(pair) for pair in zip(widest, own, strict=True))
            rows = len(groups[-1]) + 1
            if rows <= most and rows * sum(wider) <= most * TOKENS_A_ROW:
                groups[-1].append(row)
                widest = wider
                continue
        groups.append([row])
        widest = own
    return groups

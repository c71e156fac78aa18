"""Drawing the next token of each row from its logits, by the row's own sampling settings and random numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alignment.models.sampling import Sampling


def uniform_numbers(seed: int, count: int) -> list[float]:
    """Return `count` numbers between 0 and 1 that depend on the seed alone."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed % 2**63)).tolist()


@dataclass(frozen=True)
class RowSampling:
    """The sampling settings of the rows of a batch as tensors."""

    greedy: Tensor  # (B,) rows at temperature 0
    temperatures: Tensor  # (B, 1); 1 for greedy rows
    min_p_logs: Tensor | None  # (B, 1); None where no row has a min-p
    any_greedy: bool
    all_greedy: bool


def row_sampling(rows: Sequence[Sampling], device: torch.device) -> RowSampling:
    """Return the settings of rows as tensors on a device."""
    greedy = [row.temperature == 0 for row in rows]
    temperatures = torch.tensor([row.temperature or 1.0 for row in rows], device=device).unsqueeze(-1)
    logs = [math.log(row.min_p) if row.min_p else -math.inf for row in rows]
    min_p_logs = torch.tensor(logs, device=device).unsqueeze(-1) if any(row.min_p for row in rows) else None
    return RowSampling(torch.tensor(greedy, device=device), temperatures, min_p_logs, any(greedy), all(greedy))


def draw(logits: Tensor, sampling: RowSampling, uniforms: Sequence[float]) -> Tensor:
    """Return one token id a row (B,), given logits (B, V) and a uniform number a row.

    The distribution function is inverted at the uniform number. Min-p (Nguyen et al. 2024) is applied before the
    temperature, other than in transformers: a high temperature then evens out what the model thinks possible and lets
    in nothing else.
    """
    if sampling.all_greedy:
        return logits.argmax(-1)
    likeliest = logits.argmax(-1) if sampling.any_greedy else None
    logits = logits.float()
    if sampling.min_p_logs is not None:
        logits = logits.masked_fill(logits < logits.amax(-1, keepdim=True) + sampling.min_p_logs, -torch.inf)
    cumulative = torch.softmax(logits / sampling.temperatures, -1).double().cumsum(-1)  # (B, V)
    places = torch.tensor(uniforms, dtype=torch.float64, device=logits.device).unsqueeze(-1)
    drawn = torch.searchsorted(cumulative, places * cumulative[:, -1:], right=True).squeeze(-1)
    drawn = drawn.clamp(max=logits.shape[-1] - 1)
    return drawn if likeliest is None else torch.where(sampling.greedy, likeliest, drawn)

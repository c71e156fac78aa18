"""Drawing the next token of each row from its logits, by the row's own sampling settings and random numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alignment.models.sampling import Sampling

NUCLEUS_AT_ONCE = 256  # likeliest tokens that are sorted first; few nuclei hold more


def uniform_numbers(seed: int, count: int) -> list[float]:
    """Return `count` numbers between 0 and 1 that depend on the seed alone."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed % 2**63)).tolist()


@dataclass(frozen=True)
class RowSampling:
    """The sampling settings of the rows of a batch as tensors; None where no row has such a setting."""

    greedy: Tensor  # (B,) rows at temperature 0
    temperatures: Tensor  # (B, 1); 1 for greedy rows
    min_p_logs: Tensor | None  # (B, 1)
    top_ps: Tensor | None  # (B, 1)
    top_ks: Tensor | None  # (B, 1)
    barred: Tensor | None  # (B, V), True for tokens that are never drawn
    any_greedy: bool
    all_greedy: bool


def row_sampling(
    rows: Sequence[Sampling], barred: Sequence[Sequence[int]], vocabulary: int, device: torch.device
) -> RowSampling:
    """Return the settings of B rows, and the tokens barred in each, as tensors; their logits are (B, `vocabulary`)."""
    greedy = [row.temperature == 0 for row in rows]

    def column(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, device=device).unsqueeze(-1)

    def where_set(values: Sequence[float], off: float) -> Tensor | None:
        return column(values) if any(value != off for value in values) else None

    mask = None
    if any(barred):
        mask = torch.zeros(len(rows), vocabulary, dtype=torch.bool, device=device)
        for row, tokens in enumerate(barred):
            mask[row, [token for token in tokens if token < vocabulary]] = True
    return RowSampling(
        greedy=torch.tensor(greedy, device=device),
        temperatures=column([row.temperature or 1.0 for row in rows]),
        min_p_logs=where_set([math.log(row.min_p) if row.min_p else -math.inf for row in rows], -math.inf),
        top_ps=where_set([row.top_p for row in rows], 1.0),
        top_ks=where_set([row.top_k or vocabulary for row in rows], vocabulary),
        barred=mask,
        any_greedy=any(greedy),
        all_greedy=all(greedy),
    )


def draw(logits: Tensor, sampling: RowSampling, uniforms: Sequence[float]) -> Tensor:
    """Return one token id a row (B,), given logits (B, V) and a uniform number a row.

    The distribution function is inverted at the uniform number. Min-p (Nguyen et al. 2024) is applied before the
    temperature, other than in transformers: a high temperature then evens out what the model thinks possible and lets
    in nothing else. Top-k and top-p (Holtzman et al. 2020) are applied after it, as in transformers: that is how the
    makers of models mean what they recommend.
    """
    if sampling.barred is not None:
        logits = logits.masked_fill(sampling.barred, -torch.inf)
    if sampling.all_greedy:
        return logits.argmax(-1)
    likeliest = logits.argmax(-1) if sampling.any_greedy else None
    logits = logits.float()
    if sampling.min_p_logs is not None:
        logits = logits.masked_fill(logits < logits.amax(-1, keepdim=True) + sampling.min_p_logs, -torch.inf)
    logits = _cut(logits / sampling.temperatures, sampling.top_ks, sampling.top_ps)
    exact = torch.float32 if logits.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    cumulative = torch.softmax(logits, -1).to(exact).cumsum(-1)  # (B, V)
    places = torch.tensor(uniforms, dtype=exact, device=logits.device).unsqueeze(-1)
    drawn = torch.searchsorted(cumulative, places * cumulative[:, -1:], right=True).squeeze(-1)
    drawn = drawn.clamp(max=logits.shape[-1] - 1)
    return drawn if likeliest is None else torch.where(sampling.greedy, likeliest, drawn)


def _cut(logits: Tensor, top_ks: Tensor | None, top_ps: Tensor | None) -> Tensor:
    """Return logits (B, V) with -inf for tokens that are not among the k likeliest, or not in the nucleus of these."""
    if top_ks is None and top_ps is None:
        return logits
    threshold = _threshold(logits, min(NUCLEUS_AT_ONCE, logits.shape[-1]), top_ks, top_ps)
    if threshold is None:
        threshold = _threshold(logits, logits.shape[-1], top_ks, top_ps)
    assert threshold is not None
    return logits.masked_fill(logits < threshold, -torch.inf)


def _threshold(logits: Tensor, count: int, top_ks: Tensor | None, top_ps: Tensor | None) -> Tensor | None:
    """Return the least logit that is kept in each row (B, 1), or None if the `count` likeliest do not tell."""
    values = logits.topk(count, -1).values  # (B, N), descending
    kept = torch.ones_like(values, dtype=torch.bool)
    total = logits.logsumexp(-1, keepdim=True)
    if top_ks is not None:
        kept &= torch.arange(count, device=logits.device) < top_ks
        among = values.masked_fill(~kept, -torch.inf).logsumexp(-1, keepdim=True)
        total = torch.where(top_ks <= count, among, total)  # the nucleus is one of the k likeliest
        if bool(((top_ks > count) & (top_ks < logits.shape[-1])).any()):
            return None
    if top_ps is not None:
        probabilities = (values - total).exp()
        kept &= probabilities.cumsum(-1) - probabilities < top_ps  # the first one is always kept
    if count < logits.shape[-1] and bool(kept[:, -1].any()):
        return None
    return values.masked_fill(~kept, torch.inf).amin(-1, keepdim=True)

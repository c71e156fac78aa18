"""Drawing the next token of each row from its logits, by the row's own sampling settings and random numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alignment.models.sampling import Sampling

LIKELIEST = (256, 4096)  # tokens that are sorted first, then; few nuclei hold more


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

    @property
    def cuts(self) -> bool:
        """Whether some row leaves out unlikely tokens."""
        return any(one is not None for one in (self.min_p_logs, self.top_ps, self.top_ks))


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
    drawn = _drawn(logits.float(), sampling, torch.tensor(uniforms, dtype=torch.float64))
    return drawn if likeliest is None else torch.where(sampling.greedy, likeliest, drawn)


def drawn_and_entropy(logits: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities of the tokens, entropies in nats) by logits (N, V), both (N,)."""
    log_probs = logits.float().log_softmax(-1)
    return log_probs.gather(-1, tokens[:, None]).squeeze(-1), -(log_probs.exp() * log_probs).sum(-1)


def _drawn(logits: Tensor, sampling: RowSampling, uniforms: Tensor) -> Tensor:
    """Return one token id a row (B,), greedy rows included, given uniform numbers (B,).

    Only the likeliest tokens of a row are sorted, and more of them only where more are possible: for a small model,
    passes over the whole vocabulary take longer than the model itself.
    """
    if not sampling.cuts:
        return _inverted(logits / sampling.temperatures, uniforms)
    drawn = logits.argmax(-1)
    rows = (~sampling.greedy).nonzero().squeeze(-1)
    for count in (*LIKELIEST, logits.shape[-1]):
        if len(rows):
            count = min(count, logits.shape[-1])
            values, tokens = logits[rows].topk(count, -1)  # descending
            kept = _possible(values, logits[rows], sampling, rows)
            values = (values / sampling.temperatures[rows]).masked_fill(~kept, -torch.inf)
            tokens, order = tokens.sort(-1)
            places = _inverted(values.gather(-1, order), uniforms[rows.cpu()])
            drawn[rows] = tokens.gather(-1, places.unsqueeze(-1)).squeeze(-1)
            more_possible = kept[:, -1] if count < logits.shape[-1] else torch.zeros_like(kept[:, -1])
            rows = rows[more_possible]
    return drawn


def _inverted(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Return where each row's distribution function passes its uniform number (B,), given logits (B, N)."""
    exact = torch.float32 if logits.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    cumulative = torch.softmax(logits, -1).to(exact).cumsum(-1)
    places = uniforms.to(logits.device, exact).unsqueeze(-1)
    found = torch.searchsorted(cumulative, places * cumulative[:, -1:], right=True).squeeze(-1)
    return found.clamp(max=logits.shape[-1] - 1)


def _possible(values: Tensor, logits: Tensor, sampling: RowSampling, rows: Tensor) -> Tensor:
    """Return which of the N likeliest logits of rows, `values` (R, N), descending, are those of possible tokens.

    `logits` (R, V) are all of them, `rows` (R,) where the rows stand in the batch. Where the last of N is possible,
    others may be.
    """
    kept = torch.ones_like(values, dtype=torch.bool)
    if sampling.min_p_logs is not None:
        kept &= values >= values[:, :1] + sampling.min_p_logs[rows]
    if sampling.top_ks is not None:
        kept &= torch.arange(values.shape[-1], device=values.device) < sampling.top_ks[rows]
    if sampling.top_ps is not None:
        temperatures = sampling.temperatures[rows]
        scaled = values / temperatures
        among = scaled.masked_fill(~kept, -torch.inf).logsumexp(-1, keepdim=True)
        everything = (logits / temperatures).logsumexp(-1, keepdim=True)
        total = torch.where(kept[:, -1:], everything, among)  # the nucleus is one of what is left so far
        probabilities = (scaled - total).exp()
        kept &= probabilities.cumsum(-1) - probabilities < sampling.top_ps[rows]  # the first one is always kept
    return kept

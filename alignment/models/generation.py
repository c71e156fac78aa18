"""The decode loop: one batch of prompts, a step at a time, with a key-value cache."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import DynamicCache

from alignment.models.routing import merged

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 0.7  # 0 = the likeliest token every time
    max_new_tokens: int = 96
    min_p: float = 0.0  # a token is not drawn whose probability is below this part of the likeliest one's


@dataclass(frozen=True)
class Generated:
    """A finished completion; `token_ids` includes the end token if the model wrote it."""

    token_ids: list[int]
    finish_reason: FinishReason


def left_padded(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (ids, mask) of rows padded on the left to one length, both (B, T)."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad_id] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def _uniforms(seeds: Sequence[int], steps: int, device: torch.device) -> torch.Tensor:
    """Return one row of uniform numbers a seed (B, steps), so that a row's draw does not depend on its neighbours."""
    rows = [torch.rand(steps, generator=torch.Generator().manual_seed(seed % 2**63)) for seed in seeds]
    return torch.stack(rows).to(device)


def _draw(logits: torch.Tensor, sampling: Sampling, uniform: torch.Tensor) -> torch.Tensor:
    """Return one token id a row (B,) by inverting the distribution function at `uniform` (B,).

    Min-p (Nguyen et al. 2024) is applied before the temperature, other than in transformers: a high temperature then
    evens out what the model thinks possible and lets in nothing else.
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    logits = logits.float()
    if sampling.min_p:
        least = logits.amax(-1, keepdim=True) + math.log(sampling.min_p)
        logits = logits.masked_fill(logits < least, -torch.inf)
    cumulative = torch.softmax(logits / sampling.temperature, -1).double().cumsum(-1)  # (B, V)
    thresholds = uniform.double().unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, thresholds, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


@torch.no_grad()
def decode_steps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seeds: Sequence[int],
    *,
    eos_ids: frozenset[int],
    pad_id: int,
    one_adapter: bool = False,
) -> Iterator[list[int | None]]:
    """Yield, a step at a time, the new token of each row, None once the row has ended.

    Rows end at an end token or at their length; the loop ends with the last row. Which adapters the rows go through
    is the caller's to set around the loop; where it is one for all, rows with the same prompt have it read once, and
    ended rows leave the batch.
    """
    device = model.device
    rows = [tuple(prompt) for prompt in prompts]
    different = list(dict.fromkeys(rows)) if one_adapter else rows
    ids, mask = left_padded(different, pad_id, device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    uniforms = _uniforms(seeds, sampling.max_new_tokens, device)
    cache = DynamicCache()
    in_batch = list(range(len(prompts)))  # whose row each row of the batch is, once the prompts are read
    open_rows = set(in_batch)
    for step in range(sampling.max_new_tokens):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1]
        if step == 0 and len(different) < len(rows):  # prompts are read, and their rows go apart from here
            number = {prompt: i for i, prompt in enumerate(different)}
            own = torch.tensor([number[prompt] for prompt in rows], device=device)
            cache.batch_select_indices(own)
            logits, mask, positions = logits[own], mask[own], positions[own]
        drawn = _draw(logits, sampling, uniforms[in_batch, step])
        tokens: list[int | None] = [None] * len(prompts)
        for row, token in zip(in_batch, drawn.tolist(), strict=True):
            if row in open_rows:
                tokens[row] = token
        yield tokens
        open_rows -= {row for row in open_rows if tokens[row] in eos_ids}
        if not open_rows:
            return
        ids = drawn.unsqueeze(-1)
        mask = torch.cat([mask, mask.new_ones(len(in_batch), 1)], dim=-1)
        positions = positions[:, -1:] + 1
        if one_adapter and len(open_rows) <= 0.75 * len(in_batch):
            kept = torch.tensor([i for i, row in enumerate(in_batch) if row in open_rows], device=device)
            cache.batch_select_indices(kept)
            ids, mask, positions = ids[kept], mask[kept], positions[kept]
            in_batch = [row for row in in_batch if row in open_rows]


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
    pad = tokenizer.pad_token_id
    with merged(model):
        for tokens in decode_steps(model, prompts, sampling, seeds, eos_ids=ends, pad_id=pad, one_adapter=True):
            for row, token in zip(written, tokens, strict=True):
                if token is not None:
                    row.append(token)
    return [Generated(row, "stop" if row[-1] in ends else "length") for row in written]

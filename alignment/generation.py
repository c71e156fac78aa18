"""The decode loop: one batch of prompts, a step at a time, with a key-value cache."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import DynamicCache

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 0.7  # 0 = the likeliest token every time
    max_new_tokens: int = 96


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


def _draw(logits: torch.Tensor, temperature: float, uniform: torch.Tensor) -> torch.Tensor:
    """Return one token id a row (B,) by inverting the distribution function at `uniform` (B,)."""
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = torch.softmax(logits.float() / temperature, -1).double().cumsum(-1)  # (B, V)
    thresholds = uniform.double().unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, thresholds, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


@torch.no_grad()
def decode_steps(
    model: Any,
    prompts: Sequence[Sequence[int]],
    sampling: Sequence[Sampling] | Sampling,
    seeds: Sequence[int],
    *,
    eos_ids: frozenset[int],
    pad_id: int,
) -> Iterator[list[int | None]]:
    """Yield, a step at a time, the new token of each row, None once the row has ended.

    Rows end at an end token or at their length; the loop ends with the last row. Which adapters the rows go through
    is the caller's to set around the loop.
    """
    plans = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
    steps = max(plan.max_new_tokens for plan in plans)
    temperatures = {plan.temperature for plan in plans}
    assert len(temperatures) == 1, "rows of one batch share a temperature"
    temperature = temperatures.pop()
    device = model.device
    ids, mask = left_padded(prompts, pad_id, device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    uniforms = _uniforms(seeds, steps, device)
    cache = DynamicCache()
    open_rows = [True] * len(prompts)
    for step in range(steps):
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        drawn = _draw(output.logits[:, -1], temperature, uniforms[:, step])
        tokens = drawn.tolist()
        yield [token if is_open else None for token, is_open in zip(tokens, open_rows, strict=True)]
        open_rows = [
            is_open and token not in eos_ids and step + 1 < plan.max_new_tokens
            for token, is_open, plan in zip(tokens, open_rows, plans, strict=True)
        ]
        if not any(open_rows):
            return
        ids = drawn.unsqueeze(-1)
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], dim=-1)
        positions = positions[:, -1:] + 1


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
    on_step: Callable[[], None] | None = None,
) -> list[Generated]:
    """Return one finished completion a prompt, through whatever adapter is active."""
    ends = eos_ids(model, tokenizer)
    written: list[list[int]] = [[] for _ in prompts]
    for tokens in decode_steps(model, prompts, sampling, seeds, eos_ids=ends, pad_id=tokenizer.pad_token_id):
        for row, token in zip(written, tokens, strict=True):
            if token is not None:
                row.append(token)
        if on_step:
            on_step()
    return [Generated(row, "stop" if row[-1] in ends else "length") for row in written]

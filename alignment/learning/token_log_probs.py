"""Log-probabilities, entropies and distributions of a rollout's tokens, in passes of rows of like length."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from alignment.learning.rollout import Rollout, distinct
from alignment.models.adapters import activate
from alignment.models.generation import OnStep
from alignment.models.heads import hidden_states
from alignment.models.passes import in_groups

LOGITS_AT_ONCE = 2**24  # numbers in a block of logits: 64 MiB in fp32
LOGITS_HELD = 2**27  # numbers of an anchor's logits, which wait for the policy's: 512 MiB in fp32


def predicting_states(model: PeftModel, batch: Rollout) -> Tensor:
    """Return the hidden states that predict each completion token (B, T, H), through the active adapter."""
    return hidden_states(model, batch.ids, batch.attention)[:, batch.prompt_width - 1 : -1]


def parts(model: PeftModel, rollout: Rollout, index: Tensor) -> list[Rollout]:
    """Return some rows for passes with gradients: a few of like length at a time."""
    return [rollout.rows(some) for some in _passes(model, rollout, index.sort().values)]


def _passes(model: PeftModel, rollout: Rollout, index: Tensor) -> list[Tensor]:
    """Return rows, in the order given, in groups for one pass each."""
    prompts, completions = (
        mask[index].sum(-1).long().tolist() for mask in (rollout.attention[:, : rollout.prompt_width], rollout.mask)
    )
    groups = in_groups(model, list(zip(prompts, completions, strict=True)))
    return [index[group] for group in groups]


def completion_log_probs(model: PeftModel, batch: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, entropies) of the completion tokens (B, T) through the active adapter, 0 off the mask.

    Entropies take no gradient.
    """

    def measure(every: Tensor, tokens: Tensor) -> Sequence[Tensor]:
        with torch.no_grad():
            entropy = -(every.exp() * every).sum(-1)
        return _taken(every, tokens), entropy

    log_probs, entropy = _of_tokens(model, batch, temperature, measure)
    return log_probs, entropy


def anchored_log_probs(model: PeftModel, batch: Rollout, temperature: float, anchor: Tensor) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, KL from `anchor`, in nats) of the completion tokens (B, T), 0 off the mask.

    `anchor` is what `distributions` says through another adapter. This is the whole KL at each token, not an estimate
    from the one that was taken, and its gradient speaks of every token that might have been.
    """

    def measure(every: Tensor, tokens: Tensor, anchor: Tensor) -> Sequence[Tensor]:
        return _taken(every, tokens), nn.functional.kl_div(every, anchor, reduction="none", log_target=True).sum(-1)

    log_probs, kl = _of_tokens(model, batch, temperature, measure, anchor)
    return log_probs, kl


@torch.no_grad()
def distributions(model: PeftModel, batch: Rollout, temperature: float) -> Tensor:
    """Return the log-probabilities of all tokens at each of the N completion tokens (N, V), row by row, through the
    active adapter. `rows_to_hold` says for how many rows at once there is room.
    """
    hidden = predicting_states(model, batch)[batch.mask.bool()]
    causal_lm = _causal_lm(model)
    blocks = hidden.split(max(1, LOGITS_AT_ONCE // causal_lm.config.vocab_size))
    return torch.cat([(causal_lm.lm_head(block).float() / temperature).log_softmax(-1) for block in blocks])


def rows_to_hold(model: PeftModel, rollout: Rollout) -> int:
    """Return how many rows' `distributions` may be held at once: `LOGITS_HELD` numbers, but at least two rows."""
    return max(2, LOGITS_HELD // (rollout.mask.shape[1] * int(_causal_lm(model).config.vocab_size)))


def _of_tokens(
    model: PeftModel, batch: Rollout, temperature: float, measure: Callable[..., Sequence[Tensor]], *given: Tensor
) -> list[Tensor]:
    """Return what `measure` makes of (all log-probabilities (n, V), tokens (n,), given (n, …)), each (B, T).

    Logits are taken only where the mask is 1, at the given temperature, and in blocks of
    `LOGITS_AT_ONCE`: where there are several, the backward pass computes each again instead of holding them all.
    """
    keep = batch.mask.bool()
    hidden = predicting_states(model, batch)[keep]  # (N, H)
    tokens = batch.ids[:, batch.prompt_width :][keep]  # (N,)
    causal_lm = _causal_lm(model)

    def of_block(hidden: Tensor, tokens: Tensor, *given: Tensor) -> Sequence[Tensor]:
        return measure((causal_lm.lm_head(hidden).float() / temperature).log_softmax(-1), tokens, *given)

    size = max(1, LOGITS_AT_ONCE // causal_lm.config.vocab_size)
    blocks = list(zip(*(one.split(size) for one in (hidden, tokens, *given)), strict=True))
    if len(blocks) > 1 and torch.is_grad_enabled():
        measured = [checkpoint(of_block, *block, use_reentrant=False, preserve_rng_state=False) for block in blocks]
    else:
        measured = [of_block(*block) for block in blocks]
    zeros = torch.zeros_like(batch.mask)
    return [zeros.masked_scatter(keep, torch.cat(parts)) for parts in zip(*measured, strict=True)]


def _causal_lm(model: PeftModel) -> Any:
    return model.get_base_model()


def _taken(every: Tensor, tokens: Tensor) -> Tensor:
    return every.gather(-1, tokens[:, None]).squeeze(-1)


def in_passes(model: PeftModel, rollout: Rollout) -> tuple[list[Tensor], Tensor]:
    """Return (rows of like length in groups for one pass each, no text twice; which of these, counted through all
    groups, each row repeats (B,)). `joined` takes both.
    """
    first, same = distinct(rollout)
    order = rollout.attention[first].sum(-1).argsort(stable=True)
    return _passes(model, rollout, first[order]), order.argsort()[same]


def joined(measured: Sequence[Tensor], width: int, same: Tensor) -> Tensor:
    """Return what was measured of the tokens in each of the passes as one tensor (B, width), for all rows."""
    padded = [nn.functional.pad(part, (0, width - part.shape[1])) for part in measured]
    return torch.cat(padded).index_select(0, same)


@torch.no_grad()
def in_chunks(
    model: PeftModel,
    rollout: Rollout,
    measure: Callable[[Rollout], Sequence[Tensor]],
    on_step: OnStep | None = None,
) -> list[Tensor]:
    """Return what `measure` says of the tokens of every row, each (B, T), from passes of a few different rows."""
    groups, same = in_passes(model, rollout)
    measured = []
    for index in groups:
        measured.append(measure(rollout.rows(index)))
        if on_step:
            on_step()
    return [joined(parts, rollout.mask.shape[1], same) for parts in zip(*measured, strict=True)]


def against_reference(model: PeftModel, rollout: Rollout, temperature: float, on_step: OnStep | None = None) -> Rollout:
    """Return the rollout with log-probabilities and entropies of the policy and its log-ratio to the SFT adapter."""

    def measure(chunk: Rollout) -> tuple[Tensor, Tensor]:
        return completion_log_probs(model, chunk, temperature)

    # Two passes, not one of mixed rows: the results are the same to the bit, and mixing takes 1.2 to 1.4 times as long.
    activate(model, "policy")
    log_probs, entropy = in_chunks(model, rollout, measure, on_step)
    activate(model, "sft")
    reference, _ = in_chunks(model, rollout, measure, on_step)
    return replace(rollout, log_probs=log_probs, entropy=entropy, log_ratio=log_probs - reference)

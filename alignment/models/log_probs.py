"""Log-probabilities, entropies and distributions of completion tokens, in passes of rows of like length."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from alignment.models import workers
from alignment.models.architecture import logits, vocabulary_size
from alignment.models.drawing import drawn_and_entropy
from alignment.models.heads import hidden_states
from alignment.models.passes import in_groups
from alignment.models.samples import S, Samples, distinct

LOGITS_AT_ONCE = 2**24  # numbers in a block of logits: 64 MiB in fp32
LOGITS_HELD = 2**27  # numbers of an anchor's logits, which wait for the policy's: 512 MiB in fp32


def predicting_states(model: PeftModel, samples: Samples) -> Tensor:
    """Return the hidden states that predict each completion token (B, T, H), through the active adapter."""
    return hidden_states(model, samples.ids, samples.attention)[:, samples.prompt_width - 1 : -1]


def split_for_passes(model: PeftModel, samples: S, index: Tensor) -> list[S]:
    """Return some rows in parts for a pass each: shortest first, few enough for memory."""
    index = index.sort().values
    index = index[samples.attention[index].sum(-1).argsort(stable=True).to(index.device)]
    return [samples.rows(some) for some in _groups(model, samples, index)]


def _groups(model: PeftModel, samples: Samples, index: Tensor) -> list[Tensor]:
    """Return rows, in the order given, in groups for one pass each."""
    prompts, completions = (
        mask[index].sum(-1).long().tolist() for mask in (samples.attention[:, : samples.prompt_width], samples.mask)
    )
    groups = in_groups(model, list(zip(prompts, completions, strict=True)))
    return [index[group] for group in groups]


def completion_log_probs(model: PeftModel, samples: Samples, temperature: float) -> Tensor:
    """Return the log-probabilities of the completion tokens (B, T) through the active adapter, 0 off the mask."""
    (log_probs,) = _of_tokens(model, samples, temperature, lambda logits, tokens: [_of_drawn(logits, tokens)])
    return log_probs


@torch.no_grad()
def log_probs_and_entropy(model: PeftModel, samples: Samples, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, entropies in nats) at the completion tokens (B, T), as `completion_log_probs` does."""
    log_probs, entropy = _of_tokens(model, samples, temperature, drawn_and_entropy)
    return log_probs, entropy


@torch.no_grad()
def token_log_probs(model: Any, hidden: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probabilities (N,) of tokens (N,), each predicted by a hidden state of (N, H)."""
    size = _tokens_at_once(model)
    blocks = zip(hidden.split(size), tokens.split(size), strict=True)
    return torch.cat([_of_drawn(_scaled_logits(model, states, 1.0), drawn) for states, drawn in blocks])


def anchored_log_probs(model: PeftModel, samples: Samples, temperature: float, anchor: Tensor) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, KL(anchor ‖ active adapter) in nats) of the completion tokens (B, T), 0 off the mask.

    `anchor` is what `distributions` returns through another adapter. The KL is summed over the whole vocabulary at each
    token, not estimated from the sampled one, so that its gradient reaches every token that might have been written.
    """

    def measure(logits: Tensor, tokens: Tensor, anchor: Tensor) -> Sequence[Tensor]:
        log_probs = logits.log_softmax(-1)
        kl = nn.functional.kl_div(log_probs, anchor, reduction="none", log_target=True).sum(-1)
        return log_probs.gather(-1, tokens[:, None]).squeeze(-1), kl

    log_probs, kl = _of_tokens(model, samples, temperature, measure, anchor)
    return log_probs, kl


@torch.no_grad()
def distributions(model: PeftModel, samples: Samples, temperature: float) -> Tensor:
    """Return the log-probabilities of all tokens at each of the N completion tokens (N, V), row by row, through the
    active adapter. `rows_to_hold` says for how many rows at once there is room.
    """
    hidden = predicting_states(model, samples)[samples.mask.bool()]
    blocks = hidden.split(_tokens_at_once(model))
    return torch.cat([_scaled_logits(model, block, temperature).log_softmax(-1) for block in blocks])


def rows_to_hold(model: PeftModel, width: int) -> int:
    """Return for how many completions of `width` tokens `distributions` may be held at once, at least two.

    Together they have at most `LOGITS_HELD` numbers.
    """
    return max(2, LOGITS_HELD // (width * vocabulary_size(model)))


def _of_tokens(
    model: PeftModel, samples: Samples, temperature: float, measure: Callable[..., Sequence[Tensor]], *given: Tensor
) -> list[Tensor]:
    """Return what `measure` makes of (logits (n, V), tokens (n,), given (n, …)), each (B, T).

    Logits are taken only where the mask is 1, at the given temperature, and in blocks of
    `LOGITS_AT_ONCE`: where there are several, the backward pass computes each again instead of holding them all.
    """
    keep = samples.mask.bool()
    hidden = predicting_states(model, samples)[keep]  # (N, H)
    tokens = samples.ids[:, samples.prompt_width :][keep]  # (N,)

    def of_block(hidden: Tensor, tokens: Tensor, *given: Tensor) -> Sequence[Tensor]:
        return measure(_scaled_logits(model, hidden, temperature), tokens, *given)

    size = _tokens_at_once(model)
    blocks = list(zip(*(one.split(size) for one in (hidden, tokens, *given)), strict=True))
    if len(blocks) > 1 and torch.is_grad_enabled():
        measured = [checkpoint(of_block, *block, use_reentrant=False, preserve_rng_state=False) for block in blocks]
    else:
        measured = [of_block(*block) for block in blocks]
    zeros = torch.zeros_like(samples.mask)
    return [zeros.masked_scatter(keep, torch.cat(parts)) for parts in zip(*measured, strict=True)]


def _scaled_logits(model: Any, hidden: Tensor, temperature: float) -> Tensor:
    """Return the logits of the whole vocabulary (N, V) after hidden states (N, H), at a temperature."""
    scores = logits(model, hidden).float()
    return scores if temperature == 1 else scores / temperature


def _tokens_at_once(model: Any) -> int:
    return max(1, LOGITS_AT_ONCE // vocabulary_size(model))


def _of_drawn(logits: Tensor, tokens: Tensor) -> Tensor:
    """Return the log-probabilities of the tokens (N,) by logits (N, V)."""
    return -nn.functional.cross_entropy(logits, tokens, reduction="none")


def distinct_passes(model: PeftModel, samples: S) -> tuple[list[S], Tensor]:
    """Return (the different texts, shortest first, in parts for a pass each; `same` (B,)).

    Row i of the samples is row `same[i]`, counted through all parts. `joined` takes both.
    """
    first, same = distinct(samples)
    order = samples.attention[first].sum(-1).argsort(stable=True)
    return [samples.rows(index) for index in _groups(model, samples, first[order])], order.argsort()[same]


def joined(measured: Sequence[Tensor], width: int, same: Tensor) -> Tensor:
    """Return what was measured of the tokens in each of the passes as one tensor (B, width), for all rows."""
    padded = [nn.functional.pad(part, (0, width - part.shape[1])) for part in measured]
    return torch.cat(padded).index_select(0, same)


@torch.no_grad()
def measure_tokens(model: PeftModel, samples: S, measure: Callable[[S], Sequence[Tensor]]) -> list[Tensor]:
    """Return what `measure` says of the tokens of every row, each (B, T), from passes of a few different rows.

    Where several processes train, each makes some of the passes.
    """
    parts, same = distinct_passes(model, samples)
    told = workers.divided(parts, lambda some: [[one.cpu() for one in measure(part)] for part in some])
    measured = [[one.to(samples.ids.device) for one in of_part] for of_part in told]
    return [joined(of_parts, samples.mask.shape[1], same) for of_parts in zip(*measured, strict=True)]

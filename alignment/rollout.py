"""Completions of the policy with what policy, reference and reward model say of them: the data of PPO and RAFT."""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from alignment import ppo_math
from alignment.backbone import activate, hidden_states, rows_at_once
from alignment.errors import TrainingError
from alignment.generation import Generated, Sampling, generate, left_padded
from alignment.prompts import chat_prompt_ids, completion_ids
from alignment.scorer import Scorer
from alignment.settings import PPOConfig, RaftConfig

log = logging.getLogger(__name__)

ROWS = 32  # of like length in one pass on a CPU, at most
TOKENS_A_ROW = 48  # about what a prompt and its answer have here: where they are longer, fewer rows go through at once
MAX_PROMPT_TOKENS = 256  # of a rollout
DOUBT = 0.05  # spread among reward heads, of a score in nats of odds, below which they are taken to agree
LOGITS_AT_ONCE = 2**24  # numbers in a block of logits: 64 MiB in fp32
LOGITS_HELD = 2**27  # numbers of an anchor's logits, which wait for the policy's: 512 MiB in fp32
OnUpdate = Callable[[int, dict[str, float]], None]  # number of the update, what was measured
OnStep = Callable[[], None]  # called at every decoded token and every minibatch: a sign of life


@dataclass(frozen=True)
class Rollout:
    """One batch of completions with everything that the losses need; P prompt and T completion columns.

    Rows are in the order of their length, so that neighbours need little padding.
    """

    ids: Tensor  # (B, P+T), prompts padded on the left, completions on the right
    attention: Tensor  # (B, P+T)
    prompt_width: int  # P
    prompt_index: Tensor  # (B,), which of the prompts asked it answers
    mask: Tensor  # (B, T), 1 for completion tokens, the end token among them
    ended: Tensor  # (B,), whether the completion ended by itself
    log_probs: Tensor  # (B, T), of the policy that wrote it
    entropy: Tensor  # (B, T), of the policy at each token, in nats
    log_ratio: Tensor  # (B, T), policy against reference
    scores: Tensor  # (B,), of the reward model
    deviations: Tensor  # (B,), by which its heads disagree
    values: Tensor  # (B, T)
    advantages: Tensor  # (B, T)
    returns: Tensor  # (B, T)

    def rows(self, index: Tensor) -> "Rollout":
        """Return the rollout of some rows, without the columns that are padding in all of them."""
        attention = self.attention[index]
        first = int(attention.any(0).nonzero()[0])
        width = int(self.mask[index].sum(-1).max())
        last = self.prompt_width + width
        return Rollout(
            ids=self.ids[index, first:last],
            attention=attention[:, first:last],
            prompt_width=self.prompt_width - first,
            prompt_index=self.prompt_index[index],
            mask=self.mask[index, :width],
            ended=self.ended[index],
            log_probs=self.log_probs[index, :width],
            entropy=self.entropy[index, :width],
            log_ratio=self.log_ratio[index, :width],
            scores=self.scores[index],
            deviations=self.deviations[index],
            values=self.values[index, :width],
            advantages=self.advantages[index, :width],
            returns=self.returns[index, :width],
        )


@dataclass(frozen=True)
class Outcome:
    """How training ended: what a last rollout, after all updates, measured, and why it stopped early, if it did."""

    measured: dict[str, float]
    stopped: str | None


def short_enough(tokenizer: Any, prompts: Sequence[str]) -> list[str]:
    """Return the prompts that rollouts can be drawn for, or raise TrainingError; the log counts those left out.

    A rollout is as wide as its longest prompt: one of a thousand tokens among four hundred rows takes gigabytes.
    """
    kept = [prompt for prompt in prompts if len(chat_prompt_ids(tokenizer, prompt)) <= MAX_PROMPT_TOKENS]
    too_long = f"{len(prompts) - len(kept)} of {len(prompts)} prompts are longer than {MAX_PROMPT_TOKENS} tokens"
    if not kept:
        raise TrainingError(f"there is nothing to train on: {too_long}; vote on answers to shorter ones")
    if len(kept) < len(prompts):
        log.warning("%s and not answered in training", too_long)
    return kept


def predicting_states(model: PeftModel, batch: Rollout) -> Tensor:
    """Return the hidden states that predict each completion token (B, T, H), through the active adapter."""
    return hidden_states(model, batch.ids, batch.attention)[:, batch.prompt_width - 1 : -1]


def parts(model: PeftModel, rollout: Rollout, index: Tensor) -> list[Rollout]:
    """Return some rows for passes with gradients: a few of like length at a time."""
    return [rollout.rows(some) for some in _passes(model, rollout, index.sort().values)]


def _passes(model: PeftModel, rollout: Rollout, index: Tensor) -> list[Tensor]:
    """Return rows, in the order of their length, in groups for one pass each: what a pass holds grows with its tokens.

    A group has at most `ROWS` rows (more on CUDA, if the model is small) and, padding included, `TOKENS_A_ROW` tokens
    for each of these, but at least one row.
    """
    most = rows_at_once(model, ROWS)
    groups: list[list[int]] = []
    prompt = completion = 0  # the longest of the group: the widths of its pass
    prompts, completions = (
        mask[index].sum(-1).long().tolist() for mask in (rollout.attention[:, : rollout.prompt_width], rollout.mask)
    )
    for row, own_prompt, own_completion in zip(index.tolist(), prompts, completions, strict=True):
        prompt, completion = max(prompt, own_prompt), max(completion, own_completion)
        rows = len(groups[-1]) + 1 if groups else 0
        if not groups or rows > most or rows * (prompt + completion) > most * TOKENS_A_ROW:
            groups.append([])
            prompt, completion = own_prompt, own_completion
        groups[-1].append(row)
    return [index.new_tensor(group) for group in groups]


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


@torch.no_grad()
def sample_rollout(
    model: PeftModel,
    tokenizer: Any,
    score: Scorer,
    prompts: Sequence[str],
    sampling: Sampling,
    seeds: Sequence[int],
    on_step: OnStep | None = None,
    adapter: str = "policy",
) -> Rollout:
    """Return completions sampled from an adapter, one a prompt, with their scores; the rest is still zero."""
    prompt_rows = [chat_prompt_ids(tokenizer, prompt) for prompt in prompts]
    activate(model, adapter)
    written = generate(model, tokenizer, prompt_rows, sampling, seeds, on_step)
    order = sorted(range(len(written)), key=lambda i: len(prompt_rows[i]) + len(written[i].token_ids))
    pairs = [(prompt_rows[i], written[i]) for i in order]
    rollout = _unscored(pairs, tokenizer.pad_token_id, model.device)
    first, same = _distinct(rollout)
    sequences = [pairs[row][0] + pairs[row][1].token_ids for row in first.tolist()]
    size = rows_at_once(model, ROWS)
    parts = [score(sequences[start : start + size]) for start in range(0, len(sequences), size)]
    scores, deviations = (torch.cat(part).to(model.device)[same] for part in zip(*parts, strict=True))
    index = torch.tensor(order, device=model.device)
    return replace(rollout, prompt_index=index, scores=scores, deviations=deviations)


def _distinct(rollout: Rollout) -> tuple[Tensor, Tensor]:
    """Return (the first row of each different text (D,), which of these each row repeats (B,)).

    A policy that is sure of itself says the same again where it is asked several times: half of the samples of RAFT.
    """
    rows = torch.cat([rollout.ids, rollout.attention], -1).tolist()
    numbers: dict[tuple[int, ...], int] = {}
    same = [numbers.setdefault(tuple(row), len(numbers)) for row in rows]
    first = [same.index(number) for number in range(len(numbers))]
    return torch.tensor(first, device=rollout.ids.device), torch.tensor(same, device=rollout.ids.device)


def as_rollout(texts: Sequence[tuple[str, str]], tokenizer: Any, device: torch.device) -> Rollout:
    """Return prompts with completions that nobody samples as a rollout, of which only tokens and mask are filled."""
    pairs = [
        (chat_prompt_ids(tokenizer, prompt), Generated(completion_ids(tokenizer, completion), "stop"))
        for prompt, completion in texts
    ]
    return _unscored(
        sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1].token_ids)), tokenizer.pad_token_id, device
    )


def _unscored(pairs: Sequence[tuple[list[int], Generated]], pad_id: int, device: torch.device) -> Rollout:
    """Return completions as padded tensors, with zeros for all that is still to be measured."""
    prompt_ids, prompt_mask = left_padded([prompt for prompt, _ in pairs], pad_id, device)
    lengths = torch.tensor([len(row.token_ids) for _, row in pairs], device=device)
    width = int(lengths.max())
    mask = ppo_math.completion_mask(lengths, width)
    completions = [row.token_ids + [pad_id] * (width - len(row.token_ids)) for _, row in pairs]
    zeros, zero_rows = torch.zeros_like(mask), torch.zeros(len(pairs), device=device)
    return Rollout(
        ids=torch.cat([prompt_ids, torch.tensor(completions, device=device)], -1),
        attention=torch.cat([prompt_mask, mask.long()], -1),
        prompt_width=prompt_ids.shape[1],
        prompt_index=zero_rows.long(),
        mask=mask,
        ended=torch.tensor([row.finish_reason == "stop" for _, row in pairs], device=device),
        log_probs=zeros,
        entropy=zeros,
        log_ratio=zeros,
        scores=zero_rows,
        deviations=zero_rows,
        values=zeros,
        advantages=zeros,
        returns=zeros,
    )


@torch.no_grad()
def in_chunks(model: PeftModel, rollout: Rollout, measure: Callable[[Rollout], Sequence[Tensor]]) -> list[Tensor]:
    """Return what `measure` says of the tokens of every row, each (B, T), from passes of a few different rows."""
    first, same = _distinct(rollout)
    parts = []
    for index in _passes(model, rollout, first):
        measured = measure(rollout.rows(index))
        parts.append([nn.functional.pad(x, (0, rollout.mask.shape[1] - x.shape[1])) for x in measured])
    return [torch.cat(part)[same] for part in zip(*parts, strict=True)]


def against_reference(model: PeftModel, rollout: Rollout, temperature: float) -> Rollout:
    """Return the rollout with log-probabilities and entropies of the policy and its log-ratio to the SFT adapter."""
    # Two passes, not one of mixed rows: the results are the same to the bit, and mixing takes 1.2 to 1.4 times as long.
    activate(model, "policy")
    log_probs, entropy = in_chunks(model, rollout, lambda chunk: completion_log_probs(model, chunk, temperature))
    activate(model, "sft")
    reference, _ = in_chunks(model, rollout, lambda chunk: completion_log_probs(model, chunk, temperature))
    return replace(rollout, log_probs=log_probs, entropy=entropy, log_ratio=log_probs - reference)


def penalized_scores(rollout: Rollout, config: PPOConfig | RaftConfig) -> Tensor:
    """Return the scores (B,), less the penalties for what the heads disagree about and for completions without an end.

    The first is after Coste et al. 2023 (uncertainty-weighted ensembles), the second after Stiennon et al. 2020.
    """
    doubt = config.uncertainty_penalty * rollout.deviations
    return rollout.scores - doubt - config.no_end_penalty * (~rollout.ended).float()


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what a rollout says of the policy: means of the scores, of their deviations among the reward heads, of
    the KL to the reference in nats a completion, of the entropy in nats a token, of the length, of those that ended.

    KL and entropy are estimates for the policy only where the rollout is drawn from it; where RAFT explores, they are
    those of what it drew.
    """
    return {
        "objective/score": rollout.scores.mean().item(),
        "objective/disagreement": rollout.deviations.mean().item(),
        "objective/kl": (rollout.log_ratio * rollout.mask).sum(-1).mean().item(),
        "objective/entropy": ppo_math.masked_mean(rollout.entropy, rollout.mask).item(),
        "objective/length": rollout.mask.sum(-1).mean().item(),
        "objective/ended": rollout.ended.float().mean().item(),
    }


def sampled_metrics(
    model: PeftModel,
    tokenizer: Any,
    prompts: Sequence[str],
    sampling: Sampling,
    count: int,
    seed: int,
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """Return KL, entropy, length and ends, as `rollout_metrics` does, of new completions to `count` of the prompts."""
    rng = random.Random(seed)
    asked = rng.choices(prompts, k=count)
    seeds = [rng.randrange(2**31) for _ in asked]

    def unscored(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(len(sequences), device=model.device)
        return zeros, zeros

    rollout = sample_rollout(model, tokenizer, unscored, asked, sampling, seeds, on_step)
    measured = rollout_metrics(against_reference(model, rollout, sampling.temperature))
    activate(model, "policy")
    judged = ("objective/score", "objective/disagreement")
    return {name: value for name, value in measured.items() if name not in judged}


def why_stop(measured: dict[str, float], first: dict[str, float], config: PPOConfig | RaftConfig) -> str | None:
    """Return why training should go no further, or None; what has no natural unit is held against the first rollout."""
    doubt = max(DOUBT, first["objective/disagreement"])
    bounds = [
        ("kl", config.max_kl, 1, "KL to SFT, nats a completion"),
        ("entropy", config.min_entropy * first["objective/entropy"], -1, "entropy, nats a token"),
        ("entropy", config.max_entropy * first["objective/entropy"], 1, "entropy, nats a token"),
        ("length", config.min_length * first["objective/length"], -1, "length, tokens"),
        ("disagreement", config.max_disagreement * doubt, 1, "spread among reward heads"),
    ]
    for name, bound, sign, words in bounds:
        value = measured[f"objective/{name}"]
        if sign * value > sign * bound:
            return f"{words}: {value:.3g}, {'at most' if sign > 0 else 'at least'} {bound:.3g} is allowed"
    return None

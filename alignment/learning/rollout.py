"""Completions of the policy with what policy, reference and reward model say of them: the data of PPO and RAFT."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.errors import TrainingError
from alignment.learning import ppo_math
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models.adapters import activate
from alignment.models.generation import Generated, OnStep, Sampling, generate, left_padded
from alignment.models.templates import chat_prompt_ids, completion_ids
from alignment.reward.scorer import Scorer

log = logging.getLogger(__name__)

MAX_PROMPT_TOKENS = 256  # of a rollout
OnUpdate = Callable[[int, dict[str, float]], None]  # number of the update, what was measured


@dataclass(frozen=True)
class Rollout:
    """One batch of completions with everything that the losses need; P prompt and T completion columns.

    As sampled, rows are in the order of their length, so that neighbours need little padding.
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
    first, same = distinct(rollout)
    sequences = [pairs[row][0] + pairs[row][1].token_ids for row in first.tolist()]
    scores, deviations = (of_first.to(model.device)[same] for of_first in score(sequences))
    index = torch.tensor(order, device=model.device)
    return replace(rollout, prompt_index=index, scores=scores, deviations=deviations)


def distinct(rollout: Rollout) -> tuple[Tensor, Tensor]:
    """Return (the first row of each different text (D,), which of these each row repeats (B,)).

    A policy that is sure of itself says the same again where it is asked several times: half of the samples of RAFT.
    """
    rows = torch.cat([rollout.ids, rollout.attention], -1).tolist()
    numbers: dict[tuple[int, ...], int] = {}
    first, same = [], []
    for row, text in enumerate(map(tuple, rows)):
        if text not in numbers:
            numbers[text] = len(numbers)
            first.append(row)
        same.append(numbers[text])
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


def penalized_scores(rollout: Rollout, config: PPOConfig | RaftConfig) -> Tensor:
    """Return the scores (B,), less the penalty for completions without an end (Stiennon et al. 2020)."""
    return rollout.scores - config.no_end_penalty * (~rollout.ended).float()

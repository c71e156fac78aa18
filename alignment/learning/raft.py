"""RAFT, reward-ranked fine-tuning (Dong et al. 2023, algorithm 1): the policy imitates the best of its own completions.

Stages of a round: sample several completions a prompt, rank them by score less KL penalty, keep the best and the worst
of each prompt, fine-tune, report. Samples are drawn at a high temperature among the tokens that the policy thinks
likely (min-p: Nguyen et al. 2024), so that they differ in manner more often than in what they say. The loss is the
likelihood of the best ones and, beyond RAFT, the contrast to the worst ones, as DPO has it, against the policy of the
round (iterative reasoning preference optimization: Pang et al. 2024, equation 1). What best and worst have in common,
their facts for the most part, then stays as it is. What is in neither of them is held by the KL from the policy that
training began with, at every token (as Li and Hoiem 2016 distil against forgetting; Zeng et al. 2024 have a KL in this
direction inside DPO's sigmoid).
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.errors import require_finite
from alignment.learning.checkpoint import LoopState
from alignment.learning.loss_terms import Term, draw_preferred, preferred_term, step
from alignment.learning.rollout import OnUpdate, Outcome, Rollout, penalized_scores, sample_rollout
from alignment.learning.rollout_metrics import rollout_metrics, why_stop
from alignment.learning.settings import RaftConfig
from alignment.learning.token_log_probs import (
    against_reference,
    anchored_log_probs,
    completion_log_probs,
    distributions,
    in_passes,
    joined,
    rows_to_hold,
)
from alignment.models.adapters import activate, adapter_parameters, copy_adapter, take_weights
from alignment.models.generation import OnStep, Sampling
from alignment.models.passes import ROWS, rows_at_once
from alignment.reward.bradley_terry import pair_loss
from alignment.reward.scorer import Scorer

log = logging.getLogger(__name__)
ANCHOR = "anchor"  # adapter that holds the policy as it was in the beginning
# The samples of a round, their prompts and a source of chance -> better completions (N), then the worse ones of the
# same prompts in the same order (N), with scores: a rollout of 2N rows; None where no completion is better.
Pairs = Callable[[Rollout, Sequence[str], random.Random], Rollout | None]


def best_of_each(scores: Tensor, groups: Tensor) -> Tensor:
    """Return the row with the highest score of each group, ordered by group; scores and groups are (B,)."""
    best: dict[int, int] = {}
    for row, (score, group) in enumerate(zip(scores.tolist(), groups.tolist(), strict=True)):
        if group not in best or score > scores[best[group]]:
            best[group] = row
    return groups.new_tensor([best[group] for group in sorted(best)])


def ranked_ends(rollout: Rollout, config: RaftConfig) -> Rollout:
    """Return the best completion of each prompt, then, in the same order, the worst of each: rows (2N).

    They are ranked by what PPO would maximise, which replaces their scores: score, less penalties for KL and no end.
    """
    kl = (rollout.log_ratio * rollout.mask).sum(-1)  # (B,)
    worth = penalized_scores(rollout, config) - config.kl_coefficient * kl
    prompts = rollout.prompt_index // config.samples
    ends = torch.cat([best_of_each(worth, prompts), best_of_each(-worth, prompts)])
    return replace(rollout, scores=worth).rows(ends)


def contrast_loss(log_ratio: Tensor, scores: Tensor, beta: float) -> Tensor:
    """Return the mean loss of DPO (Rafailov et al. 2023, equation 7) over N pairs, a scalar.

    Both are (2N,), the better ones of the pairs first; `log_ratio` is that of whole completions against the policy that
    wrote them. The labels are as sure as the scores are apart.
    """
    best, worst = (beta * log_ratio).chunk(2)
    better, worse = scores.chunk(2)
    return pair_loss(best, worst, (better - worse).sigmoid()).mean()


def learning_rate(config: RaftConfig, number: int, step: int) -> float:
    """Return the rate of an optimizer step, counted from 1 over all rounds, in a round: it rises, then falls evenly."""
    fallen = (1 - config.last_rate) * (number - 1) / max(1, config.rounds - 1)
    return config.learning_rate * min(1.0, step / config.warmup_steps) * (1 - fallen)


def imitate(
    model: PeftModel,
    ends: Rollout,
    optimizer: torch.optim.Optimizer,
    config: RaftConfig,
    rng: torch.Generator,
    on_step: OnStep | None = None,
    mixed_in: Rollout | None = None,
    number: int = 1,
) -> dict[str, float]:
    """Take the epochs of steps on the pairs of a round (`Pairs`) and return the mean of their metrics.

    As many rows of preferred texts are mixed into each step as it has pairs.
    """
    weight, count_of_pairs, rows = config.contrast_coefficient, len(ends.ids) // 2, rows_at_once(model, ROWS)
    if config.anchor_coefficient:
        rows = min(rows, rows_to_hold(model, ends))

    sums: dict[str, list[float]] = {}
    activate(model, "policy", train=True)
    steps_an_epoch = min(config.minibatches, count_of_pairs)
    steps = count((number - 1) * config.epochs * config.minibatches + 1)
    for _ in range(config.epochs):
        for minibatch in torch.randperm(count_of_pairs, generator=rng).tensor_split(steps_an_epoch):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, number, next(steps))
            groups = minibatch.split(rows // 2 if weight else rows)
            taken = [torch.cat([some, some + count_of_pairs]) if weight else some for some in groups]
            terms = [_pairs_term(model, [ends.rows(index) for index in taken], config)]
            if mixed_in is not None:
                terms.append(preferred_term(model, mixed_in, minibatch, config.preferred_coefficient))
            for name, value in step(terms, optimizer, config.max_gradient_norm, on_step).items():
                sums.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in sums.items()}


def _pairs_term(model: PeftModel, parts: Sequence[Rollout], config: RaftConfig) -> Term:
    """Return the loss of a minibatch: the mean of -log p over the tokens of the best completions, of the contrast over
    the pairs and of the drift over all tokens, each weighted. Without contrast, the parts hold the best ones alone.
    """
    weight = config.contrast_coefficient

    def better(part: Rollout) -> Tensor:
        return part.mask.chunk(2)[0] if weight else part.mask

    pairs = sum(len(better(part)) for part in parts)
    best = sum(float(better(part).sum()) for part in parts)
    tokens = sum(float(part.mask.sum()) for part in parts)

    def loss_of(part: Rollout) -> tuple[Tensor, dict[str, float]]:
        log_probs, drift = _log_probs_and_drift(model, part, config)
        mask = better(part)
        loss = imitation = -(log_probs[: len(mask)] * mask).sum() / best
        metrics = {"policy/loss": imitation.item()}
        if weight:
            log_ratio = ((log_probs - part.log_probs) * part.mask).sum(-1)
            contrast = contrast_loss(log_ratio, part.scores, config.contrast_beta) * len(mask) / pairs
            loss = loss + weight * contrast
            metrics["policy/contrast"] = contrast.item()
        if drift is not None:
            drift = (drift * part.mask).sum() / tokens
            loss = loss + config.anchor_coefficient * drift
            metrics["policy/drift"] = drift.item()
        return loss, metrics

    return Term(parts, loss_of)


@contextmanager
def _anchor(model: PeftModel, config: RaftConfig) -> Iterator[None]:
    """Keep the policy as it is now as the adapter "anchor" until the context is left, if it is to hold anything."""
    try:
        if config.anchor_coefficient:
            copy_adapter(model, "policy", ANCHOR)
        yield
    finally:
        activate(model, "policy")  # an active adapter cannot be dropped
        if ANCHOR in model.peft_config:
            model.delete_adapter(ANCHOR)


def _log_probs_and_drift(model: PeftModel, part: Rollout, config: RaftConfig) -> tuple[Tensor, Tensor | None]:
    """Return (log-probabilities of the policy, its KL from the adapter "anchor" or None without one), both (B, T).

    Best and worst of a prompt are often the same text, and texts differ in length: passes of different texts of like
    length spare most of the padding.
    """
    groups, same = in_passes(model, part)
    rows, width = [part.rows(index) for index in groups], part.mask.shape[1]
    if not config.anchor_coefficient:
        alone = [completion_log_probs(model, some, config.temperature)[0] for some in rows]
        return joined(alone, width, same), None
    activate(model, ANCHOR)
    anchors = [distributions(model, some, config.temperature) for some in rows]
    activate(model, "policy", train=True)
    measured = [
        anchored_log_probs(model, some, config.temperature, anchor) for some, anchor in zip(rows, anchors, strict=True)
    ]
    log_probs, kl = (joined(of_passes, width, same) for of_passes in zip(*measured, strict=True))
    return log_probs, kl


def train_raft(
    model: PeftModel,
    tokenizer: Any,
    score: Scorer,
    prompts: Sequence[str],
    config: RaftConfig,
    seed: int,
    on_update: OnUpdate,
    on_step: OnStep | None = None,
    checkpoint: Path | None = None,
    preferred: Sequence[tuple[str, str]] = (),
    *,
    pairs: Pairs | None = None,
    measures_end: bool = True,
) -> Outcome:
    """Train the adapter "policy" in place on its own best completions, with "sft" as reference.

    It ends as the mean of the weights after each of the last `averaged_rounds` (Izmailov et al. 2018): single rounds
    swing between too cautious and too bold. Where training stops early, it stays as it is.

    `pairs` says which completions of a round are learned from, the best and the worst of each prompt unless given.
    `preferred` are (prompt, completion) that labelers liked best, mixed into the loss by `preferred_coefficient`. The
    file `checkpoint`, if given, is replaced after every round; where it exists already, training goes on from it.
    Without `measures_end` there is no last rollout and nothing measured: what trains on begins with one anyway. Raises
    TrainingError when a number that is measured on the way is not finite.
    """
    mix = config.preferred_coefficient
    policy = adapter_parameters(model, "policy")
    mean = [weight.detach().clone() for weight in policy]
    optimizer = torch.optim.Adam(policy, lr=config.learning_rate, eps=1e-5)
    state = LoopState([*policy, *mean], (optimizer,), random.Random(seed), torch.Generator().manual_seed(seed))
    exploring = Sampling(config.sampling_temperature, config.max_new_tokens, config.min_p)
    measuring = Sampling(config.temperature, config.max_new_tokens)
    with _anchor(model, config):  # of the policy as it is before a checkpoint is taken up
        state.restore(checkpoint)
        while True:
            update = state.updates + 1
            if update > config.rounds:
                take_weights(policy, mean)
                if not measures_end:
                    return Outcome({}, None)
            batch = [prompt for prompt in state.order.choices(prompts, k=config.prompts) for _ in range(config.samples)]
            seeds = [state.order.randrange(2**31) for _ in batch]

            def draw(sampling: Sampling, batch: list[str] = batch, seeds: list[int] = seeds) -> Rollout:
                written = sample_rollout(model, tokenizer, score, batch, sampling, seeds, on_step)
                return against_reference(model, written, config.temperature, on_step)

            over = update > config.rounds
            rollout = draw(measuring if over else exploring)
            measured = rollout_metrics(rollout)
            require_finite("RAFT", update, measured)
            if update == 1:
                state.numbers |= measured
            stopped = None if over else why_stop(measured, state.numbers, config)
            if stopped:  # what is reported of a policy is measured on what it says by itself
                measured = rollout_metrics(draw(measuring))
            if stopped or over:
                on_update(update, measured)
                break
            ends = pairs(rollout, batch, state.order) if pairs else ranked_ends(rollout, config)
            losses: dict[str, float] = {}
            if ends is None:
                log.warning("RAFT, round %s: no completion is better than another of its prompt", update)
            else:
                better = len(ends.ids) // 2
                mixed_in = draw_preferred(state, preferred, better, mix, tokenizer, model)
                losses = imitate(model, ends, optimizer, config, state.shuffle, on_step, mixed_in, update)
                if not pairs:
                    losses["objective/best_worth"] = ends.scores[:better].mean().item()
            require_finite("RAFT", update, losses)
            on_update(update, measured | losses)
            _average(mean, policy, update - max(0, config.rounds - config.averaged_rounds))
            state.updates = update
            state.save(checkpoint)
    if stopped:
        log.warning("RAFT stopped early, before round %s: %s", update, stopped)
    return Outcome(measured, stopped)


@torch.no_grad()
def _average(mean: Sequence[Tensor], weights: Sequence[Tensor], number: int) -> None:
    """Take the weights into the mean of those before as number `number`; below 1 they do not count yet."""
    if number >= 1:
        for one, weight in zip(mean, weights, strict=True):
            one.lerp_(weight, 1 / number)

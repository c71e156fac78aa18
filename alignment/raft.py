"""RAFT, reward-ranked fine-tuning (Dong et al. 2023, algorithm 1): the policy imitates the best of its own completions.

Stages of a round: sample several completions a prompt, rank them by score less KL penalty, keep the best of each
prompt, fine-tune on them, report. With one round it is the distillation of best-of-N.
"""

import logging
import random
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.backbone import activate, adapter_parameters
from alignment.best_of_n import best_of_each
from alignment.checkpoint import LoopState
from alignment.errors import require_finite
from alignment.ppo import Term, draw_preferred, likelihood_loss, preferred_term, step
from alignment.rollout import (
    OnStep,
    OnUpdate,
    Outcome,
    Rollout,
    against_reference,
    parts,
    penalized_scores,
    rollout_metrics,
    sample_rollout,
    why_stop,
)
from alignment.scorer import Scorer
from alignment.settings import RaftConfig

log = logging.getLogger(__name__)


def best_rows(rollout: Rollout, config: RaftConfig) -> Rollout:
    """Return the best completion of each prompt by what PPO would maximise: score, less penalties for KL and no end."""
    kl = (rollout.log_ratio * rollout.mask).sum(-1)  # (B,)
    worth = penalized_scores(rollout, config) - config.kl_coefficient * kl
    return rollout.rows(best_of_each(worth, rollout.prompt_index // config.samples).sort().values)


def learning_rate(config: RaftConfig, number: int, step: int) -> float:
    """Return the rate of an optimizer step, counted from 1 over all rounds, in a round: it rises, then falls evenly."""
    fallen = (1 - config.last_rate) * (number - 1) / max(1, config.rounds - 1)
    return config.learning_rate * min(1.0, step / config.warmup_steps) * (1 - fallen)


def imitate(
    model: PeftModel,
    best: Rollout,
    optimizer: torch.optim.Optimizer,
    config: RaftConfig,
    rng: torch.Generator,
    on_step: OnStep | None = None,
    mixed_in: Rollout | None = None,
    number: int = 1,
) -> dict[str, float]:
    """Take the epochs of likelihood steps on the best completions of a round and return the mean of their metrics.

    As many rows of preferred texts are mixed into each step as it has of the best completions.
    """

    def loss_of(part: Rollout) -> tuple[Tensor, dict[str, float]]:
        loss = likelihood_loss(model, part, config.temperature)
        return loss, {"policy/loss": loss.item()}

    sums: dict[str, list[float]] = {}
    activate(model, "policy", train=True)
    steps = count((number - 1) * config.epochs * config.minibatches + 1)
    for _ in range(config.epochs):
        for minibatch in torch.randperm(len(best.ids), generator=rng).split(config.prompts // config.minibatches):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, number, next(steps))
            terms = [Term(parts(model, best, minibatch), loss_of)]
            if mixed_in is not None:
                terms.append(preferred_term(model, mixed_in, minibatch, config.preferred_coefficient))
            for name, value in step(terms, optimizer, config.max_gradient_norm).items():
                sums.setdefault(name, []).append(value)
            if on_step:
                on_step()
    return {name: sum(values) / len(values) for name, values in sums.items()}


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
) -> Outcome:
    """Train the adapter "policy" in place on its own best completions, with "sft" as reference.

    `preferred` are (prompt, completion) that labelers liked best, mixed into the loss by `preferred_coefficient`. The
    file `checkpoint`, if given, is replaced after every round; where it exists already, training goes on from it.
    Raises TrainingError when a number that is measured on the way is not finite.
    """
    mix = config.preferred_coefficient
    policy = adapter_parameters(model, "policy")
    optimizer = torch.optim.Adam(policy, lr=config.learning_rate, eps=1e-5)
    state = LoopState(policy, (optimizer,), random.Random(seed), torch.Generator().manual_seed(seed))
    state.restore(checkpoint)
    while True:
        update = state.updates + 1
        batch = [prompt for prompt in state.order.choices(prompts, k=config.prompts) for _ in range(config.samples)]
        seeds = [state.order.randrange(2**31) for _ in batch]
        rollout = sample_rollout(model, tokenizer, score, batch, config, seeds, on_step)
        rollout = against_reference(model, rollout, config.temperature)
        measured = rollout_metrics(rollout)
        require_finite("RAFT", update, measured)
        if update == 1:
            state.numbers |= measured
        stopped = None if update > config.rounds else why_stop(measured, state.numbers, config)
        if stopped or update > config.rounds:
            on_update(update, measured)
            break
        best = best_rows(rollout, config)
        mixed_in = draw_preferred(state, preferred, config.prompts, mix, tokenizer, model)
        losses = imitate(model, best, optimizer, config, state.shuffle, on_step, mixed_in, update)
        losses["objective/best_score"] = best.scores.mean().item()
        require_finite("RAFT", update, losses)
        on_update(update, measured | losses)
        state.updates = update
        state.save(checkpoint)
    activate(model, "policy")
    if stopped:
        log.warning("RAFT stopped early, before round %s: %s", update, stopped)
    return Outcome(measured, stopped)

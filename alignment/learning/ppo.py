"""PPO with a per-token KL penalty to the SFT adapter: actor, critic, reward and reference on one base.

Stages of an update: roll out, score, penalise KL, estimate advantages, optimise in minibatches, report. The details
follow Ziegler et al. 2019, Stiennon et al. 2020 and Huang et al. 2024.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.errors import require_finite
from alignment.learning import ppo_math
from alignment.learning.checkpoint import LoopState
from alignment.learning.loss_terms import draw_preferred, mean_over_tokens, preferred_term, step
from alignment.learning.rollout import OnUpdate, Outcome, Rollout, penalized_scores, sample_rollout
from alignment.learning.rollout_metrics import rollout_metrics, why_stop
from alignment.learning.settings import PPOConfig
from alignment.learning.token_log_probs import (
    against_reference,
    completion_log_probs,
    in_chunks,
    parts,
    predicting_states,
)
from alignment.models.adapters import activate, adapter_parameters
from alignment.models.generation import OnStep, Sampling
from alignment.reward.scorer import Scorer

log = logging.getLogger(__name__)


def completion_values(model: PeftModel, head: nn.Linear, batch: Rollout) -> Tensor:
    """Return the value before each completion token (B, T) through the active adapter, 0 off the mask."""
    values: Tensor = head(predicting_states(model, batch).float()).squeeze(-1)
    return values * batch.mask


def collect_rollout(
    model: PeftModel,
    tokenizer: Any,
    score: Scorer,
    value_head: nn.Linear,
    prompts: Sequence[str],
    config: PPOConfig,
    seeds: Sequence[int],
    on_step: OnStep | None = None,
) -> Rollout:
    """Return completions sampled from the policy, with what policy, reference, critic and reward model say of them."""
    rollout = sample_rollout(model, tokenizer, score, prompts, _sampling(config), seeds, on_step)
    rollout = against_reference(model, rollout, config.temperature, on_step)
    activate(model, "value")
    (values,) = in_chunks(model, rollout, lambda chunk: [completion_values(model, value_head, chunk)], on_step)
    return replace(rollout, values=values)


def shape_rewards(rollout: Rollout, config: PPOConfig, numbers: dict[str, float]) -> Rollout:
    """Return the rollout with whitened advantages and returns, out of scores and the penalties on them.

    `numbers` holds the KL coefficient and the scale of the scores as they stand.
    """
    scaled = (rollout.scores - numbers["score_mean"]) / numbers["score_deviation"]
    scores = penalized_scores(replace(rollout, scores=scaled), config)
    if config.samples > 1:
        scores = ppo_math.against_others(scores, rollout.prompt_index // config.samples)
    rewards = ppo_math.shape_rewards(scores, rollout.log_ratio, rollout.mask, numbers["kl_coefficient"])
    advantages, returns = ppo_math.gae(rewards, rollout.values, rollout.mask, config.gamma, config.lam)
    return replace(rollout, advantages=ppo_math.masked_whiten(advantages, rollout.mask), returns=returns)


def update_policy(
    model: PeftModel,
    value_head: nn.Linear,
    rollout: Rollout,
    optimizers: tuple[torch.optim.Optimizer, ...],
    config: PPOConfig,
    rng: torch.Generator,
    on_step: OnStep | None = None,
    *,
    mixed_in: Rollout | None = None,
    critic_only: bool = False,
) -> dict[str, float]:
    """Take the epochs of clipped policy and value steps on one rollout and return the mean of their metrics.

    As many rows of preferred texts are mixed into each of the policy's steps as it has of the rollout.
    """
    policy_epochs = 0 if critic_only else config.epochs
    sums: dict[str, list[float]] = {}
    for epoch in range(max(policy_epochs, config.value_epochs)):
        order = torch.randperm(len(rollout.ids), generator=rng)
        for minibatch in order.split(config.minibatch_size):
            rows = parts(model, rollout, minibatch)
            metrics: dict[str, float] = {}
            if epoch < policy_epochs:
                activate(model, "policy", train=True)
                terms = [mean_over_tokens(rows, lambda part: _policy_loss(model, part, config))]
                if mixed_in is not None:
                    terms.append(preferred_term(model, mixed_in, minibatch, config.preferred_coefficient))
                metrics |= step(terms, optimizers[0], config.max_gradient_norm, on_step)
            if epoch < config.value_epochs:
                activate(model, "value", train=True)
                critic = mean_over_tokens(rows, lambda part: _value_loss(model, value_head, part, config))
                metrics |= step([critic], optimizers[1], config.max_gradient_norm, on_step)
            for name, value in metrics.items():
                sums.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in sums.items()}


def _policy_loss(model: PeftModel, part: Rollout, config: PPOConfig) -> tuple[Tensor, dict[str, float]]:
    log_probs, entropy = completion_log_probs(model, part, config.temperature)
    loss, approx_kl, clip_fraction = ppo_math.policy_loss(
        log_probs, part.log_probs, part.advantages, part.mask, config.clip_range
    )
    return loss, {
        "policy/loss": loss.item(),
        "policy/approx_kl": approx_kl.item(),
        "policy/clip_fraction": clip_fraction.item(),
        "policy/entropy": ppo_math.masked_mean(entropy, part.mask).item(),
    }


def _value_loss(model: PeftModel, head: nn.Linear, part: Rollout, config: PPOConfig) -> tuple[Tensor, dict[str, float]]:
    values = completion_values(model, head, part)
    loss = ppo_math.value_loss(values, part.values, part.returns, part.mask, config.value_clip_range)
    return loss, {"value/loss": loss.item()}


def _beginning(model: PeftModel, value_head: nn.Linear, config: PPOConfig, seed: int) -> LoopState:
    policy = adapter_parameters(model, "policy")
    critic = [*adapter_parameters(model, "value"), *value_head.parameters()]
    optimizers = (
        torch.optim.Adam(policy, lr=config.learning_rate, eps=1e-5),
        torch.optim.Adam(critic, lr=config.value_learning_rate, eps=1e-5),
    )
    state = LoopState([*policy, *critic], optimizers, random.Random(seed), torch.Generator().manual_seed(seed))
    state.numbers = {"kl_coefficient": config.kl_coefficient, "score_mean": 0.0, "score_deviation": 1.0}
    return state


def _sampling(config: PPOConfig) -> Sampling:
    """Return how rollouts are drawn: from the very distribution that the log-probabilities are of."""
    return Sampling(config.temperature, config.max_new_tokens)


def _draw(state: LoopState, prompts: Sequence[str], config: PPOConfig) -> tuple[list[str], list[int]]:
    """Return the next prompts, each as often as it is answered, and the seeds of their completions."""
    drawn = [state.order.choice(prompts) for _ in range(config.rollouts // config.samples)]
    batch = [prompt for prompt in drawn for _ in range(config.samples)]
    return batch, [state.order.randrange(2**31) for _ in batch]


def train_ppo(
    model: PeftModel,
    tokenizer: Any,
    score: Scorer,
    value_head: nn.Linear,
    prompts: Sequence[str],
    config: PPOConfig,
    seed: int,
    on_update: OnUpdate,
    on_step: OnStep | None = None,
    checkpoint: Path | None = None,
    preferred: Sequence[tuple[str, str]] = (),
) -> Outcome:
    """Train the adapter "policy" in place against the scores, with "value" as critic and "sft" as reference.

    `preferred` are (prompt, completion) that labelers liked best, mixed into the loss by `preferred_coefficient`. The
    file `checkpoint`, if given, is replaced after every update; where it exists already, training goes on from it.
    Raises TrainingError when a number that is measured on the way is not finite.
    """
    mix = config.preferred_coefficient
    state = _beginning(model, value_head, config, seed)
    state.restore(checkpoint)
    value_head.requires_grad_(True)
    if config.normalize_scores and state.updates == 0:
        asked = _draw(state, prompts, config)
        written = sample_rollout(model, tokenizer, score, asked[0], _sampling(config), asked[1], on_step, "sft")
        state.numbers["score_mean"] = written.scores.mean().item()
        state.numbers["score_deviation"] = written.scores.std(correction=0).item() or 1.0  # all alike: nothing to scale
    while True:
        update = state.updates + 1
        batch, seeds = _draw(state, prompts, config)
        rollout = collect_rollout(model, tokenizer, score, value_head, batch, config, seeds, on_step)
        measured = rollout_metrics(rollout)
        require_finite("PPO", update, measured)
        if update == 1:
            state.numbers |= measured
        stopped = None if update > config.updates else why_stop(measured, state.numbers, config)
        if stopped or update > config.updates:
            on_update(update, measured)
            break
        trained = update - config.critic_warmup  # updates of the policy, this one among them
        for group in state.optimizers[0].param_groups:
            group["lr"] = config.learning_rate * min(1.0, max(0, trained) / max(1, config.warmup_updates))
        losses = update_policy(
            model,
            value_head,
            shape_rewards(rollout, config, state.numbers),
            state.optimizers,
            config,
            state.shuffle,
            on_step,
            mixed_in=draw_preferred(state, preferred, config.rollouts, mix, tokenizer, model),
            critic_only=trained <= 0,
        )
        losses["objective/kl_coefficient"] = state.numbers["kl_coefficient"]
        require_finite("PPO", update, losses)
        if config.kl_target:
            state.numbers["kl_coefficient"] = ppo_math.adapted_kl_coefficient(
                state.numbers["kl_coefficient"], measured["objective/kl"], config.kl_target, config.kl_gain
            )
        on_update(update, measured | losses)
        state.updates = update
        state.save(checkpoint)
    value_head.requires_grad_(False)
    activate(model, "policy")
    if stopped:
        log.warning("PPO stopped early, before update %s: %s", update, stopped)
    return Outcome(measured, stopped)

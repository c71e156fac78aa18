"""PPO with a per-token KL penalty to the SFT adapter: actor, critic, reward and reference on one base.

Stages of an update: sample, score, log-probabilities and values, KL penalty, advantages, epochs of minibatches. The
details follow Ziegler et al. 2019, Stiennon et al. 2020 and Huang et al. 2024.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.learning import ppo_math
from alignment.learning.checkpoint import LoopState
from alignment.learning.loop import Algorithm, run_loop
from alignment.learning.loss_terms import (
    Loss,
    Term,
    draw_preferred,
    mean_of_each,
    mean_over_tokens,
    preferred_term,
    set_rate,
    step,
)
from alignment.learning.rollout import (
    Batch,
    OnUpdate,
    Outcome,
    Rollout,
    Task,
    judged,
    penalized_scores,
    policy_log_probs,
    sample,
    scored,
)
from alignment.learning.settings import PPOConfig, drawn_tokens
from alignment.models.adapters import adapter_parameters, using
from alignment.models.log_probs import completion_log_probs, measure_tokens, predicting_states, split_for_passes
from alignment.models.samples import Samples
from alignment.models.sampling import Sampling
from alignment.reward.scorer import Scorer
from storage.messages import Messages


@dataclass(frozen=True)
class ValuedRollout(Rollout):
    """A rollout with what the critic says of it."""

    values: Tensor  # (B, T), before each completion token


@dataclass(frozen=True)
class Experience(ValuedRollout):
    """A rollout with all that the losses need."""

    advantages: Tensor  # (B, T), whitened
    returns: Tensor  # (B, T)


def completion_values(model: PeftModel, head: nn.Linear, samples: Samples) -> Tensor:
    """Return the value before each completion token (B, T) through the active adapter, 0 off the mask."""
    values: Tensor = head(predicting_states(model, samples).float()).squeeze(-1)
    return values * samples.mask


def collect_rollout(
    model: PeftModel, tokenizer: Any, score: Scorer, value_head: nn.Linear, batch: Batch, config: PPOConfig
) -> ValuedRollout:
    """Return completions sampled from the policy, with what reward model, policy, reference and critic say of them."""
    samples = sample(model, tokenizer, batch, _sampling(config))
    # By a pass, not from decoding: where weights are bf16 the ratio of the first step would not be 1.
    by_policy = policy_log_probs(model, samples, config.temperature)
    rollout = judged(model, samples, score, by_policy, config.temperature)
    with using(model, "value"):
        (values,) = measure_tokens(model, rollout, lambda part: [completion_values(model, value_head, part)])
    return ValuedRollout(**vars(rollout), values=values)


def shape_rewards(rollout: ValuedRollout, config: PPOConfig, numbers: dict[str, float]) -> Experience:
    """Return the rollout with whitened advantages and returns, out of scores and the penalties on them.

    `numbers` holds the KL coefficient and the scale of the scores as they stand.
    """
    scaled = (rollout.scores - numbers["score_mean"]) / numbers["score_deviation"]
    scores = penalized_scores(scaled, rollout.ended, config)
    if config.samples > 1:
        scores = ppo_math.against_others(scores, rollout.prompt_index // config.samples)
    rewards = ppo_math.shape_rewards(scores, rollout.log_ratio, rollout.mask, numbers["kl_coefficient"])
    advantages, returns = ppo_math.gae(rewards, rollout.values, rollout.mask, config.gamma, config.lam)
    whitened = ppo_math.masked_whiten(advantages, rollout.mask)
    return Experience(**vars(rollout), advantages=whitened, returns=returns)


def update_policy(
    model: PeftModel,
    value_head: nn.Linear,
    experience: Experience,
    state: LoopState,
    config: PPOConfig,
    *,
    mixed_in: Samples | None = None,
    critic_only: bool = False,
) -> dict[str, float]:
    """Take the epochs of clipped policy and value steps on one rollout and return the mean of their metrics.

    `state` holds the optimizers, of policy and critic, and the generator of the minibatches' order.
    As many rows of preferred texts are mixed into each of the policy's steps as it has of the rollout.
    """
    policy_epochs = 0 if critic_only else config.epochs
    measured: list[dict[str, float]] = []
    policy_optimizer, critic_optimizer = state.optimizers
    for epoch in range(max(policy_epochs, config.value_epochs)):
        order = torch.randperm(len(experience), generator=state.shuffle)
        for minibatch in order.split(config.minibatch_size):
            parts = split_for_passes(model, experience, minibatch)
            if epoch < policy_epochs:
                terms: list[Term[Any]] = [mean_over_tokens(parts, lambda part: _policy_loss(model, part, config))]
                with using(model, "policy", train=True):
                    if mixed_in is not None:
                        terms.append(preferred_term(model, mixed_in, minibatch, config.preferred_coefficient))
                    measured.append(step(terms, policy_optimizer, config.max_gradient_norm))
            if epoch < config.value_epochs:
                critic = mean_over_tokens(parts, lambda part: _value_loss(model, value_head, part, config))
                with using(model, "value", train=True):
                    measured.append(step([critic], critic_optimizer, config.max_gradient_norm))
    return mean_of_each(measured)


def _policy_loss(model: PeftModel, part: Experience, config: PPOConfig) -> Loss:
    log_probs = completion_log_probs(model, part, config.temperature)
    loss, approx_kl, clip_fraction = ppo_math.policy_loss(
        log_probs, part.log_probs, part.advantages, part.mask, config.clip_range
    )
    return loss, {
        "policy/loss": loss.item(),
        "policy/approx_kl": approx_kl.item(),
        "policy/clip_fraction": clip_fraction.item(),
    }


def _value_loss(model: PeftModel, head: nn.Linear, part: Experience, config: PPOConfig) -> Loss:
    values = completion_values(model, head, part)
    loss = ppo_math.value_loss(values, part.values, part.returns, part.mask, config.value_clip_range)
    return loss, {"value/loss": loss.item()}


def _first_state(model: PeftModel, value_head: nn.Linear, config: PPOConfig, seed: int) -> LoopState:
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
    return Sampling(config.temperature, drawn_tokens(config))


def _draw(rng: random.Random, prompts: Sequence[Messages], config: PPOConfig) -> Batch:
    """Return the next prompts, each as often as it is completed, and the seeds of their completions."""
    drawn = [rng.choice(prompts) for _ in range(config.rollouts // config.samples)]
    batch = [prompt for prompt in drawn for _ in range(config.samples)]
    return Batch(batch, [rng.randrange(2**31) for _ in batch])


def _score_scale(model: PeftModel, tokenizer: Any, score: Scorer, batch: Batch, config: PPOConfig) -> dict[str, float]:
    """Return mean and deviation of the scores of the SFT adapter's completions, by which scores are scaled."""
    scores = scored(sample(model, tokenizer, batch, _sampling(config), "sft"), score)[0].scores
    deviation = scores.std(correction=0).item() or 1.0  # all alike: nothing to scale
    return {"score_mean": scores.mean().item(), "score_deviation": deviation}


def _steer_kl(state: LoopState, kl: float, config: PPOConfig) -> None:
    """Adapt the KL coefficient of the next update, if there is a target for the KL."""
    if config.kl_target:
        state.numbers["kl_coefficient"] = ppo_math.adapted_kl_coefficient(
            state.numbers["kl_coefficient"], kl, config.kl_target, config.kl_gain
        )


def train_ppo(
    model: PeftModel,
    tokenizer: Any,
    task: Task,
    value_head: nn.Linear,
    config: PPOConfig,
    on_update: OnUpdate,
    checkpoint: Path | None = None,
) -> Outcome:
    """Train the adapter "policy" in place against the scores, with "value" as critic and "sft" as reference.

    `checkpoint` and errors are those of `run_loop`.
    """
    state = _first_state(model, value_head, config, task.seed)

    def draw() -> Batch:
        return _draw(state.order, task.prompts, config)

    def begin() -> None:
        if config.normalize_scores:
            state.numbers |= _score_scale(model, tokenizer, task.score, draw(), config)

    def collect(batch: Batch) -> ValuedRollout:
        return collect_rollout(model, tokenizer, task.score, value_head, batch, config)

    def update(number: int, batch: Batch, rollout: ValuedRollout, measured: dict[str, float]) -> dict[str, float]:
        policy_updates = max(0, number - config.critic_warmup)  # this one among them
        set_rate(state.optimizers[0], config.learning_rate * min(1.0, policy_updates / max(1, config.warmup_updates)))
        experience = shape_rewards(rollout, config, state.numbers)
        mix = config.preferred_coefficient
        mixed_in = draw_preferred(state, task.preferred, config.rollouts, mix, tokenizer, model)
        only = policy_updates == 0
        losses = update_policy(model, value_head, experience, state, config, mixed_in=mixed_in, critic_only=only)
        losses["objective/kl_coefficient"] = state.numbers["kl_coefficient"]
        _steer_kl(state, measured["objective/kl"], config)
        return losses

    value_head.requires_grad_(True)
    try:
        algorithm = Algorithm("PPO", config.updates, draw, collect, update, begin)
        return run_loop(algorithm, state, config, on_update, checkpoint)
    finally:
        value_head.requires_grad_(False)

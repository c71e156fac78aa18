"""PPO with a per-token KL penalty to the SFT adapter: actor, critic, reward and reference on one base.

Stages of an update: roll out, score, penalise KL, estimate advantages, optimise in minibatches, report.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment import ppo_math
from alignment.backbone import activate, adapter_parameters, trunk
from alignment.generation import Sampling, generate, left_padded
from alignment.prompts import chat_prompt_ids
from alignment.reward_model import score_sequences
from alignment.settings import PPOConfig

OnUpdate = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Rollout:
    """One batch of completions with everything that the losses need; P prompt and T completion columns."""

    ids: Tensor  # (B, P+T), prompts padded on the left, completions on the right
    attention: Tensor  # (B, P+T)
    prompt_width: int
    mask: Tensor  # (B, T), 1 for completion tokens, the end token among them
    ended: Tensor  # (B,), whether the completion ended by itself
    log_probs: Tensor  # (B, T), of the policy that wrote it
    log_ratio: Tensor  # (B, T), policy against reference
    values: Tensor  # (B, T)
    scores: Tensor  # (B,), of the reward model

    def rows(self, index: Tensor) -> "Rollout":
        """Return the rollout of some rows."""
        return Rollout(
            self.ids[index],
            self.attention[index],
            self.prompt_width,
            self.mask[index],
            self.ended[index],
            self.log_probs[index],
            self.log_ratio[index],
            self.values[index],
            self.scores[index],
        )


def _hidden_states(model: PeftModel, ids: Tensor, attention: Tensor, prompt_width: int) -> Tensor:
    """Return the hidden states that predict each completion token (B, T, H), through the active adapter."""
    positions = (attention.cumsum(-1) - 1).clamp(min=0)
    output = trunk(model)(input_ids=ids, attention_mask=attention, position_ids=positions, use_cache=False)
    hidden: Tensor = output[0][:, prompt_width - 1 : -1]
    return hidden


def completion_log_probs(
    model: PeftModel, ids: Tensor, attention: Tensor, prompt_width: int, mask: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, entropies) of the completion tokens (B, T) through the active adapter, 0 off the mask.

    Logits are taken only where the mask is 1, at the temperature that the rollouts are drawn with.
    """
    hidden = _hidden_states(model, ids, attention, prompt_width)
    keep = mask.bool()
    logits = model.get_base_model().lm_head(hidden[keep]).float() / temperature  # (N, V)
    all_log_probs = logits.log_softmax(-1)
    tokens = ids[:, prompt_width:][keep]  # (N,)
    log_probs = torch.zeros_like(mask).masked_scatter(keep, all_log_probs.gather(-1, tokens[:, None]).squeeze(-1))
    with torch.no_grad():
        entropy = -(all_log_probs.exp() * all_log_probs).sum(-1)
    return log_probs, torch.zeros_like(mask).masked_scatter(keep, entropy)


def completion_values(model: PeftModel, head: nn.Linear, ids: Tensor, attention: Tensor, prompt_width: int) -> Tensor:
    """Return the value before each completion token (B, T) through the active adapter."""
    values: Tensor = head(_hidden_states(model, ids, attention, prompt_width).float()).squeeze(-1)
    return values


@torch.no_grad()
def collect_rollout(
    model: PeftModel,
    tokenizer: Any,
    reward_head: nn.Linear,
    value_head: nn.Linear,
    prompts: Sequence[str],
    config: PPOConfig,
    seeds: Sequence[int],
) -> Rollout:
    """Return completions sampled from the policy, with what policy, reference, critic and reward model say of them."""
    prompt_rows = [chat_prompt_ids(tokenizer, prompt) for prompt in prompts]
    activate(model, "policy")
    written = generate(model, tokenizer, prompt_rows, Sampling(config.temperature, config.max_new_tokens), seeds)
    prompt_ids, prompt_mask = left_padded(prompt_rows, tokenizer.pad_token_id, model.device)
    lengths = torch.tensor([len(w.token_ids) for w in written], device=model.device)
    width = int(lengths.max())
    mask = ppo_math.completion_mask(lengths, width)
    completion_ids = torch.tensor(
        [w.token_ids + [tokenizer.pad_token_id] * (width - len(w.token_ids)) for w in written], device=model.device
    )
    ids = torch.cat([prompt_ids, completion_ids], -1)
    attention = torch.cat([prompt_mask, mask.long()], -1)
    prompt_width = prompt_ids.shape[1]
    log_probs, _ = completion_log_probs(model, ids, attention, prompt_width, mask, config.temperature)
    activate(model, "sft")
    reference, _ = completion_log_probs(model, ids, attention, prompt_width, mask, config.temperature)
    activate(model, "value")
    values = completion_values(model, value_head, ids, attention, prompt_width) * mask
    activate(model, "reward")
    sequences = [row + w.token_ids for row, w in zip(prompt_rows, written, strict=True)]
    scores = score_sequences(model, reward_head, sequences, tokenizer.pad_token_id)
    ended = torch.tensor([w.finish_reason == "stop" for w in written], device=model.device)
    return Rollout(ids, attention, prompt_width, mask, ended, log_probs, log_probs - reference, values, scores)


def update_policy(
    model: PeftModel,
    value_head: nn.Linear,
    rollout: Rollout,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    config: PPOConfig,
    rng: torch.Generator,
) -> dict[str, float]:
    """Take the epochs of clipped policy and value steps on one rollout and return the mean of their metrics."""
    penalised = rollout.scores - config.no_end_penalty * (~rollout.ended).float()
    rewards = ppo_math.shape_rewards(penalised, rollout.log_ratio, rollout.mask, config.kl_coefficient)
    advantages, returns = ppo_math.gae(rewards, rollout.values, rollout.mask, config.gamma, config.lam)
    advantages = ppo_math.masked_whiten(advantages, rollout.mask)
    sums: dict[str, float] = {}
    for _ in range(config.epochs):
        order = torch.randperm(len(rollout.ids), generator=rng)
        for index in order.split(config.minibatch_size):
            part = rollout.rows(index)
            for name, value in (
                _policy_step(model, part, advantages[index], optimizers[0], config)
                | _value_step(model, value_head, part, returns[index], optimizers[1], config)
            ).items():
                sums[name] = sums.get(name, 0.0) + value / (config.epochs * config.minibatches)
    return sums


def _policy_step(
    model: PeftModel, part: Rollout, advantages: Tensor, optimizer: torch.optim.Optimizer, config: PPOConfig
) -> dict[str, float]:
    activate(model, "policy", train=True)
    log_probs, entropy = completion_log_probs(
        model, part.ids, part.attention, part.prompt_width, part.mask, config.temperature
    )
    loss, approx_kl, clip_fraction = ppo_math.policy_loss(
        log_probs, part.log_probs, advantages, part.mask, config.clip_range
    )
    _step(loss, optimizer, config)
    return {
        "policy/loss": loss.item(),
        "policy/approx_kl": approx_kl.item(),
        "policy/clip_fraction": clip_fraction.item(),
        "policy/entropy": ppo_math.masked_mean(entropy, part.mask).item(),
    }


def _value_step(
    model: PeftModel,
    head: nn.Linear,
    part: Rollout,
    returns: Tensor,
    optimizer: torch.optim.Optimizer,
    config: PPOConfig,
) -> dict[str, float]:
    activate(model, "value", train=True)
    values = completion_values(model, head, part.ids, part.attention, part.prompt_width)
    loss = ppo_math.value_loss(values, part.values, returns, part.mask, config.value_clip_range)
    _step(loss, optimizer, config)
    return {"value/loss": loss.item()}


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, config: PPOConfig) -> None:
    loss.backward()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(parameters, config.max_gradient_norm)
    optimizer.step()
    optimizer.zero_grad()


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what a rollout says of the policy: mean score, KL to the reference in nats a completion, length, ends."""
    return {
        "objective/score": rollout.scores.mean().item(),
        "objective/kl": (rollout.log_ratio * rollout.mask).sum(-1).mean().item(),
        "objective/length": rollout.mask.sum(-1).mean().item(),
        "objective/ended": rollout.ended.float().mean().item(),
    }


def train_ppo(
    model: PeftModel,
    tokenizer: Any,
    reward_head: nn.Linear,
    value_head: nn.Linear,
    prompts: Sequence[str],
    config: PPOConfig,
    seed: int,
    on_update: OnUpdate,
) -> None:
    """Train the adapter "policy" in place against "reward", with "value" as critic and "sft" as reference."""
    order, rng = random.Random(seed), torch.Generator().manual_seed(seed)
    value_head.requires_grad_(True)
    optimizers = (
        torch.optim.Adam(adapter_parameters(model, "policy"), lr=config.learning_rate, eps=1e-5),
        torch.optim.Adam(
            [*adapter_parameters(model, "value"), *value_head.parameters()], lr=config.value_learning_rate, eps=1e-5
        ),
    )
    for update in range(1, config.updates + 1):
        batch = [order.choice(prompts) for _ in range(config.rollouts)]
        seeds = [order.randrange(2**31) for _ in batch]
        rollout = collect_rollout(model, tokenizer, reward_head, value_head, batch, config, seeds)
        metrics = rollout_metrics(rollout)
        if metrics["objective/kl"] > config.max_kl:
            on_update(update, metrics)
            break
        on_update(update, metrics | update_policy(model, value_head, rollout, optimizers, config, rng))
    value_head.requires_grad_(False)
    activate(model, "policy")

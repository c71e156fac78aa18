"""PPO with a per-token KL penalty to the SFT adapter: actor, critic, reward and reference on one base.

Stages of an update: roll out, score, penalise KL, estimate advantages, optimise in minibatches, report.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment import ppo_math
from alignment.backbone import activate, adapter_parameters, hidden_states
from alignment.errors import require_finite
from alignment.generation import Generated, Sampling, generate, left_padded
from alignment.prompts import chat_prompt_ids
from alignment.reward_model import score_sequences
from alignment.settings import PPOConfig

FORWARD_ROWS = 32  # rows of like length in one pass without gradients
BACKWARD_ROWS = 32  # and with
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
    mask: Tensor  # (B, T), 1 for completion tokens, the end token among them
    ended: Tensor  # (B,), whether the completion ended by itself
    log_probs: Tensor  # (B, T), of the policy that wrote it
    log_ratio: Tensor  # (B, T), policy against reference
    values: Tensor  # (B, T)
    scores: Tensor  # (B,), of the reward model: the mean of its heads
    score_stds: Tensor  # (B,), their standard deviation
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
            mask=self.mask[index, :width],
            ended=self.ended[index],
            log_probs=self.log_probs[index, :width],
            log_ratio=self.log_ratio[index, :width],
            values=self.values[index, :width],
            scores=self.scores[index],
            score_stds=self.score_stds[index],
            advantages=self.advantages[index, :width],
            returns=self.returns[index, :width],
        )


def _predicting_states(model: PeftModel, batch: Rollout) -> Tensor:
    """Return the hidden states that predict each completion token (B, T, H), through the active adapter."""
    return hidden_states(model, batch.ids, batch.attention)[:, batch.prompt_width - 1 : -1]


def completion_log_probs(model: PeftModel, batch: Rollout, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (log-probabilities, entropies) of the completion tokens (B, T) through the active adapter, 0 off the mask.

    Logits are taken only where the mask is 1, at the temperature that the rollouts are drawn with.
    """
    keep = batch.mask.bool()
    hidden = _predicting_states(model, batch)[keep]  # (N, H)
    logits = model.get_base_model().lm_head(hidden).float() / temperature  # (N, V)
    every = logits.log_softmax(-1)
    tokens = batch.ids[:, batch.prompt_width :][keep]  # (N,)
    log_probs = torch.zeros_like(batch.mask).masked_scatter(keep, every.gather(-1, tokens[:, None]).squeeze(-1))
    with torch.no_grad():
        entropy = -(every.exp() * every).sum(-1)
    return log_probs, torch.zeros_like(batch.mask).masked_scatter(keep, entropy)


def completion_values(model: PeftModel, head: nn.Linear, batch: Rollout) -> Tensor:
    """Return the value before each completion token (B, T) through the active adapter, 0 off the mask."""
    values: Tensor = head(_predicting_states(model, batch).float()).squeeze(-1)
    return values * batch.mask


@torch.no_grad()
def collect_rollout(
    model: PeftModel,
    tokenizer: Any,
    reward_head: nn.Linear,
    value_head: nn.Linear,
    prompts: Sequence[str],
    config: PPOConfig,
    seeds: Sequence[int],
    on_step: OnStep | None = None,
) -> Rollout:
    """Return completions sampled from the policy, with what policy, reference, critic and reward model say of them."""
    prompt_rows = [chat_prompt_ids(tokenizer, prompt) for prompt in prompts]
    activate(model, "policy")
    sampling = Sampling(config.temperature, config.max_new_tokens)
    written = generate(model, tokenizer, prompt_rows, sampling, seeds, on_step)
    pairs = sorted(zip(prompt_rows, written, strict=True), key=lambda pair: len(pair[0]) + len(pair[1].token_ids))
    rollout = _unscored(pairs, tokenizer.pad_token_id, model.device)
    chunks = [rollout.rows(index) for index in torch.arange(len(pairs)).split(FORWARD_ROWS)]
    activate(model, "reward")
    sequences = [prompt + row.token_ids for prompt, row in pairs]
    for start in range(0, len(sequences), FORWARD_ROWS):
        part = slice(start, start + FORWARD_ROWS)
        scores, stds = score_sequences(model, reward_head, sequences[part], tokenizer.pad_token_id)
        rollout.scores[part], rollout.score_stds[part] = scores, stds

    def each_chunk(adapter: str, measure: Callable[[Rollout], Tensor]) -> Tensor:
        activate(model, adapter)
        result = torch.zeros_like(rollout.mask)
        for start, chunk in zip(range(0, len(pairs), FORWARD_ROWS), chunks, strict=True):
            measured = measure(chunk)
            result[start : start + len(measured), : measured.shape[1]] = measured
        return result

    log_probs = each_chunk("policy", lambda chunk: completion_log_probs(model, chunk, config.temperature)[0])
    reference = each_chunk("sft", lambda chunk: completion_log_probs(model, chunk, config.temperature)[0])
    values = each_chunk("value", lambda chunk: completion_values(model, value_head, chunk))
    return replace(rollout, log_probs=log_probs, log_ratio=log_probs - reference, values=values)


def _unscored(pairs: Sequence[tuple[list[int], Generated]], pad_id: int, device: torch.device) -> Rollout:
    """Return completions as padded tensors, with zeros for all that is still to be measured."""
    prompt_ids, prompt_mask = left_padded([prompt for prompt, _ in pairs], pad_id, device)
    lengths = torch.tensor([len(row.token_ids) for _, row in pairs], device=device)
    width = int(lengths.max())
    mask = ppo_math.completion_mask(lengths, width)
    completions = [row.token_ids + [pad_id] * (width - len(row.token_ids)) for _, row in pairs]
    zeros = torch.zeros_like(mask)
    return Rollout(
        ids=torch.cat([prompt_ids, torch.tensor(completions, device=device)], -1),
        attention=torch.cat([prompt_mask, mask.long()], -1),
        prompt_width=prompt_ids.shape[1],
        mask=mask,
        ended=torch.tensor([row.finish_reason == "stop" for _, row in pairs], device=device),
        log_probs=zeros,
        log_ratio=zeros,
        values=zeros,
        scores=torch.zeros(len(pairs), device=device),
        score_stds=torch.zeros(len(pairs), device=device),
        advantages=zeros,
        returns=zeros,
    )


def shape_rewards(rollout: Rollout, config: PPOConfig) -> Rollout:
    """Return the rollout with whitened advantages and returns, out of scores and the penalties on them.

    A score counts less the more the reward model's heads disagree about it (Coste et al. 2023).
    """
    penalised = rollout.scores - config.uncertainty_penalty * rollout.score_stds
    penalised = penalised - config.no_end_penalty * (~rollout.ended).float()
    rewards = ppo_math.shape_rewards(penalised, rollout.log_ratio, rollout.mask, config.kl_coefficient)
    advantages, returns = ppo_math.gae(rewards, rollout.values, rollout.mask, config.gamma, config.lam)
    return replace(rollout, advantages=ppo_math.masked_whiten(advantages, rollout.mask), returns=returns)


def update_policy(
    model: PeftModel,
    value_head: nn.Linear,
    rollout: Rollout,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    config: PPOConfig,
    rng: torch.Generator,
    on_step: OnStep | None = None,
    *,
    critic_only: bool = False,
) -> dict[str, float]:
    """Take the epochs of clipped policy and value steps on one rollout and return the mean of their metrics."""
    policy_epochs = 0 if critic_only else config.epochs
    sums: dict[str, list[float]] = {}
    for epoch in range(max(policy_epochs, config.value_epochs)):
        order = torch.randperm(len(rollout.ids), generator=rng)
        for minibatch in order.split(config.minibatch_size):
            parts = [rollout.rows(index) for index in minibatch.sort().values.split(BACKWARD_ROWS)]
            metrics: dict[str, float] = {}
            if epoch < policy_epochs:
                activate(model, "policy", train=True)
                metrics |= _step(parts, lambda part: _policy_loss(model, part, config), optimizers[0], config)
            if epoch < config.value_epochs:
                activate(model, "value", train=True)
                metrics |= _step(
                    parts, lambda part: _value_loss(model, value_head, part, config), optimizers[1], config
                )
            for name, value in metrics.items():
                sums.setdefault(name, []).append(value)
            if on_step:
                on_step()
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


def _step(
    parts: Sequence[Rollout],
    loss_of: Callable[[Rollout], tuple[Tensor, dict[str, float]]],
    optimizer: torch.optim.Optimizer,
    config: PPOConfig,
) -> dict[str, float]:
    """Take one optimizer step on a minibatch in parts of like length; each counts by its share of the tokens."""
    tokens = sum(float(part.mask.sum()) for part in parts)
    means: dict[str, float] = {}
    for part in parts:
        share = float(part.mask.sum()) / tokens
        loss, metrics = loss_of(part)
        (loss * share).backward()
        means = {name: means.get(name, 0.0) + share * value for name, value in metrics.items()}
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], config.max_gradient_norm)
    optimizer.step()
    optimizer.zero_grad()
    return means


def rollout_metrics(rollout: Rollout) -> dict[str, float]:
    """Return what a rollout says of the policy: means of score and its deviation, KL in nats, length and ends."""
    return {
        "objective/score": rollout.scores.mean().item(),
        "objective/score_std": rollout.score_stds.mean().item(),
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
    on_step: OnStep | None = None,
) -> dict[str, float]:
    """Train the adapter "policy" in place against "reward", with "value" as critic and "sft" as reference.

    Return what a last rollout, after all updates, says of the trained policy. Raises TrainingError when a number that
    is measured on the way is not finite.
    """
    order, rng = random.Random(seed), torch.Generator().manual_seed(seed)
    value_head.requires_grad_(True)
    optimizers = (
        torch.optim.Adam(adapter_parameters(model, "policy"), lr=config.learning_rate, eps=1e-5),
        torch.optim.Adam(
            [*adapter_parameters(model, "value"), *value_head.parameters()], lr=config.value_learning_rate, eps=1e-5
        ),
    )
    for update in range(1, config.updates + 2):
        batch = [order.choice(prompts) for _ in range(config.rollouts)]
        seeds = [order.randrange(2**31) for _ in batch]
        rollout = collect_rollout(model, tokenizer, reward_head, value_head, batch, config, seeds, on_step)
        measured = rollout_metrics(rollout)
        require_finite("PPO", update, measured)
        if update > config.updates or measured["objective/kl"] > config.max_kl:
            on_update(update, measured)
            break
        trained = update - config.critic_warmup  # updates of the policy, this one among them
        for group in optimizers[0].param_groups:
            group["lr"] = config.learning_rate * min(1.0, max(0, trained) / max(1, config.warmup_updates))
        losses = update_policy(
            model,
            value_head,
            shape_rewards(rollout, config),
            optimizers,
            config,
            rng,
            on_step,
            critic_only=trained <= 0,
        )
        require_finite("PPO", update, losses)
        on_update(update, measured | losses)
    value_head.requires_grad_(False)
    activate(model, "policy")
    return measured

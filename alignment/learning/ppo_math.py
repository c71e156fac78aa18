"""The arithmetic of PPO on tensors: no model, no device code. B completions, T tokens each, masks say what counts."""

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of x over the positions where mask is 1, a scalar."""
    return (x * mask).sum() / mask.sum().clamp(min=1)


def masked_whiten(x: Tensor, mask: Tensor) -> Tensor:
    """Return x shifted and scaled to mean 0 and variance 1 over the mask (B, T); Huang et al. 2024, detail 4.3."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean) ** 2, mask)
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


def shape_rewards(scores: Tensor, log_ratio: Tensor, mask: Tensor, kl_coefficient: float) -> Tensor:
    """Return per-token rewards (B, T): -β·log(π/π_ref) at each token, the score (B,) added at the last one.

    Ziegler et al. 2019, equation 2; `log_ratio` is log π - log π_ref of the sampled tokens (B, T).
    """
    rewards = -kl_coefficient * log_ratio * mask
    last = mask.sum(-1).long().clamp(min=1) - 1  # (B,)
    rewards[torch.arange(len(rewards), device=rewards.device), last] += scores
    return rewards


def against_others(scores: Tensor, groups: Tensor) -> Tensor:
    """Return each score less the mean of the others in its group, both (B,); one on its own stays as it is.

    The leave-one-out baseline (Kool et al. 2019; of PPO's scores: Ahmadian et al. 2024, equation 7): what makes one
    prompt worth more than another cancels, and nothing is added that depends on the completion itself.
    """
    _, group = groups.unique(return_inverse=True)
    zeros = torch.zeros(int(group.max()) + 1, device=scores.device)
    sums, counts = zeros.index_add(0, group, scores)[group], zeros.index_add(0, group, torch.ones_like(scores))[group]
    return scores - (sums - scores) / (counts - 1).clamp(min=1)


def adapted_kl_coefficient(coefficient: float, kl: float, target: float, gain: float) -> float:
    """Return the KL coefficient for the next update: larger while the KL is above its target, smaller below.

    The proportional controller of Ziegler et al. 2019, section 2.2: the relative error is clipped to ±0.2.
    """
    error = min(0.2, max(-0.2, kl / target - 1))
    return coefficient * (1 + gain * error)


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Return (advantages, returns), both (B, T), by generalised advantage estimation (Schulman et al. 2016, eq. 16).

    After the last token of a completion the value is 0: the episode has ended.
    """
    values = values * mask
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[:, 0])  # (B,)
    for t in reversed(range(rewards.shape[1])):
        following = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(running)
        delta = rewards[:, t] + gamma * following - values[:, t]
        running = (delta + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
    return advantages, (advantages + values) * mask


def policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, clip_range: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (loss, approx_kl, clip_fraction), scalars: the clipped surrogate (Schulman et al. 2017, equation 7).

    `approx_kl` estimates KL(old ‖ new) as the mean of (r - 1) - log r, which is never negative.
    """
    log_ratio = (log_probs - old_log_probs) * mask
    ratio = log_ratio.exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_range, 1 + clip_range)
    loss = masked_mean(torch.max(unclipped, clipped), mask)
    approx_kl = masked_mean(ratio - 1 - log_ratio, mask).detach()
    clip_fraction = masked_mean((clipped > unclipped).float(), mask).detach()
    return loss, approx_kl, clip_fraction


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip_range: float) -> Tensor:
    """Return half the clipped squared error of the value estimate, a scalar (Huang et al. 2024, detail 4.5)."""
    clipped = old_values + (values - old_values).clamp(-clip_range, clip_range)
    return 0.5 * masked_mean(torch.max((values - returns) ** 2, (clipped - returns) ** 2), mask)

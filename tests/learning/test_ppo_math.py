"""PPO's arithmetic against numbers worked by hand and against loops written independently in NumPy."""

import math

import numpy as np
import pytest
import torch

from alignment.errors import ConfigError
from alignment.learning import ppo_math
from alignment.learning.settings import PPOConfig
from alignment.models.samples import completion_mask


def test_masked_mean_ignores_padding() -> None:
    x, mask = torch.tensor([[1.0, 3.0, 100.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert ppo_math.masked_mean(x, mask).item() == 2.0


def test_masked_whitening_has_mean_zero_and_variance_one_over_the_mask() -> None:
    x = torch.tensor([[1.0, 2.0, 50.0], [3.0, 4.0, 5.0]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    kept = ppo_math.masked_whiten(x, mask)[mask.bool()]
    expected = (np.array([1, 2, 3, 4, 5]) - 3) / math.sqrt(2)
    np.testing.assert_allclose(kept.numpy(), expected, atol=1e-5)


def test_score_arrives_at_the_last_token_and_kl_at_every_token() -> None:
    log_ratio = torch.tensor([[0.1, 0.2, 9.0], [0.3, -0.1, 0.5]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    rewards = ppo_math.shape_rewards(torch.tensor([2.0, -1.0]), log_ratio, mask, kl_coefficient=0.5)
    torch.testing.assert_close(rewards, torch.tensor([[-0.05, 1.9, 0.0], [-0.15, 0.05, -1.25]]))


def test_a_score_against_others_is_less_their_mean() -> None:
    scores, groups = torch.tensor([1.0, 7.0, 2.0, 6.0, 5.0]), torch.tensor([4, 0, 4, 4, 2])
    # group 4: 1 - (2+6)/2 = -3, 2 - (1+6)/2 = -1.5, 6 - (1+2)/2 = 4.5; the others are on their own
    torch.testing.assert_close(ppo_math.against_others(scores, groups), torch.tensor([-3.0, 7.0, -1.5, 4.5, 5.0]))


def test_gae_of_two_tokens_worked_by_hand() -> None:
    # delta_1 = 1 + 0 - 0.5 = 0.5; delta_0 = 0 + 0.9·0.5 - 0.2 = 0.25; A_0 = 0.25 + 0.9·0.8·0.5 = 0.61
    advantages, returns = ppo_math.gae(
        torch.tensor([[0.0, 1.0]]), torch.tensor([[0.2, 0.5]]), torch.ones(1, 2), gamma=0.9, lam=0.8
    )
    torch.testing.assert_close(advantages, torch.tensor([[0.61, 0.5]]))
    torch.testing.assert_close(returns, torch.tensor([[0.81, 1.0]]))


def _numpy_gae(rewards: np.ndarray, values: np.ndarray, gamma: float, lam: float) -> np.ndarray:
    """Sum of discounted residuals, straight from the definition (equation 16)."""
    count = len(rewards)
    following = np.append(values[1:], 0.0)
    delta = rewards + gamma * following - values
    return np.array([sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, count)) for t in range(count)])


def test_gae_agrees_with_its_definition_on_ragged_rows() -> None:
    rng = np.random.default_rng(0)
    lengths, width = [5, 1, 3], 5
    rewards, values = rng.normal(size=(3, width)), rng.normal(size=(3, width))
    mask = completion_mask(torch.tensor(lengths), width).double()
    advantages, returns = ppo_math.gae(torch.tensor(rewards) * mask, torch.tensor(values), mask, gamma=0.97, lam=0.9)
    for row, length in enumerate(lengths):
        expected = _numpy_gae(rewards[row, :length], values[row, :length], 0.97, 0.9)
        np.testing.assert_allclose(advantages[row, :length].numpy(), expected, atol=1e-9)
        np.testing.assert_allclose(returns[row, :length].numpy(), expected + values[row, :length], atol=1e-9)
        assert advantages[row, length:].abs().sum() == 0


def test_policy_loss_is_clipped_only_where_it_would_pay() -> None:
    # ratios 1.5 and 0.5 at clip 0.2: with A > 0 the first is held at 1.2, the second is not; with A < 0 the reverse.
    ratios = torch.tensor([[1.5, 0.5]])
    mask = torch.ones(1, 2)
    gain, _, clipped = ppo_math.policy_loss(ratios.log(), torch.zeros(1, 2), torch.ones(1, 2), mask, 0.2)
    assert gain.item() == pytest.approx(-(1.2 + 0.5) / 2)
    assert clipped.item() == 0.5
    pain, _, _ = ppo_math.policy_loss(ratios.log(), torch.zeros(1, 2), -torch.ones(1, 2), mask, 0.2)
    assert pain.item() == pytest.approx((1.5 + 0.8) / 2)


def test_approx_kl_is_zero_for_the_rollout_policy_and_positive_off_it() -> None:
    old, mask = torch.tensor([[-1.0, -2.0]]), torch.ones(1, 2)
    _, same, _ = ppo_math.policy_loss(old, old, torch.ones(1, 2), mask, 0.2)
    _, moved, _ = ppo_math.policy_loss(old + math.log(2), old, torch.ones(1, 2), mask, 0.2)
    assert same.item() == 0
    assert moved.item() == pytest.approx(1 - math.log(2))


def test_value_loss_takes_the_worse_of_clipped_and_unclipped() -> None:
    # old 0, new 1, return 1, clip 0.2: unclipped error 0, clipped (0.2 - 1)² = 0.64, half of it is 0.32.
    loss = ppo_math.value_loss(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1), 0.2)
    assert loss.item() == pytest.approx(0.32)


def test_lecture_kl_example_is_0_085_nats() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.2])
    log_ratio = p.log() - q.log()
    # shape_rewards with β = 1 and no score pays exactly -log(p/q) a token; its mean under p is -KL.
    paid = ppo_math.shape_rewards(torch.zeros(3), log_ratio[:, None], torch.ones(3, 1), kl_coefficient=1.0)
    assert -(p * paid.squeeze()).sum().item() == pytest.approx(0.0851, abs=1e-4)


def test_kl_coefficient_follows_the_clipped_relative_error() -> None:
    # Ziegler et al. 2019, section 2.2, K = 0.1: twice the target is an error of 1, clipped to 0.2; 1.1 times is 0.1.
    assert ppo_math.adapted_kl_coefficient(0.5, 12.0, target=6.0, gain=0.1) == pytest.approx(0.5 * 1.02)
    assert ppo_math.adapted_kl_coefficient(0.5, 6.6, target=6.0, gain=0.1) == pytest.approx(0.5 * 1.01)
    assert ppo_math.adapted_kl_coefficient(0.5, -1.0, target=6.0, gain=0.1) == pytest.approx(0.5 * 0.98)


def _numpy_losses(
    log_probs: np.ndarray, old: np.ndarray, advantages: np.ndarray, mask: np.ndarray, clip: float
) -> tuple[float, float, float]:
    """Policy loss, approximate KL and clip fraction, one token after the other."""
    losses, kls, clipped = [], [], []
    for row, column in zip(*np.nonzero(mask), strict=True):
        ratio = math.exp(log_probs[row, column] - old[row, column])
        advantage = advantages[row, column]
        bounded = min(max(ratio, 1 - clip), 1 + clip)
        losses.append(-min(ratio * advantage, bounded * advantage))
        kls.append(ratio - 1 - math.log(ratio))
        clipped.append(bounded * advantage < ratio * advantage)
    return float(np.mean(losses)), float(np.mean(kls)), float(np.mean(clipped))


def test_losses_rewards_and_whitening_agree_with_loops_in_numpy() -> None:
    rng = np.random.default_rng(1)
    lengths, width = np.array([6, 2, 4, 1]), 6
    mask = np.arange(width) < lengths[:, None]
    names = ("log_probs", "old", "reference", "advantages", "values", "old_values", "returns")
    x = {name: rng.normal(size=(4, width)).astype(np.float32) * 0.5 for name in names}
    t = {name: torch.tensor(value) for name, value in x.items()}
    kept = torch.tensor(mask).float()

    whitened = ppo_math.masked_whiten(t["advantages"], kept).numpy()
    flat = x["advantages"][mask]
    np.testing.assert_allclose(whitened[mask], (flat - flat.mean()) / flat.std(), atol=1e-5)

    found = ppo_math.policy_loss(t["log_probs"], t["old"], t["advantages"], kept, 0.2)
    expected = _numpy_losses(x["log_probs"], x["old"], x["advantages"], mask, 0.2)
    np.testing.assert_allclose([float(value) for value in found], expected, atol=1e-5)

    loss = ppo_math.value_loss(t["values"], t["old_values"], t["returns"], kept, 0.2)
    bounded = x["old_values"] + np.clip(x["values"] - x["old_values"], -0.2, 0.2)
    worse = np.maximum((x["values"] - x["returns"]) ** 2, (bounded - x["returns"]) ** 2)
    np.testing.assert_allclose(float(loss), 0.5 * worse[mask].mean(), atol=1e-5)

    scores = rng.normal(size=4).astype(np.float32)
    ratio = t["log_probs"] - t["reference"]
    rewards = ppo_math.shape_rewards(torch.tensor(scores), ratio, kept, kl_coefficient=0.3).numpy()
    for row, length in enumerate(lengths):
        paid = [-0.3 * (x["log_probs"][row, i] - x["reference"][row, i]) for i in range(length)]
        paid[-1] += scores[row]
        np.testing.assert_allclose(rewards[row], [*paid, *[0.0] * (width - length)], atol=1e-5)


def test_rollouts_must_divide_into_minibatches() -> None:
    with pytest.raises(ConfigError, match="multiple of minibatches, got 10 and 4"):
        PPOConfig(rollouts=10, minibatches=4)
    assert PPOConfig(rollouts=12, minibatches=4).minibatch_size == 3

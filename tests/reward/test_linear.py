"""The Bayesian head against integrals over a grid and an independent optimiser."""

import math

import numpy as np
import pytest
import torch

from alignment.reward.linear import Judged, fit, prior_by_evidence, prior_variances, scaling_of


def judged(rows: list[list[float]], targets: list[float], weights: list[float] | None = None) -> Judged:
    return Judged(np.array(rows, float), np.array(targets, float), np.array(weights or [1.0] * len(rows)))


def posterior_by_grid(votes: Judged, variance: float) -> tuple[float, float, float]:
    """Return mode, log evidence and standard deviation of one weight, by sums over a fine grid."""
    grid = np.linspace(-12, 12, 200_001)
    margins = grid[:, None] * votes.differences[:, 0]
    likely = -(np.logaddexp(0, -margins) * votes.targets + np.logaddexp(0, margins) * (1 - votes.targets))
    log_density = (likely * votes.weights).sum(1) - grid**2 / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)
    density = np.exp(log_density)
    step = grid[1] - grid[0]
    evidence = density.sum() * step
    mean = (grid * density).sum() * step / evidence
    spread = ((grid - mean) ** 2 * density).sum() * step / evidence
    return float(grid[log_density.argmax()]), math.log(evidence), math.sqrt(spread)


def test_one_weight_is_where_a_grid_finds_it() -> None:
    votes = judged([[1.0], [0.5], [2.0], [-0.3], [1.2]], [1, 1, 1, 1, 0.5], [1, 1, 0.5, 1, 1])

    posterior = fit(votes, np.array([4.0]))
    mode, evidence, spread = posterior_by_grid(votes, 4.0)

    assert posterior.mean[0] == pytest.approx(mode, abs=1e-3)
    assert posterior.evidence == pytest.approx(evidence, abs=0.1)  # Laplace's approximation
    _, deviation = posterior.scores(np.array([[1.0]]))
    assert deviation[0] == pytest.approx(spread, rel=0.1)


def test_the_mode_is_that_of_another_optimiser_and_the_deviation_that_of_the_whole_hessian() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 6))
    votes = Judged(rows, rng.choice([1.0, 0.5, 0.0], 20), rng.uniform(0.3, 1, 20))
    variances = rng.uniform(0.2, 3, 6)
    offsets = rng.normal(size=20)

    posterior = fit(votes, variances, offsets)

    weights = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    held = [torch.tensor(one) for one in (rows, votes.targets, votes.weights, variances, offsets)]

    def loss(at: torch.Tensor) -> torch.Tensor:
        margins = held[0] @ at + held[4]
        entropy = torch.nn.functional.binary_cross_entropy_with_logits(margins, held[1], reduction="none")
        return (entropy * held[2]).sum() + (at**2 / held[3]).sum() / 2

    optimizer = torch.optim.LBFGS([weights], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    hessian = torch.autograd.functional.hessian(loss, weights.detach())  # type: ignore[no-untyped-call]
    tested = rng.normal(size=(4, 6))
    deviations = np.sqrt(np.einsum("nf,fg,ng->n", tested, np.linalg.inv(hessian.numpy()), tested))

    assert posterior.mean == pytest.approx(weights.detach().numpy(), abs=1e-3)
    assert posterior.scores(tested)[1] == pytest.approx(deviations, rel=1e-3)


def test_without_votes_nearby_a_score_is_as_uncertain_as_the_prior() -> None:
    posterior = fit(judged([[1.0, 0.0]] * 30, [1.0] * 30), np.array([1.0, 2.0]))

    _, deviations = posterior.scores(np.array([[0.0, 1.0], [1.0, 0.0]]))

    assert deviations[0] == pytest.approx(math.sqrt(2))
    assert deviations[1] < 0.8


def test_clear_votes_make_a_wide_prior_probable_and_coin_flips_a_narrow_one() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 5))
    clear = Judged(rows, (rows[:, 0] > 0).astype(float), np.ones(60))
    flips = Judged(rows, rng.integers(0, 2, 60).astype(float), np.ones(60))

    widths = [prior_by_evidence(votes, (5,), (0.1, 1.0, 10.0)).variances.sum() for votes in (clear, flips)]

    assert widths[0] == pytest.approx(100)
    assert widths[1] == pytest.approx(0.01)


def test_many_features_move_a_score_as_much_as_few() -> None:
    assert prior_variances((4, 1), (2.0, 0.5)) == pytest.approx([1, 1, 1, 1, 0.25])


def test_a_feature_that_never_changed_does_not_blow_up_where_it_does_later() -> None:
    scaled = scaling_of(np.array([[1.0, 5.0], [3.0, 5.0]])).apply(np.array([[1.0, 6.0]]))
    assert scaled == pytest.approx(np.array([[-1.0, 1.0]]))

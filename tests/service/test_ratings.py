"""Ratings: against published numbers, against another way to fit them, and honest with few votes."""

import math

import numpy as np
import pytest
import torch

from service.ratings import Outcome, Voted, fit

# Wins of the row's team over the column's: American League 1987, table 10.10 of Agresti, Categorical Data Analysis
# (2nd edition). Milwaukee, Detroit, Toronto, New York, Boston, Cleveland, Baltimore.
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
PUBLISHED = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0]  # log-strengths above Baltimore's


def pairs(table: list[list[int]], ties: list[tuple[int, int, int]] = []) -> list[Voted]:  # noqa: B006
    won = [
        Voted((Outcome(one, other, False),), count)
        for one, row in enumerate(table)
        for other, count in enumerate(row)
        if count
    ]
    return won + [Voted((Outcome(one, other, True),), count) for one, other, count in ties]


def test_strengths_are_those_published_for_a_season_of_baseball() -> None:
    found = fit(pairs(BASEBALL), 7, prior_sd=1e6).strengths
    assert [round(float(one), 2) for one in found - found[6]] == PUBLISHED


def test_strengths_and_ties_are_those_that_a_general_optimizer_finds() -> None:
    votes = pairs([[0, 5, 1], [2, 0, 4], [3, 3, 0]], [(0, 1, 6), (1, 2, 2)])
    parameters = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-15)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = (parameters**2).sum() / 8
        strength, nu = parameters[:3].exp(), parameters[3].exp()
        for vote in votes:
            (one,) = vote.outcomes
            first, second = strength[one.first], strength[one.second]
            tie = nu * (first * second).sqrt()
            total = total - vote.count * ((tie if one.tie else first) / (first + second + tie)).log()
        total.backward()
        return total

    optimizer.step(loss)
    expected = parameters.detach().numpy()
    found = fit(votes, 3)
    assert found.strengths == pytest.approx(expected[:3] - expected[:3].mean(), abs=1e-6)
    assert found.tie == pytest.approx(expected[3], abs=1e-6)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng, inside, truth = np.random.default_rng(0), 0, np.array([0.8, 0.0, -0.8])
    for _ in range(100):
        votes = []
        for _ in range(60):
            best = int(rng.choice(3, p=np.exp(truth) / np.exp(truth).sum()))
            others = [one for one in range(3) if one != best]
            votes.append(Voted(tuple(Outcome(best, one, False) for one in others), 1))
        _, low, high = fit(votes, 3).rating(0)
        inside += low <= 1000 + 400 / math.log(10) * 0.8 <= high
    assert inside >= 88


def test_without_a_vote_all_are_equal_and_nothing_is_known() -> None:
    found = fit([], 2)
    rating, low, high = found.rating(0)
    assert (round(rating), found.tie) == (1000, None)
    assert high - low > 900
    assert fit([], 0).strengths.shape == (0,)


def test_one_vote_moves_ratings_and_leaves_them_wide_open() -> None:
    found = fit([Voted((Outcome(0, 1, False),), 1)], 2)
    assert found.strengths[0] > 0 > found.strengths[1]
    probable, low, high = found.beats(0, 1)
    assert 0.5 < probable < 0.95
    assert low < 0.1
    assert high > 0.9


def test_a_vote_that_says_two_things_counts_less_than_two_votes() -> None:
    both = (Outcome(0, 1, False), Outcome(0, 2, False))
    apart = [Voted((one,), 50) for one in both] + [Voted((Outcome(1, 0, False), Outcome(2, 0, False)), 20)]
    together = [Voted(both, 50), Voted((Outcome(1, 0, False), Outcome(2, 0, False)), 20)]
    assert fit(together, 3).strengths == pytest.approx(fit(apart, 3).strengths, abs=1e-9)
    assert fit(together, 3).covariance[0, 0] > fit(apart, 3).covariance[0, 0]

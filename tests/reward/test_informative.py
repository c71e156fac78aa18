"""What a vote on a pair would tell, against sums over drawn weights."""

import numpy as np
import pytest

from alignment.reward.informative import (
    gains_among,
    information_gain,
    most_informative,
    most_informative_set,
    pair_margins,
)
from alignment.reward.linear import Judged, Scaling, fit, prior_variances, sigmoid
from alignment.reward.vote_fit import LinearReward


def entropy(chance: np.ndarray) -> np.ndarray:
    return -(chance * np.log(chance) + (1 - chance) * np.log(1 - chance))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 0.5), (0.0, 3.0), (1.0, 1.0), (-2.0, 0.7), (4.0, 2.0)])
def test_the_gain_is_the_mutual_information_of_vote_and_margin(mean: float, deviation: float) -> None:
    chance = sigmoid(np.random.default_rng(0).normal(mean, deviation, 400_000))
    drawn = entropy(chance.mean(keepdims=True))[0] - entropy(chance).mean()
    found = information_gain(np.array([mean]), np.array([deviation]))[0]
    assert found == pytest.approx(drawn, abs=2e-3)


def test_nothing_is_told_by_a_margin_that_is_known_and_no_more_than_one_bit_by_any() -> None:
    known = information_gain(np.array([0.0, 0.3, 9.0]), np.zeros(3))
    assert known == pytest.approx(np.zeros(3), abs=1e-9)
    unsure = information_gain(np.array([0.0]), np.array([50.0]))[0]
    assert 0.5 < unsure < np.log(2)


def fitted() -> LinearReward:
    """Return a reward model that knows the first of two features well and nothing of the second."""
    differences = np.array([[1.0, 0.0]] * 60)
    judged = Judged(differences, np.ones(60), np.ones(60))
    posterior = fit(judged, prior_variances((2,), (5.0,)))
    return LinearReward(Scaling(np.zeros(2), np.array([1.0, 2.0])), posterior)


def test_the_pair_is_chosen_that_differs_in_what_is_not_known_yet() -> None:
    firsts, seconds = np.zeros((3, 2)), np.array([[0.9, 0.0], [0.0, 2.0], [0.0, 0.0]])
    assert most_informative(fitted(), firsts, seconds) == 1


def test_what_is_unsure_of_both_alike_does_not_count() -> None:
    both = np.array([[0.0, 8.0], [0.0, 8.0]])
    _, deviations = pair_margins(fitted(), both[:1], both[1:])
    assert deviations == pytest.approx([0.0])
    assert information_gain(*pair_margins(fitted(), both[:1], both[1:])) == pytest.approx([0.0], abs=1e-9)


def test_gains_among_several_are_those_of_each_pair() -> None:
    features = np.array([[0.0, 0.0], [0.9, 0.0], [0.0, 2.0]])
    gains = gains_among(fitted(), features)
    assert gains == pytest.approx(gains.T)
    assert gains.diagonal() == pytest.approx(np.zeros(3))
    own = information_gain(*pair_margins(fitted(), features[:1], features[2:]))
    assert gains[0, 2] == pytest.approx(own[0])
    surely = gains_among(fitted(), features, np.array([0.0, 0.0, 40.0]))  # another reward model knows that order
    assert surely[0, 2] < 0.5 * gains[0, 2]


def test_a_set_begins_with_the_best_pair_and_holds_what_tells_most_beside_it() -> None:
    gains = np.array(
        [
            [0.0, 0.1, 0.2, 0.5],
            [0.1, 0.0, 0.3, 0.0],
            [0.2, 0.3, 0.0, 0.1],
            [0.5, 0.0, 0.1, 0.0],
        ]
    )
    assert most_informative_set(gains, 2) == ([0, 3], 0.5)
    chosen, gain = most_informative_set(gains, 3)
    assert chosen == [0, 3, 2]
    assert gain == pytest.approx((0.5 + 0.2 + 0.1) / 3)
    assert sorted(most_informative_set(gains, 4)[0]) == [0, 1, 2, 3]
    assert most_informative_set(np.zeros((3, 3)), 2)[0] == [0, 1]

"""Which pair of completions a vote would teach the reward model most about. NumPy alone.

What a vote tells is the mutual information between it and the weights: how unsure the reward model is of the vote, less
how unsure it would be if it knew the weights (BALD: Houlsby et al. 2011, equation 2). A pair that differs in nothing,
or whose order is known, tells nothing; one that people would toss a coin for under any weights tells little.
"""

import numpy as np

from alignment.reward.linear import Array, sigmoid
from alignment.reward.vote_fit import LinearReward

POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(32)  # of an integral over a standard Gaussian
SHARES = WEIGHTS / WEIGHTS.sum()


def information_gain(means: Array, deviations: Array) -> Array:
    """Return what votes would tell, in nats, (P,): at most log 2.

    `means` and `deviations` (P,) are those of the margin by which the first of a pair is better, as `pair_margins`
    gives them.
    """
    margins = means[:, None] + deviations[:, None] * POINTS  # (P, points)
    chance = sigmoid(margins)
    return np.asarray(_entropy(chance @ SHARES) - _entropy(chance) @ SHARES)


def pair_margins(reward: LinearReward, firsts: Array, seconds: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of the margins of pairs, both (P,), from the features of each side (P, F).

    That is not the deviation of one score and the other's: what is unsure of both alike does not count.
    """
    return reward.posterior.scores((firsts - seconds).astype(np.float64) / reward.scaling.scale)


def most_informative(reward: LinearReward, firsts: Array, seconds: Array) -> int:
    """Return the place of that pair, of at least one, a vote on which would tell most; features are (P, F) a side."""
    return int(information_gain(*pair_margins(reward, firsts, seconds)).argmax())


def gains_among(reward: LinearReward, features: Array, offsets: Array | None = None) -> Array:
    """Return what a vote on each pair of N completions of one prompt would tell, in nats, (N, N); 0 on the diagonal.

    `features` are (N, F); `offsets` (N,) are scores that another reward model gives them already.
    """
    count = len(features)
    gains = np.zeros((count, count))
    firsts, seconds = np.triu_indices(count, 1)
    if not len(firsts):
        return gains
    means, deviations = pair_margins(reward, features[firsts], features[seconds])
    if offsets is not None:
        means = means + offsets[firsts] - offsets[seconds]
    gains[firsts, seconds] = gains[seconds, firsts] = information_gain(means, deviations)
    return gains


def most_informative_set(gains: Array, count: int) -> tuple[list[int], float]:
    """Return the places of `count` completions to be ranked, at least two, and the mean gain of their pairs.

    They are found greedily: the pair that tells most, then whatever tells most beside those that are chosen.
    """
    first, second = np.unravel_index(int(gains.argmax()), gains.shape)
    chosen = [int(first), int(second)] if first != second else [0, 1]
    while len(chosen) < count:
        beside = gains[:, chosen].sum(1)
        beside[chosen] = -1.0
        chosen.append(int(beside.argmax()))
    pairs = gains[np.ix_(chosen, chosen)]
    return chosen, float(pairs.sum() / (count * (count - 1)))


def _entropy(chance: Array) -> Array:
    """Return the entropy of a coin, in nats, elementwise."""
    sure = np.clip(chance, 1e-12, 1 - 1e-12)
    return np.asarray(-(sure * np.log(sure) + (1 - sure) * np.log1p(-sure)))

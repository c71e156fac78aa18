"""Ratings out of judgements of two: the Bradley–Terry model with ties of Davidson (1970), and intervals.

With strengths θ and a tie parameter δ, the outcomes "i better", "j better" and "equal" have the weights exp(θi),
exp(θj) and exp(δ + (θi + θj) / 2). It is fitted by Newton's method to the posterior with a weak normal prior, so that a
player who has won everything so far has a rating too, with a wide interval. Several judgements of one vote are not
independent: the covariance is the sandwich of Huber and White with a vote as one cluster, or the model's own where
that is wider.

R. R. Davidson: On extending the Bradley-Terry model to accommodate ties in paired comparison experiments. Journal of
the American Statistical Association 65 (1970), 317-328.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PRIOR_SD = 2.0  # of strengths and of the tie parameter; 2 is 347 points
POINTS = 400 / np.log(10)  # to a unit of strength: 400 points are ten to one, as in Elo's scale
MIDDLE = 1000.0  # the mean rating
NORMAL_95 = 1.959964
STEPS, CLOSE = 100, 1e-10


@dataclass(frozen=True)
class Outcome:
    """One pair of a vote: the first player is better, or both are equal."""

    first: int
    second: int
    tie: bool


@dataclass(frozen=True)
class Voted:
    """What equal votes say, and how many there are."""

    outcomes: tuple[Outcome, ...]
    count: int


@dataclass(frozen=True)
class Fit:
    """Strengths with a mean of zero, and how uncertain they are."""

    strengths: Array  # (N,)
    covariance: Array  # (N, N), of the strengths about their mean
    tie: float | None  # None: nobody called two equal, and ties are not modelled

    def rating(self, player: int) -> tuple[float, float, float]:
        """Return a player's rating with the ends of its 95% interval."""
        middle = MIDDLE + POINTS * self.strengths[player]
        reach = POINTS * NORMAL_95 * np.sqrt(max(self.covariance[player, player], 0.0))
        return float(middle), float(middle - reach), float(middle + reach)

    def beats(self, one: int, other: int) -> tuple[float, float, float]:
        """Return how probably one is judged better than the other where one of both is, with a 95% interval."""
        difference = self.strengths[one] - self.strengths[other]
        variance = self.covariance[one, one] + self.covariance[other, other] - 2 * self.covariance[one, other]
        reach = NORMAL_95 * np.sqrt(max(variance, 0.0))
        low, high = 1 / (1 + np.exp(-np.array([difference - reach, difference + reach])))
        return float(1 / (1 + np.exp(-difference))), float(low), float(high)


def fit(votes: Sequence[Voted], players: int, prior_sd: float = PRIOR_SD) -> Fit:
    """Return the strengths of so many players by some votes. Without a vote all are equal and as the prior has it."""
    if not players:
        return Fit(np.zeros(0), np.zeros((0, 0)), None)
    ties = any(outcome.tie for vote in votes for outcome in vote.outcomes)
    size = players + ties
    precision = np.eye(size) / prior_sd**2
    parameters = np.zeros(size)
    pairs = _counted(votes)
    for _ in range(STEPS):
        gradient, information = -precision @ parameters, precision.copy()
        for outcome, count in pairs.items():
            slope, curve = _outcome(outcome, parameters, players, ties)
            gradient += count * slope
            information += count * curve
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        parameters = parameters + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < CLOSE:
            break
    covariance = _sandwich(votes, parameters, players, ties, information, precision)
    centred = np.eye(players) - 1 / players
    return Fit(
        centred @ parameters[:players],
        centred @ covariance[:players, :players] @ centred,
        float(parameters[players]) if ties else None,
    )


def _counted(votes: Sequence[Voted]) -> dict[Outcome, int]:
    found: dict[Outcome, int] = {}
    for vote in votes:
        for outcome in vote.outcomes:
            found[outcome] = found.get(outcome, 0) + vote.count
    return found


def _outcome(outcome: Outcome, parameters: Array, players: int, ties: bool) -> tuple[Array, Array]:
    """Return gradient and negative Hessian of an outcome's log-likelihood: those of a logit of two or three choices."""
    choices = np.zeros((2 + ties, len(parameters)))
    choices[0, outcome.first] = choices[1, outcome.second] = 1
    if ties:
        choices[2, [outcome.first, outcome.second]] = 0.5
        choices[2, players] = 1
    weights = choices @ parameters
    odds = np.exp(weights - weights.max())
    odds /= odds.sum()
    mean = odds @ choices
    chosen = choices[2] if outcome.tie else choices[0]
    return chosen - mean, (choices * odds[:, None]).T @ choices - np.outer(mean, mean)


def _sandwich(
    votes: Sequence[Voted], parameters: Array, players: int, ties: bool, information: Array, precision: Array
) -> Array:
    meat = precision.copy()
    for vote in votes:
        slope = sum((_outcome(one, parameters, players, ties)[0] for one in vote.outcomes), np.zeros(len(parameters)))
        meat += vote.count * np.outer(slope, slope)
    return _no_narrower(np.asarray(np.linalg.pinv(information), np.float64), meat)


def _no_narrower(model: Array, meat: Array) -> Array:
    """Return the sandwich model @ meat @ model, in no direction narrower than the model's own covariance.

    Of a few votes the sandwich alone is too sure: the one vote that there is lies close to what was fitted to it.
    """
    values, vectors = np.linalg.eigh(model)
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # model = root @ root.T
    ratios, directions = np.linalg.eigh(root.T @ meat @ root)
    wide = root @ directions
    return np.asarray((wide * np.maximum(ratios, 1.0)) @ wide.T)

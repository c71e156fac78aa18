"""The linear reward model refitted after each vote, in a tenth of a second at a thousand votes. NumPy alone.

What is costly in `vote_fit.fit_votes` is done rarely: features are standardised and the prior chosen anew once the
votes have grown or shrunk by a quarter. In between only the most probable weights are found, from where they were, by
Newton's method whose steps conjugate gradients solve (as LIBLINEAR does: Lin, Weng and Keerthi 2008): two products of
a matrix and a vector each, and no matrix of votes by votes. There is no standard deviation of scores then;
`with_deviations` finds it for those who ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignment.reward.agreement import Agreement, agreement
from alignment.reward.linear import (
    MOST_STEPS,
    Array,
    Judged,
    Posterior,
    Scaling,
    log_likelihood,
    prior_by_evidence,
    sigmoid,
)
from alignment.reward.rankings import Ranked
from alignment.reward.vote_fit import (
    SHARES,
    WIDTHS,
    LinearReward,
    Votes,
    held_out_folds,
    judged_by,
    margins_of,
    scaling_for,
)

GROWN = 1.25  # times as many votes, or as few, after which scaling and widths are chosen anew
MOST_INNER = 200  # steps of conjugate gradients for one of Newton's
INNER_TOLERANCE = 0.01  # of the residual, relative to the slope
SMALL_STEP = 1e-4  # of whitened weights, relative to them, where Newton's method has converged
ROUNDING = 1e-6  # of the objective, relative: a change by less says nothing in single precision
LEAST_SIZE = 1e-3  # to which a step is shortened
MOST_PAIRS = 1024  # by which deviations are found: with more votes they come out a little too wide


@dataclass(frozen=True)
class Refitted:
    """The most probable weights, and what they were found with."""

    scaling: Scaling
    variances: Array  # (F,), of the prior
    mean: Array  # (F,), of the weights of standardised features
    chosen_at: int  # votes by which scaling, variances and share were chosen
    share: float = 1.0  # of the offsets, beside which it was fitted

    def scores(self, features: Array) -> Array:
        """Return the score of each row of features (N, F)."""
        return np.asarray(self.scaling.apply(features) @ self.mean)


def refit(votes: Votes, before: Refitted | None = None) -> Refitted:
    """Return the reward model of all of the votes, given at least one; `before` is that of some votes less or more."""
    count = len(votes.rankings)
    if before is None or not before.chosen_at / GROWN < count < before.chosen_at * GROWN:
        scaling = scaling_for(votes, votes.rankings)
        judged, offsets = judged_by(votes, votes.rankings, 1 / scaling.scale)
        prior = prior_by_evidence(judged, votes.groups, WIDTHS, offsets, SHARES)
        before = Refitted(scaling, prior.variances, np.zeros(len(prior.variances)), count, prior.share)
    return _from(votes, votes.rankings, before)


def with_deviations(votes: Votes, fitted: Refitted) -> LinearReward:
    """Return the reward model with its posterior: Laplace's approximation at the weights that were found."""
    judged, offsets = judged_by(votes, votes.rankings, 1 / fitted.scaling.scale)
    heaviest = np.argsort(judged.weights, kind="stable")[-MOST_PAIRS:]  # the newest among those that weigh as much
    some = judged.rows(heaviest)
    rows = some.differences.astype(np.float64)
    margins = rows @ fitted.mean + (0.0 if offsets is None else fitted.share * offsets[heaviest])
    chance = sigmoid(margins)
    curvature = np.sqrt(some.weights * chance * (1 - chance))
    kernel = (rows * fitted.variances) @ rows.T
    root = np.linalg.cholesky(np.eye(len(some)) + curvature[:, None] * kernel * curvature)
    prior = 0.5 * float((fitted.mean**2 / fitted.variances).sum())
    evidence = log_likelihood(margins, some) - prior - float(np.log(np.diag(root)).sum())
    posterior = Posterior(fitted.mean, fitted.variances, rows, root, curvature, evidence)
    return LinearReward(fitted.scaling, posterior, fitted.share)


def cross_validated(votes: Votes, fitted: Refitted, seed: int) -> Agreement | None:
    """Return how well such a fit predicts votes on prompts that it has not seen; None where there are too few.

    The scaling, widths and share of `fitted` serve all folds: choosing them for each costs more than it tells.
    """
    margins: list[Array] = []
    for fold, rest in held_out_folds(votes.rankings, seed):
        scores = _from(votes, rest, fitted).scores
        margins += [own for ranking in fold if len(own := margins_of(votes, scores, fitted.share, ranking))]
    return agreement(margins) if margins else None


def _from(votes: Votes, rankings: Sequence[Ranked], before: Refitted) -> Refitted:
    """Return the fit to some rankings by the scaling, widths and share of another one, found from its weights."""
    width = np.sqrt(before.variances)
    judged, offsets = judged_by(votes, rankings, (width / before.scaling.scale).astype(np.float32))
    given = np.float32(0) if offsets is None else np.float32(before.share) * offsets
    whitened = most_probable(judged, before.mean / width, given)
    return replace(before, mean=whitened * width)


def most_probable(judged: Judged, start: Array, offsets: Array | np.floating) -> Array:
    """Return the most probable weights (F,) with prior N(0, 1), found from `start`, given margins `offsets` (P,)."""
    rows = judged.differences
    weights = start.astype(rows.dtype)
    margins = rows @ weights + offsets
    for _ in range(MOST_STEPS):
        chance = sigmoid(margins)
        slope = rows.T @ (judged.weights * (judged.targets - chance)) - weights
        step = _newton_step(rows, judged.weights * chance * (1 - chance), slope)
        moved, size = rows @ step, 1.0
        now = _objective(margins, weights, judged)
        worse = now - ROUNDING * abs(now)
        while size > LEAST_SIZE and _objective(margins + size * moved, weights + size * step, judged) < worse:
            size /= 2
        weights, margins = weights + size * step, margins + size * moved
        if np.linalg.norm(step) <= SMALL_STEP * max(1.0, float(np.linalg.norm(weights))):
            break
    return weights


def _objective(margins: Array, weights: Array, judged: Judged) -> float:
    return log_likelihood(margins, judged) - 0.5 * float(weights @ weights)


def _newton_step(rows: Array, weight: Array, slope: Array) -> Array:
    """Return s with (I + rowsᵀ diag(weight) rows) s = slope, by conjugate gradients."""
    step, residual, direction = np.zeros_like(slope), slope.copy(), slope.copy()
    squared = float(residual @ residual)
    enough = squared * INNER_TOLERANCE**2
    for _ in range(MOST_INNER):
        if squared <= enough:
            break
        curved = direction + rows.T @ (weight * (rows @ direction))
        size = squared / float(direction @ curved)
        step = step + size * direction
        residual = residual - size * curved
        before, squared = squared, float(residual @ residual)
        direction = residual + (squared / before) * direction
    return step

"""The reward model on frozen features: a Bayesian linear head, fitted to votes in milliseconds. NumPy alone.

Bradley–Terry on differences of features is logistic regression without a constant. Its weights have a Gaussian prior.
The posterior is Laplace's approximation, so that every score has a standard deviation in closed form. Newton's method
runs in the space of votes, not of weights (Rasmussen and Williams 2006, algorithms 3.1 and 3.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
MOST_STEPS = 50  # of Newton's method; it takes four or five
STEP_TOLERANCE = 1e-6  # of the objective, where it has converged
CHOSEN_BY = 128  # pairs by which the prior's widths are chosen, at most
LEAST_SCALE = 1e-4  # of a feature; one that changes less teaches nothing, and is left as it is


@dataclass(frozen=True)
class Judged:
    """P pairs of completions and what votes say of them.

    `differences` holds features of the first less those of the second, (P, F). `targets` says how probably the first
    is better (P,): 1, or 0.5 for a tie. `weights` is how much each pair counts (P,); those of one vote add up to 1.
    """

    differences: Array
    targets: Array
    weights: Array

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.targets)

    def rows(self, index: NDArray[np.intp]) -> "Judged":
        """Return some of the pairs."""
        return Judged(self.differences[index], self.targets[index], self.weights[index])


@dataclass(frozen=True)
class Scaling:
    """What features are standardised by: their mean and standard deviation, both (F,)."""

    centre: Array
    scale: Array

    def apply(self, features: Array) -> Array:
        """Return standardised features (N, F)."""
        return (features - self.centre) / self.scale


@dataclass(frozen=True)
class Prior:
    """What is assumed before any vote: a Gaussian of these variances (F,) around 0, beside a share of the offsets."""

    variances: Array
    share: float = 1.0


@dataclass(frozen=True)
class Posterior:
    """What votes say of the weights of F standardised features: a Gaussian around `mean`.

    `rows` are the P differences that it was fitted to, `root` the lower triangle of Cholesky's factor of
    I + √W K √W (P, P), `curvature` √W (P,).
    """

    mean: Array  # (F,)
    variances: Array  # (F,), of the prior
    rows: Array  # (P, F)
    root: Array
    curvature: Array
    evidence: float  # log of the votes' marginal likelihood, by Laplace's approximation

    def scores(self, features: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the score of each row of standardised features (N, F), both (N,)."""
        spread = features * self.variances  # (N, F)
        explained = np.linalg.solve(self.root, self.curvature[:, None] * (self.rows @ spread.T))  # (P, N)
        variance = (spread * features).sum(-1) - (explained**2).sum(0)
        return features @ self.mean, np.sqrt(np.maximum(variance, 0.0))


def scaling_of(features: Array) -> Scaling:
    """Return the mean and standard deviation of features (N, F), by which they are standardised."""
    spread = features.std(0)
    return Scaling(features.mean(0), np.where(spread < LEAST_SCALE, 1.0, spread))


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + exp(-values)), elementwise, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def log_likelihood(margins: Array, judged: Judged) -> float:
    """Return the weighted log-likelihood of votes, given the margins (P,) by which first scores exceed second ones."""
    loss = np.logaddexp(0, -margins) * judged.targets + np.logaddexp(0, margins) * (1 - judged.targets)
    return -float((loss * judged.weights).sum())


def fit(judged: Judged, variances: Array, offsets: Array | None = None) -> Posterior:
    """Return the posterior of weights with prior N(0, variances), (F,), given at least one pair.

    `offsets` (P,) are margins that another reward model gives already: the fit then learns what they leave open.
    """
    rows = judged.differences
    mode = _mode((rows * variances) @ rows.T, judged, offsets)
    return Posterior(variances * (rows.T @ mode.dual), variances, rows, mode.root, mode.curvature, mode.evidence)


@dataclass(frozen=True)
class _Mode:
    """The most probable margins of P votes, and the curvature of their likelihood there."""

    dual: Array  # (P,): the margins are the kernel times it
    root: Array
    curvature: Array
    evidence: float


def _mode(kernel: Array, judged: Judged, offsets: Array | None) -> _Mode:
    """Return the mode of margins (P,) with prior N(offsets, kernel), by Newton's method."""
    given = np.zeros(len(judged)) if offsets is None else offsets
    identity = np.eye(len(judged))
    margins, dual, best = given.copy(), np.zeros(len(judged)), -np.inf
    for _ in range(MOST_STEPS):
        chance = sigmoid(margins)
        weight = judged.weights * chance * (1 - chance)
        slope = judged.weights * (judged.targets - chance)
        target = weight * (margins - given) + slope
        curvature = np.sqrt(weight)
        inner = np.linalg.solve(identity + curvature[:, None] * kernel * curvature, curvature * (kernel @ target))
        step = target - curvature * inner - dual
        size = 1.0
        while True:  # halved until it helps, as Newton's method may overshoot
            tried = dual + size * step
            tried_margins = kernel @ tried + given
            objective = log_likelihood(tried_margins, judged) - 0.5 * float(tried @ (tried_margins - given))
            if objective >= best or size < STEP_TOLERANCE:
                break
            size /= 2
        dual, margins = tried, tried_margins
        if objective - best < STEP_TOLERANCE:
            break
        best = objective
    chance = sigmoid(margins)
    curvature = np.sqrt(judged.weights * chance * (1 - chance))
    root = np.linalg.cholesky(identity + curvature[:, None] * kernel * curvature)
    return _Mode(dual, root, curvature, objective - float(np.log(np.diag(root)).sum()))


def prior_variances(groups: Sequence[int], widths: Sequence[float]) -> Array:
    """Return the prior variance of every feature (F,): of each group's, `width`² shared out among its features.

    A group of many features then moves a score as much as one of few.
    """
    parts = [np.full(size, width**2 / size) for size, width in zip(groups, widths, strict=True)]
    return np.concatenate(parts)


def prior_by_evidence(
    judged: Judged,
    groups: Sequence[int],
    widths: Sequence[float],
    offsets: Array | None = None,
    shares: Sequence[float] = (1.0,),
) -> Prior:
    """Return the prior that makes the votes most probable (MacKay 1992).

    `widths` are tried for each group in turn, from the middle one, and `shares` of the offsets, from the first one,
    while that makes the votes more probable. Where there are many votes, some of them, evenly spread, are enough to
    choose by.
    """
    chosen_by = evenly_spread(judged.weights)
    some, given = judged.rows(chosen_by), None if offsets is None else offsets[chosen_by]
    choices = [*(widths for _ in groups), shares if offsets is not None else (1.0,)]
    parts = np.split(some.differences, np.cumsum(groups)[:-1], axis=1)
    kernels = [part @ part.T / size for part, size in zip(parts, groups, strict=True)]

    def evidence(places: Sequence[int]) -> float:
        *own, share = (some_choices[place] for some_choices, place in zip(choices, places, strict=True))
        kernel = sum(width**2 * kernel for width, kernel in zip(own, kernels, strict=True))
        return _mode(np.asarray(kernel), some, None if given is None else share * given).evidence

    places = [len(widths) // 2 for _ in groups] + [0]
    best, improves = evidence(places), True
    while improves:
        improves = False
        for which, place in ((which, place) for which, some in enumerate(choices) for place in range(len(some))):
            tried = [*places[:which], place, *places[which + 1 :]]
            if tried != places and (found := evidence(tried)) > best + STEP_TOLERANCE:
                places, best, improves = tried, found, True
    *chosen, share = (some[place] for some, place in zip(choices, places, strict=True))
    return Prior(prior_variances(groups, chosen), share)


def evenly_spread(weights: Array) -> NDArray[np.intp]:
    """Return the places of those pairs out of some (P,) by which prior widths are chosen.

    They are spread by weight: many pairs that weigh little leave no fewer places to the others.
    """
    if len(weights) <= CHOSEN_BY:
        return np.arange(len(weights))
    reached = np.cumsum(weights, dtype=np.float64)
    return np.unique(np.searchsorted(reached, (np.arange(CHOSEN_BY) + 0.5) / CHOSEN_BY * reached[-1]))

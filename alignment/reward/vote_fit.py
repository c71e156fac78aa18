"""The linear reward model of people's votes: fitted and cross-validated. NumPy alone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alignment.models.texts import Text
from alignment.reward.agreement import Agreement, agreement
from alignment.reward.linear import Array, Judged, Posterior, Scaling, fit_by_evidence, scaling_of
from alignment.reward.rankings import Ranked, judged_pairs, prompt_folds

FOLDS = 8
WIDTHS = (0.25, 0.7, 2.0, 5.0, 12.0)  # of the prior of each group of features, in nats of odds; evidence chooses
POINTS = 4001  # of a numeric integral


@dataclass(frozen=True)
class LinearReward:
    """A fitted linear reward model: how features are standardised, and what votes say of their weights."""

    scaling: Scaling
    posterior: Posterior

    def scores(self, features: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the score of each row of features (N, F), both (N,)."""
        return self.posterior.scores(self.scaling.apply(features.astype(np.float64)))

    def means(self, features: Array) -> Array:
        """Return the mean of the score of each row of features (N, F), without its deviation, which costs more."""
        return np.asarray(self.scaling.apply(features.astype(np.float64)) @ self.posterior.mean)


@dataclass(frozen=True)
class Votes:
    """Rankings that judge some pair, the features of every text in them, and what another reward model says of each."""

    rankings: Sequence[Ranked]
    features: Mapping[Text, Array]  # (F,) each
    groups: tuple[int, ...]  # sizes of the feature groups that have a prior width each
    offsets: Mapping[Text, float] | None = None  # scores by a reward model that ships; the fit learns the rest


def fit_votes(votes: Votes, rankings: Sequence[Ranked] | None = None) -> LinearReward:
    """Return the reward model fitted to all of the votes, or to some of their rankings, which judge some pair."""
    chosen = votes.rankings if rankings is None else rankings
    scaling = scaling_for(votes, chosen)
    judged, offsets = judged_by(votes, chosen, 1 / scaling.scale)
    return LinearReward(scaling, fit_by_evidence(judged, votes.groups, WIDTHS, offsets))


def scaling_for(votes: Votes, rankings: Sequence[Ranked]) -> Scaling:
    """Return what the features of those texts that rankings judge are standardised by."""
    texts = dict.fromkeys(text for one in rankings for pair in judged_pairs(one) for text in pair[:2])
    return scaling_of(np.stack([votes.features[text] for text in texts]).astype(np.float64))


def judged_by(votes: Votes, rankings: Sequence[Ranked], factor: Array) -> tuple[Judged, Array | None]:
    """Return the pairs that rankings judge, and the margins that the offsets give them, if there are any.

    Differences of features are multiplied by `factor` (F,) and have its precision.
    """
    places: dict[Text, int] = {}
    flat = []  # places of the first and the second text, target, weight
    for ranking in rankings:
        pairs = judged_pairs(ranking)
        for first, second, target in pairs:
            ends = (places.setdefault(first, len(places)), places.setdefault(second, len(places)))
            flat.append((*ends, target, 1 / len(pairs)))
    features = np.stack([votes.features[text] for text in places]).astype(factor.dtype, copy=False)
    firsts, seconds, targets, weights = (np.array(column) for column in zip(*flat, strict=True))
    differences = features[firsts]
    differences -= features[seconds]
    differences *= factor
    judged = Judged(differences, targets.astype(factor.dtype), weights.astype(factor.dtype))
    if votes.offsets is None:
        return judged, None
    given = np.array([votes.offsets[text] for text in places], factor.dtype)
    return judged, given[firsts] - given[seconds]


def cross_validate(votes: Votes, seed: int) -> Agreement | None:
    """Return how well the reward model predicts votes on prompts that it has not seen; None where there are too few.

    The voted prompts are split into folds; each is predicted by a fit to all others.
    """
    folds = [fold for fold in prompt_folds(votes.rankings, FOLDS, seed) if fold]
    margins: list[Array] = []
    for fold in folds:
        rest = [ranking for other in folds if other is not fold for ranking in other]
        if rest:
            fitted = fit_votes(votes, rest)
            margins += [own for ranking in fold if len(own := margins_of(votes, fitted.means, ranking))]
    return agreement(margins) if margins else None


def margins_of(votes: Votes, score: Callable[[Array], Array], ranking: Ranked) -> Array:
    """Return better minus worse scores (P,) of the ordered pairs of a ranking; `score` is of features (N, F)."""
    ordered = [(first, second) for first, second, target in judged_pairs(ranking) if target == 1]
    texts = list(dict.fromkeys(text for pair in ordered for text in pair))
    if not texts:
        return np.zeros(0)
    scores = score(np.stack([votes.features[text] for text in texts]))
    by_text = dict(zip(texts, scores + [(votes.offsets or {}).get(text, 0.0) for text in texts], strict=True))
    return np.array([by_text[first] - by_text[second] for first, second in ordered])


def better_than_a_coin(measured: Agreement) -> float:
    """Return how probably the accuracy on unseen votes exceeds one half, under a uniform prior (Beta distribution)."""
    right = (measured.accuracy.share or 0.0) * measured.accuracy.count
    wrong = measured.accuracy.count - right
    share = np.linspace(0, 1, POINTS)[1:-1]
    density = np.exp(right * np.log(share) + wrong * np.log1p(-share) - _peak(right, wrong))
    return float(density[share > 0.5].sum() / density.sum())


def evidence_against_a_coin(reward: LinearReward, votes: int) -> float:
    """Return by how many nats the votes that it was fitted to are more probable under a reward model than by a coin.

    It is the logarithm of their Bayes factor (Kass and Raftery 1995 call it positive from 1 on, strong from 3).
    """
    return reward.posterior.evidence + votes * math.log(2)


def _peak(right: float, wrong: float) -> float:
    """Return the highest log-density of the Beta distribution, without its constant."""
    total = right + wrong
    return sum(part * math.log(part / total) for part in (right, wrong) if part)

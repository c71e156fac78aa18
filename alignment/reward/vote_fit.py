"""The linear reward model of people's votes: fitted and cross-validated. NumPy alone.

"All bad" compares nothing, so each text of such a vote loses to a reference: the mean of all voted texts, a point such
as KTO has (Ethayarajh et al. 2024). These votes together weigh at most a quarter as much as those that compare
(docs/lab-notes.md says why), and only the latter are predicted and counted as evidence: without them nothing is
learned.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alignment.models.texts import Text
from alignment.reward.agreement import Agreement, agreement
from alignment.reward.linear import Array, Judged, Posterior, Scaling, fit, prior_by_evidence, scaling_of
from alignment.reward.rankings import Ranked, called_bad, judged_pairs, judged_texts, prompt_folds
from alignment.reward.settings import RewardConfig

FOLDS = 8
WIDTHS = (0.25, 0.7, 2.0, 5.0, 12.0)  # of the prior of each group of features, in nats of odds; evidence chooses
SHARES = (1.0, 0.5, 0.25, 0.0)  # of another reward model's scores, of which evidence chooses too
POINTS = 4001  # of a numeric integral
REFERENCE = -1  # the place of the mean of all voted texts, after theirs
BAD_SHARE = 0.25  # of the weight of votes that compare: the most that all votes together have that only call texts bad


@dataclass(frozen=True)
class LinearReward:
    """A fitted linear reward model: how features are standardised, and what votes say of their weights."""

    scaling: Scaling
    posterior: Posterior
    share: float = 1.0  # of the offsets, beside which it was fitted

    def scores(self, features: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the score of each row of features (N, F), both (N,)."""
        return self.posterior.scores(self.scaling.apply(features.astype(np.float64)))

    def means(self, features: Array) -> Array:
        """Return the mean of the score of each row of features (N, F), without its deviation, which costs more."""
        return np.asarray(self.scaling.apply(features.astype(np.float64)) @ self.posterior.mean)


@dataclass(frozen=True)
class Votes:
    """Rankings, the features of every text that they judge, and what another reward model says of each."""

    rankings: Sequence[Ranked]
    features: Mapping[Text, Array]  # (F,) each
    groups: tuple[int, ...]  # sizes of the feature groups that have a prior width each
    # Scores by a reward model that ships: the fit learns what a share of them leaves open.
    offsets: Mapping[Text, float] | None = None


def fit_votes(votes: Votes, rankings: Sequence[Ranked] | None = None) -> LinearReward:
    """Return the reward model fitted to all of the votes, or to some of their rankings."""
    chosen = votes.rankings if rankings is None else rankings
    scaling = scaling_for(votes, chosen)
    judged, offsets = judged_by(votes, chosen, 1 / scaling.scale)
    prior = prior_by_evidence(judged, votes.groups, WIDTHS, offsets, SHARES)
    given = None if offsets is None else prior.share * offsets
    return LinearReward(scaling, fit(judged, prior.variances, given), prior.share)


def scaling_for(votes: Votes, rankings: Sequence[Ranked]) -> Scaling:
    """Return what the features of those texts that rankings judge are standardised by."""
    return scaling_of(np.stack([votes.features[text] for text in judged_texts(rankings)]).astype(np.float64))


def judged_by(votes: Votes, rankings: Sequence[Ranked], factor: Array) -> tuple[Judged, Array | None]:
    """Return the pairs that rankings judge, and the margins that the offsets give them, if there are any.

    A text that was called bad is in a pair with the mean of all these texts. Differences of features are multiplied by
    `factor` (F,) and have its precision.
    """
    places, pairs = _pairs(rankings)
    firsts, seconds, targets, weights = (np.array(column) for column in zip(*pairs, strict=True))
    rows = [votes.features[text] for text in places]
    features = np.stack([*rows, rows[0]]).astype(factor.dtype, copy=False)
    if REFERENCE in firsts:
        features[REFERENCE] = features[:REFERENCE].mean(0)
    differences = features[firsts]
    differences -= features[seconds]
    differences *= factor
    judged = Judged(differences, targets.astype(factor.dtype), weights.astype(factor.dtype))
    if votes.offsets is None:
        return judged, None
    given = np.array([votes.offsets[text] for text in places], factor.dtype)
    given = np.append(given, given.mean())
    return judged, given[firsts] - given[seconds]


def _pairs(rankings: Sequence[Ranked]) -> tuple[dict[Text, int], list[tuple[int, int, float, float]]]:
    """Return the place of each text, and of every pair both places, its target and its weight, in order of rankings.

    A vote weighs 1; votes that only call texts bad together at most `BAD_SHARE` of those that compare.
    """
    said = [(judged_pairs(ranking), called_bad(ranking)) for ranking in rankings]
    comparing, calling = sum(bool(pairs) for pairs, _ in said), sum(bool(bad) for _, bad in said)
    share = min(1.0, BAD_SHARE * comparing / calling) if calling else 0.0
    places: dict[Text, int] = {}
    found = []

    def place(text: Text) -> int:
        return places.setdefault(text, len(places))

    for pairs, bad in said:
        found += [(place(first), place(second), target, 1 / len(pairs)) for first, second, target in pairs]
        found += [(REFERENCE, place(text), 1.0, share / len(bad)) for text in bad]
    return places, found


def comparing_votes(rankings: Sequence[Ranked]) -> int:
    """Return how many rankings compare texts, rather than only call them bad."""
    return sum(bool(judged_pairs(ranking)) for ranking in rankings)


def cross_validate(votes: Votes, seed: int) -> Agreement | None:
    """Return how well the reward model predicts votes on prompts that it has not seen; None where there are too few.

    The voted prompts are split into folds; each is predicted by a fit to all others.
    """
    margins: list[Array] = []
    for fold, rest in held_out_folds(votes.rankings, seed):
        fitted = fit_votes(votes, rest)
        margins += [own for ranking in fold if len(own := margins_of(votes, fitted.means, fitted.share, ranking))]
    return agreement(margins) if margins else None


def held_out_folds(rankings: Sequence[Ranked], seed: int) -> Iterator[tuple[list[Ranked], list[Ranked]]]:
    """Yield the votes on some prompts and those on all others, where the latter compare texts, and so teach something.

    Votes that call all bad are held out by their prompts like any other.
    """
    folds = [fold for fold in prompt_folds(rankings, FOLDS, seed) if fold]
    for fold in folds:
        rest = [ranking for other in folds if other is not fold for ranking in other]
        if comparing_votes(rest):
            yield fold, rest


def margins_of(votes: Votes, score: Callable[[Array], Array], share: float, ranking: Ranked) -> Array:
    """Return better minus worse scores (P,) of the ordered pairs of a ranking.

    A score is that of the features by `score`, which takes (N, F), and a share of the text's offset.
    """
    ordered = [(first, second) for first, second, target in judged_pairs(ranking) if target == 1]
    texts = list(dict.fromkeys(text for pair in ordered for text in pair))
    if not texts:
        return np.zeros(0)
    scores = score(np.stack([votes.features[text] for text in texts]))
    by_text = dict(zip(texts, scores + [share * (votes.offsets or {}).get(text, 0.0) for text in texts], strict=True))
    return np.array([by_text[first] - by_text[second] for first, second in ordered])


def better_than_a_coin(measured: Agreement) -> float:
    """Return how probably the accuracy on unseen votes exceeds one half, under a uniform prior (Beta distribution)."""
    right = (measured.accuracy.share or 0.0) * measured.accuracy.count
    wrong = measured.accuracy.count - right
    share = np.linspace(0, 1, POINTS)[1:-1]
    density = np.exp(right * np.log(share) + wrong * np.log1p(-share) - _peak(right, wrong))
    return float(density[share > 0.5].sum() / density.sum())


def doubt(measured: Agreement, evidence: float | None, config: RewardConfig) -> Literal["coin", "evidence"] | None:
    """Return why nothing is to be trained on a reward model, None where it is convincing.

    "coin": a coin probably does as well on votes that it has not seen. "evidence": that is not settled, and all votes
    are hardly more probable by it than by a coin, so these may be at random (docs/benchmarks.md counts what passes).
    """
    certainty = better_than_a_coin(measured)
    if certainty < config.least_certainty:
        return "coin"
    if certainty >= config.settled_certainty or evidence is None or not config.least_evidence:
        return None
    return None if evidence >= config.least_evidence else "evidence"


def evidence_against_a_coin(votes: Votes, reward: LinearReward) -> float:
    """Return by how many nats the votes that compare are more probable under the reward model of all than by a coin.

    It is the logarithm of their Bayes factor (Kass and Raftery 1995 call it positive from 1 on, strong from 3), given
    what "all bad" says: such votes can make the others more or less probable, but add nothing of their own.
    """
    judged, offsets = judged_by(votes, votes.rankings, 1 / reward.scaling.scale)
    alone = np.array([first == REFERENCE for first, *_ in _pairs(votes.rankings)[1]])
    known = 0.0
    if alone.any():
        given = None if offsets is None else reward.share * offsets[alone]
        known = fit(judged.rows(np.flatnonzero(alone)), reward.posterior.variances, given).evidence
    return reward.posterior.evidence - known + comparing_votes(votes.rankings) * math.log(2)


def _peak(right: float, wrong: float) -> float:
    """Return the highest log-density of the Beta distribution, without its constant."""
    total = right + wrong
    return sum(part * math.log(part / total) for part in (right, wrong) if part)

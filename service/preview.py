"""The preview: the linear reward model of all standing votes, refitted after each in a thread of its own.

It is what the next run will fit and please, so the best of a few samples by it shows what training will write into
the weights.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alignment.models.texts import Text
from alignment.reward.agreement import Agreement
from alignment.reward.rankings import judged_pairs, judged_texts
from alignment.reward.refit import Refitted, cross_validated, refit, with_deviations
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import LinearReward, Votes, better_than_a_coin
from alignment.serving.engine import Engine, Lack, TextFeatures
from storage import features as stored_features
from storage import preferences
from storage.features import text_key
from storage.records import Ranking

log = logging.getLogger(__name__)

FIRST_VOTES = 3  # that judge some pair, from which there is a preview
TELLING_VOTES = 8  # predicted without having been seen, from which the preview must beat a coin as training must
LOOKED_BACK = 64  # votes whose missing features are computed after one vote or at start-up
NEWEST = 2000  # votes that it follows: however many are stored, a refit after each is quick
SHIPPED = ":shipped"  # after the model's fingerprint: under it scores by the shipped reward model are stored
SCORING = RewardConfig()
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Fitted:
    """The reward model of some votes."""

    reward: Refitted
    votes: int
    agreement: Agreement | None = None  # with votes that it had not seen; None where there are too few, or not yet

    @property
    def convincing(self) -> bool:
        """Whether the reward model beats a coin on votes that it had not seen, the first thing that training asks."""
        if self.agreement is None or self.agreement.accuracy.count < TELLING_VOTES:
            return True
        return better_than_a_coin(self.agreement) >= SCORING.least_certainty

    def scores(self, texts: TextFeatures) -> Array:
        """Return the score of each text (N,), as a run scores it: beside a shipped reward model's, it is bounded."""
        own = self.reward.scores(texts.features)
        if texts.shipped is None:
            return own
        return np.asarray(SCORING.shipped_weight * texts.shipped + SCORING.bound * np.tanh(own / SCORING.bound))


@dataclass(frozen=True)
class Liked:
    """A voted completion and what the reward model of all votes gives it."""

    text: Text
    score: float


@dataclass(frozen=True)
class _Judged:
    """A vote and the texts that it judges."""

    vote: int
    ranking: Ranking
    texts: frozenset[Text]
    compares: bool  # rather than only call its texts bad


class Preview:
    """Keeps the reward model of all standing votes. All methods may be called from any thread."""

    def __init__(self, db: Path, engine: Engine, model: str) -> None:
        """Follow the votes of a data folder; `model` is the fingerprint of what makes the features."""
        self._db, self._engine, self._model = db, engine, model
        self._changed, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)
        self._groups: tuple[int, ...] = ()
        self._features: dict[Text, Array] = {}  # of voted texts
        self._ships = False  # whether a reward model ships with the model
        self._shipped: dict[Text, float] = {}  # its scores of the same texts
        self._failed: set[int] = set()  # votes whose features could not be computed
        self._fitted_to: tuple[tuple[int, int], ...] = ()  # ids of votes, and how many texts each judges
        self._votes: Votes | None = None  # what was fitted last
        self._fitted: Fitted | None = None
        self._fit_now: tuple[Votes, Refitted] | None = None  # both as one, for other threads
        self._posterior: tuple[object, LinearReward] | None = None  # of which fit, and what it is
        self._finding = threading.Lock()
        self.standing = 0  # votes that judge some pair, whether their features are there or not

    def start(self) -> None:
        """Begin to follow the votes, if that leads to a preview; return at once."""
        if "preview" in self.lacks:
            return
        self._changed.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; call it after the engine was stopped, for which it may be waiting."""
        self._stopping = True
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def votes_changed(self) -> None:
        """Have the reward model refitted soon: a vote was stored or taken back."""
        self._changed.set()

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """What the engine leaves undone; there is no preview where that is among it."""
        return self._engine.lacks

    @property
    def latest(self) -> Fitted | None:
        """The reward model as it is now; None before `FIRST_VOTES`."""
        return self._fitted

    @property
    def fitted(self) -> Fitted | None:
        """The reward model to pick by; None where there are too few votes, or they show nothing."""
        return self._fitted if self._fitted is not None and self._fitted.convincing else None

    def posterior(self) -> LinearReward | None:
        """Return the reward model as it is now, with deviations of its scores; None before `FIRST_VOTES`.

        Found when it is asked for after a vote, a good part of a second with many of them, and then kept.
        """
        with self._finding:
            if (fit := self._fit_now) is None:
                return None
            if self._posterior is None or self._posterior[0] is not fit:
                self._posterior = fit, with_deviations(*fit)
            return self._posterior[1]

    def extremes(self, count: int) -> tuple[tuple[Liked, ...], tuple[Liked, ...]]:
        """Return the voted texts with the highest and those with the lowest scores; none before `FIRST_VOTES`."""
        known = [(text, row) for text, row in list(self._features.items()) if not self._lacks(text)]
        if (fitted := self._fitted) is None or not known:
            return (), ()
        texts, rows = zip(*known, strict=True)
        shipped = np.array([self._shipped[text] for text in texts], np.float32) if self._ships else None
        scores = fitted.scores(TextFeatures(np.array(rows, np.float32), self._groups, shipped))
        order = [Liked(texts[place], float(scores[place])) for place in np.argsort(-scores)]
        few = min(count, len(order) // 2)
        return tuple(order[:few]), tuple(reversed(order[len(order) - few :]))

    def score(self, found: TextFeatures) -> tuple[float, float, int] | None:
        """Return the score of one text, its standard deviation and how many votes it goes by; None before there is one.

        Beside a shipped reward model's, what votes say is bounded, as a run does it.
        """
        fitted, reward = self._fitted, self.posterior()
        if fitted is None or reward is None:
            return None
        means, deviations = reward.scores(found.features)
        mean, deviation = float(means[0]), float(deviations[0])
        if found.shipped is not None:
            squashed = float(np.tanh(mean / SCORING.bound))
            mean = SCORING.shipped_weight * float(found.shipped[0]) + SCORING.bound * squashed
            deviation *= 1 - squashed**2
        return mean, deviation, fitted.votes

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._stopping:
                return
            try:
                self.follow()
            except Exception:  # the votes are stored; the next one tries again
                log.exception("the preview could not be fitted to the votes")

    def follow(self) -> None:
        """Fit to all votes as they stand. Features that are missing are computed, the newest vote's first."""
        changed = False
        for left in reversed(range(LOOKED_BACK + 1)):
            judged = _judged(self._db)
            self.standing = _comparing(judged)
            if judged:
                self._read(judged)
            tried = (one for one in reversed(judged) if one.vote not in self._failed)
            missing = next((one for one in tried if not self._known(one)), None)
            if missing is not None and left:
                self._compute(missing)
            changed |= self._fit([one for one in judged if self._known(one)])
            if missing is None or self._stopping:
                break
        if changed and self._fitted is not None and self._votes is not None:
            self._fitted = replace(self._fitted, agreement=cross_validated(self._votes, self._fitted.reward, seed=0))

    def _lacks(self, text: Text) -> bool:
        return text not in self._features or (self._ships and text not in self._shipped)

    def _known(self, one: _Judged) -> bool:
        return not any(map(self._lacks, one.texts))

    def _read(self, judged: Sequence[_Judged]) -> None:
        """Read the stored features of texts that are not known yet; forget those of votes that do not stand any more.

        The engine says first how features are grouped, and whether a reward model ships.
        """
        if not self._groups:
            empty = self._engine.features([]).result()
            self._groups, self._ships = empty.groups, empty.shipped is not None
        texts = {text for one in judged for text in one.texts}
        self._features = {text: row for text, row in self._features.items() if text in texts}
        self._shipped = {text: score for text, score in self._shipped.items() if text in texts}
        keys = {text: _key(text) for text in texts if self._lacks(text)}
        rows = stored_features.read_features(self._db, self._model, list(keys.values()))
        self._features |= {text: rows[key] for text, key in keys.items() if key in rows}
        if self._ships:
            scores = stored_features.read_features(self._db, self._model + SHIPPED, list(keys.values()))
            self._shipped |= {text: float(scores[key][0]) for text, key in keys.items() if key in scores}

    def _compute(self, one: _Judged) -> None:
        """Compute and store the features of a vote's texts. A vote that this fails for is left out from then on."""
        texts = [text for text in one.texts if self._lacks(text)]
        try:
            found = self._engine.features(texts).result()
        except Exception:
            log.exception("the features of vote %s could not be computed; the preview does without it", one.vote)
            self._failed.add(one.vote)
            return
        keys = [_key(text) for text in texts]
        stored_features.save_features(self._db, self._model, dict(zip(keys, found.features, strict=True)))
        self._features |= dict(zip(texts, found.features, strict=True))
        if found.shipped is not None:
            scores = dict(zip(keys, found.shipped[:, None], strict=True))
            stored_features.save_features(self._db, self._model + SHIPPED, scores)
            self._shipped |= dict(zip(texts, found.shipped.tolist(), strict=True))

    def _fit(self, judged: Sequence[_Judged]) -> bool:
        """Fit to votes whose features are known; return False if they are the same as before."""
        ids = tuple((one.vote, len(one.texts)) for one in judged)
        if ids == self._fitted_to:
            return False
        before, self._fitted_to = self._fitted, ids
        if _comparing(judged) < FIRST_VOTES:
            self._fitted = self._votes = self._fit_now = None
            return True
        weight = SCORING.shipped_weight
        offsets = {text: weight * score for text, score in self._shipped.items()} if self._ships else None
        self._votes = Votes([one.ranking for one in judged], self._features, self._groups, offsets)
        reward = refit(self._votes, before.reward if before else None)
        self._fitted = Fitted(reward, len(ids), before.agreement if before else None)
        self._fit_now = self._votes, reward
        return True


def _key(text: Text) -> str:
    return text_key(text.messages, text.completion, ended=text.ended)


def _judged(db: Path) -> list[_Judged]:
    """Return the newest votes that judge some text, in the order of voting."""
    found = []
    for ranking in preferences.rankings(db, newest=NEWEST):
        if texts := frozenset(judged_texts([ranking])):
            found.append(_Judged(ranking.preference_id, ranking, texts, bool(judged_pairs(ranking))))
    return found


def _comparing(judged: Sequence[_Judged]) -> int:
    return sum(one.compares for one in judged)

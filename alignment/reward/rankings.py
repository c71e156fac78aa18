"""What rankings say: which completions are better than which. No model here, and no torch."""

import random
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Protocol, TypeVar

from alignment.models.texts import Text
from storage.messages import Messages

OrderedPair = tuple[Text, Text]  # better, worse: completions of the same messages


class Answering(Protocol):
    """Something about completions of a conversation."""

    @property
    def messages(self) -> Messages: ...  # noqa: D102


A = TypeVar("A", bound=Answering)


class Ranked(Protocol):
    """Completions of one conversation in tiers, best first; a tier holds positions in `completions`.

    `tied` says whether completions of one tier were called equal, or only not compared; `ended`, which completions
    ended by themselves. No tier at all says that all of them are bad.
    """

    @property
    def messages(self) -> Messages: ...  # noqa: D102
    @property
    def completions(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def tiers(self) -> Sequence[Sequence[int]]: ...  # noqa: D102
    @property
    def tied(self) -> bool: ...  # noqa: D102
    @property
    def ended(self) -> Sequence[bool]: ...  # noqa: D102


def judged_pairs(ranking: Ranked) -> list[tuple[Text, Text, float]]:
    """Return the different pairs of texts that a ranking judges, with the probability that the first is the better one.

    It is 1 between tiers, the better one first, and 0.5 within a tier of ties (docs/lab-notes.md says why ties are not
    left out); two equal texts are no pair, and if one of them ended, both did. One that was cut before its first word
    is in no pair: nobody has read it.
    """
    texts = _texts(ranking)
    tiers = [[texts[ranking.completions[i]] for i in tier] for tier in ranking.tiers]
    ordered = [(one, other, 1.0) for upper, lower in combinations(tiers, 2) for one in upper for other in lower]
    equal = [(one, other, 0.5) for tier in tiers if ranking.tied for one, other in combinations(tier, 2)]
    judged = (pair for pair in ordered + equal if pair[0] != pair[1] and all(map(_has_begun, pair[:2])))
    return list(dict.fromkeys(judged))


def called_bad(ranking: Ranked) -> list[Text]:
    """Return the different texts that a ranking calls bad without saying what is better; none where it has tiers.

    Of a single completion, a thumb down, it is none: thumbs up teach nothing either, and the two belong together.
    """
    if ranking.tiers or len(ranking.completions) < 2:
        return []
    return [text for text in _texts(ranking).values() if _has_begun(text)]


def judged_texts(rankings: Iterable[Ranked]) -> list[Text]:
    """Return the different texts that rankings judge: those of their pairs, and those called bad."""
    found: dict[Text, None] = {}
    for ranking in rankings:
        found |= dict.fromkeys(text for pair in judged_pairs(ranking) for text in pair[:2])
        found |= dict.fromkeys(called_bad(ranking))
    return list(found)


def _texts(ranking: Ranked) -> dict[str, Text]:
    """Return the different texts of a ranking; of two equal ones that which ended, if any did."""
    written = sorted(zip(ranking.completions, ranking.ended, strict=True), key=lambda one: one[1])
    return {completion: Text(ranking.messages, completion, ended) for completion, ended in written}


def _has_begun(text: Text) -> bool:
    return bool(text.completion) or text.ended


def ordered_pairs(rankings: Sequence[Ranked]) -> list[OrderedPair]:
    """Return (better, worse) for every pair of texts that the rankings put in an order."""
    judged = (pair for ranking in rankings for pair in judged_pairs(ranking))
    return [(better, worse) for better, worse, target in judged if target == 1]


def preferred(rankings: Sequence[Ranked], seed: int) -> list[Text]:
    """Return one of the completions that were liked best, for every ranking with an order.

    One that was cut before its first word has nothing to be learned and is left out.
    """
    rng = random.Random(seed)
    best = [(one, rng.choice(one.tiers[0])) for one in rankings if len(one.tiers) > 1]
    texts = [Text(one.messages, one.completions[place], one.ended[place]) for one, place in best]
    return [text for text in texts if _has_begun(text)]


def prompt_folds(rankings: Sequence[A], parts: int, seed: int) -> list[list[A]]:
    """Return the rankings in `parts` of like size; all conversations that begin alike go to one part.

    So nothing leaks: a later turn has the answer that was preferred in an earlier one before it.
    """
    openings = sorted({_opening(ranking.messages) for ranking in rankings})
    random.Random(seed).shuffle(openings)
    fold_of = {opening: number % parts for number, opening in enumerate(openings)}
    return [[r for r in rankings if fold_of[_opening(r.messages)] == number] for number in range(parts)]


def _opening(messages: Messages) -> str:
    """Return what the user asked first."""
    return next((message.content for message in messages if message.role == "user"), "")

"""Annotators as the admin sees them: how they agree with themselves and with one another, and who looks suspicious.

People go by pseudonyms, which stand in exports too: what their cookie holds is never shown. Leaving somebody out
changes what later runs learn from, and deletes nothing.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Annotated

import krippendorff
import numpy as np
from pydantic.dataclasses import dataclass as checked_dataclass

from service.context import Services
from service.exchange.pseudonyms import annotator_pseudonym
from service.requests import text
from service.roles import require_annotator
from storage import people as stored
from storage.people import CastVote, Person, UnknownPersonError

LONGEST_NAME = 60
FAST_SECONDS = 1.5  # a median below it: nobody reads three answers in that time
FEWEST = 10  # votes, choices or shared comparisons that a suspicion needs
ONE_SIDE = 0.95  # part of one's choices on hidden names that fall on one place
AGAINST = 0.15  # part of shared comparisons on which one agrees with most others


@checked_dataclass(frozen=True)
class NameRequest:
    """What somebody wants to be called."""

    name: Annotated[str | None, text(LONGEST_NAME, "leave it empty to stay nameless", optional=True)] = None


@dataclass(frozen=True)
class Conduct:
    """A person with the figures of their votes."""

    pseudonym: str
    name: str
    votes: int
    latest: str | None
    left_out: bool
    seconds: float | None  # median time to a vote
    places: tuple[int, ...]  # choices on hidden names by place, the first panel first
    agrees: tuple[int, int]  # with most others: on how many of how many shared comparisons
    repeated: tuple[int, int]  # with oneself: in how many of how many pairs of votes on the same answers
    suspicions: tuple[str, ...]  # of "fast", "one side", "against"


@dataclass(frozen=True)
class Integrity:
    """All people, and how far their votes can be trusted together."""

    people: tuple[Conduct, ...]
    alpha: float | None  # Krippendorff's, nominal, on comparisons with several votes; None: there are too few
    shared: int  # comparisons with several votes
    places: tuple[int, ...]  # of all choices on hidden names
    chance: tuple[float, ...]  # how many would fall on each place if places did not matter


def integrity(services: Services, token: str | None) -> Integrity:
    """Return all people with their figures. Raises AccessError without the admin's token."""
    services.admin.require(token)
    votes = list(stored.cast_votes(services.db))
    repeated = _repeated(stored.repeats(services.db))
    shared = _shared(votes)
    agreed = _agreement_with_most(shared)
    theirs: dict[str, list[CastVote]] = defaultdict(list)
    for vote in votes:
        theirs[vote.annotator_id].append(vote)
    everybody = stored.people(services.db)
    places, chance = _places(votes)
    return Integrity(
        people=tuple(_conduct(services, one, theirs[one.id], agreed, repeated) for one in everybody),
        alpha=_alpha(shared),
        shared=len(shared),
        places=places,
        chance=chance,
    )


def named_people(services: Services, token: str | None) -> list[tuple[str, str]]:
    """Return everybody's pseudonym and name, who voted most first. Raises AccessError without the admin's token."""
    services.admin.require(token)
    return [(annotator_pseudonym(services.key, one.id), one.name or "") for one in stored.people(services.db)]


def known_person(services: Services, pseudonym: str) -> str:
    """Return the annotator that goes by a pseudonym; raise UnknownPersonError where there is none."""
    for one in stored.people(services.db):
        if annotator_pseudonym(services.key, one.id) == pseudonym:
            return one.id
    raise UnknownPersonError(f"there is nobody called {pseudonym!r}; the Data tab lists people by these names")


def leave_person_out(services: Services, token: str | None, pseudonym: str, *, out: bool) -> None:
    """Leave a person's votes out of later runs, or let them in again. Raises AccessError without the admin's token."""
    services.admin.require(token)
    stored.leave_person_out(services.db, known_person(services, pseudonym), out=out)
    _changed(services)


def leave_vote_out(services: Services, token: str | None, preference_id: int, *, out: bool) -> None:
    """Leave a vote out of later runs, or let it in again. Raises AccessError without the admin's token."""
    services.admin.require(token)
    stored.leave_vote_out(services.db, preference_id, out=out)
    _changed(services)


def _changed(services: Services) -> None:
    services.status.expire()
    services.preview.votes_changed()


def rename(services: Services, annotator: str, request: NameRequest) -> str:
    """Store what an annotator is called and return it; an empty name is none."""
    require_annotator(services, annotator)
    stored.rename(services.db, annotator, request.name or "")
    return request.name or ""


def _conduct(
    services: Services,
    one: Person,
    votes: Sequence[CastVote],
    agreed: Mapping[str, tuple[int, int]],
    repeated: Mapping[str, tuple[int, int]],
) -> Conduct:
    seconds = [vote.seconds for vote in votes if vote.seconds is not None]
    places, _ = _places(votes)
    typical = median(seconds) if seconds else None
    agrees = agreed.get(one.id, (0, 0))
    found = []
    if typical is not None and len(seconds) >= FEWEST and typical < FAST_SECONDS:
        found.append("fast")
    if sum(places) >= FEWEST and max(places) >= ONE_SIDE * sum(places):
        found.append("one side")
    if agrees[1] >= FEWEST and agrees[0] <= AGAINST * agrees[1]:
        found.append("against")
    return Conduct(
        pseudonym=annotator_pseudonym(services.key, one.id),
        name=one.name or "",
        votes=one.votes,
        latest=one.latest,
        left_out=one.left_out is not None,
        seconds=typical,
        places=places,
        agrees=agrees,
        repeated=repeated.get(one.id, (0, 0)),
        suspicions=tuple(found),
    )


def _choice(vote: CastVote) -> str:
    """Return what a vote says is best: a slot, or what kind of vote says that none is."""
    return json.loads(vote.tiers)[0][0] if vote.kind in ("choice", "ranking") else vote.kind


def _shown(vote: CastVote) -> dict[str, str]:
    """Return the slots of a comparison, each with the first one that says the same."""
    return dict(part.split(":") for part in vote.shown.split())


def _shared(votes: Iterable[CastVote]) -> dict[str, dict[str, str]]:
    """Return the comparisons that several people judged: by annotator, what each thinks best."""
    by_comparison: dict[str, dict[str, str]] = defaultdict(dict)
    for vote in votes:
        choice = _choice(vote)
        by_comparison[vote.comparison_id][vote.annotator_id] = _shown(vote).get(choice, choice)
    return {comparison: given for comparison, given in by_comparison.items() if len(given) > 1}


def _alpha(shared: Mapping[str, Mapping[str, str]]) -> float | None:
    values = sorted({choice for given in shared.values() for choice in given.values()})
    if not shared or len(values) < 2:
        return None
    counts = np.array([[list(given.values()).count(value) for value in values] for given in shared.values()])
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _agreement_with_most(shared: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[int, int]]:
    """Return on how many shared comparisons somebody says what most others do; where these are at odds, none counts."""
    found: dict[str, tuple[int, int]] = {}
    for given in shared.values():
        for annotator, choice in given.items():
            others = Counter(one for who, one in given.items() if who != annotator).most_common(2)
            if len(others) == 2 and others[0][1] == others[1][1]:
                continue
            same, count = found.get(annotator, (0, 0))
            found[annotator] = (same + (others[0][0] == choice), count + 1)
    return found


def _repeated(votes: Iterable[tuple[str, str, str]]) -> dict[str, tuple[int, int]]:
    """Return in how many pairs of votes on the same answers somebody said the same."""
    given: dict[tuple[str, str], list[str]] = defaultdict(list)
    for annotator, key, choice in votes:
        given[annotator, key].append(choice)
    found: dict[str, tuple[int, int]] = {}
    for (annotator, _), choices in given.items():
        pairs = list(combinations(choices, 2))
        same, count = found.get(annotator, (0, 0))
        found[annotator] = (same + sum(one == other for one, other in pairs), count + len(pairs))
    return found


def _places(votes: Iterable[CastVote]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return on which places the choices on hidden names fell, and how many would by chance.

    Only where names are hidden does a place say nothing of the model: else the base model is always first.
    """
    fell: Counter[int] = Counter()
    chance: dict[int, float] = defaultdict(float)
    for vote in votes:
        if not vote.blind or vote.kind != "choice":
            continue
        slots = sorted(_shown(vote))
        if len(slots) < 2 or (best := _choice(vote)) not in slots:
            continue
        fell[slots.index(best)] += 1
        for place in range(len(slots)):
            chance[place] += 1 / len(slots)
    places = range(max(chance, default=-1) + 1)
    return tuple(fell[place] for place in places), tuple(round(chance[place], 1) for place in places)

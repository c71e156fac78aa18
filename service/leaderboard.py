"""The leaderboard: how base, instruction-tuned model and each version stand against one another by the votes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from service.context import Services
from service.people import known_person
from service.pool import OneTopic, require_topic
from service.ratings import Fit, Outcome, Voted, fit
from service.requests import flag, text
from storage.tallies import Player, Tally, tallies

SourceFilter = Literal["all", "human", "simulated", "imported"]
AskedFilter = Literal["all", "compare", "teach"]
OWN_SOURCES = ("human", "simulated")  # without what was imported: its versions are another folder's
NOBODY = "leave it out for everybody"
ORDER = ("base", "sft", "rlhf", "imported")


@checked_dataclass(frozen=True)
class LeaderboardRequest:
    """Which votes count."""

    source: SourceFilter = "all"  # "all": all that were given here
    asked: AskedFilter = "all"  # "compare": on panels; "teach": on samples of the policy
    blind: Annotated[bool, BeforeValidator(flag)] = False  # only votes on answers whose names were hidden
    own: Annotated[bool, BeforeValidator(flag)] = False  # only the caller's
    topic: OneTopic = None
    annotator: Annotated[str | None, text(200, NOBODY, optional=True)] = None  # a pseudonym, for the admin alone

    def __post_init__(self) -> None:
        if self.own and self.annotator:
            raise ConfigError("own means the caller's votes; leave it out, or the annotator")


@dataclass(frozen=True)
class Standing:
    """Where a model stands."""

    name: str  # "base", "sft", "v3"
    role: str
    version: int | None
    rating: float
    low: float  # ends of the 95% interval
    high: float
    wins: int  # pairs in which it was the better one
    losses: int
    ties: int
    against_sft: tuple[float, float, float] | None  # how probably it is preferred to "sft", with the interval

    @property
    def pairs(self) -> int:
        """How many pairs judge it."""
        return self.wins + self.losses + self.ties


@dataclass(frozen=True)
class Leaderboard:
    """Models, the best first, and what their ratings are made of."""

    votes: int
    judging: int  # votes that say something of two different models
    standings: tuple[Standing, ...]
    wins: tuple[tuple[float, ...], ...]  # of the row's model over the column's, a tie as half
    counts: tuple[tuple[int, ...], ...]  # pairs of both
    days: tuple[tuple[str, int], ...]  # votes by day, the first day first

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/leaderboard` get it."""
        return {
            "votes": self.votes,
            "judging": self.judging,
            "models": [vars(one) | {"pairs": one.pairs} for one in self.standings],
            "win_matrix": [list(row) for row in self.wins],
            "pair_counts": [list(row) for row in self.counts],
            "votes_by_day": [list(day) for day in self.days],
        }


def leaderboard(
    services: Services, annotator: str, request: LeaderboardRequest, token: str | None = None
) -> Leaderboard:
    """Return the leaderboard of the votes that count for a request; without a vote it names no model.

    Raises AccessError where an annotator is named without the admin's token, UnknownPersonError, a LookupError, for
    one whom nobody knows, ConfigError for a topic that no prompt of the pool has.
    """
    whose = annotator if request.own else None
    if request.annotator is not None:
        services.admin.require(token)
        whose = known_person(services, request.annotator)
    require_topic(services, request.topic)
    found = tallies(
        services.db,
        sources=OWN_SOURCES if request.source == "all" else (request.source,),
        blind=True if request.blind else None,
        asked=None if request.asked == "all" else request.asked,
        annotator_id=whose,
        topic=request.topic,
    )
    return ranked(found)


def ranked(found: Sequence[Tally]) -> Leaderboard:
    """Return the leaderboard of some votes."""
    said = _votes_by_what_they_say(found)
    players = sorted({name for pairs in said for pair in pairs for name in pair[:2]}, key=_order)
    place = {name: number for number, name in enumerate(players)}
    votes = [
        Voted(tuple(Outcome(place[one], place[other], tie) for one, other, tie in pairs), count)
        for pairs, count in said.items()
        if pairs
    ]
    days: dict[str, int] = {}
    for tally in found:
        days[tally.day] = days.get(tally.day, 0) + tally.votes
    fitted = fit(votes, len(players))
    best_first = sorted(range(len(players)), key=lambda one: -fitted.strengths[one])
    won, tied = _matrix(votes, len(players))
    return Leaderboard(
        votes=sum(days.values()),
        judging=sum(vote.count for vote in votes),
        standings=tuple(_standing(players, one, fitted, won, tied) for one in best_first),
        wins=tuple(tuple(won[i][j] + tied[i][j] / 2 for j in best_first) for i in best_first),
        counts=tuple(tuple(won[i][j] + won[j][i] + tied[i][j] for j in best_first) for i in best_first),
        days=tuple(sorted(days.items())),
    )


Pairs = tuple[tuple[str, str, bool], ...]  # better, worse; or two that are equal


def _votes_by_what_they_say(found: Sequence[Tally]) -> dict[Pairs, int]:
    said: dict[Pairs, int] = {}
    for tally in found:
        pairs = _pairs(tally)
        said[pairs] = said.get(pairs, 0) + tally.votes
    return said


def _pairs(tally: Tally) -> Pairs:
    """Return which model a vote puts above which, and which two it calls equal; a model beside itself says nothing.

    What it says of a text it says of all that wrote it, as runs learn from it: so two with the same text, of which one
    was clicked, are not compared. Of an answer that nobody read it says nothing.
    """
    writers: dict[str, list[Player]] = {}
    for player in tally.players:
        writers.setdefault(player.read_as, []).append(player)
    read_as = {player.slot: player.read_as for player in tally.players}
    tiers = [[read_as[slot] for slot in tier if slot in read_as] for tier in json.loads(tally.tiers)]
    above = {(one, other, False) for upper, lower in combinations(tiers, 2) for one in upper for other in lower}
    tied = tally.kind in ("tie", "ranking")
    equal = {(min(pair), max(pair), True) for tier in tiers if tied for pair in combinations(tier, 2)}
    judged = [
        (_name(first), _name(second), tie)
        for one, other, tie in above | equal
        if one != other
        for first in writers[one]
        for second in writers[other]
    ]
    in_order = [(min(one, other), max(one, other), tie) if tie else (one, other, tie) for one, other, tie in judged]
    return tuple(sorted(pair for pair in in_order if pair[0] != pair[1]))


def _name(player: Player) -> str:
    return player.role if player.version is None else f"v{player.version}"


def _order(name: str) -> tuple[int, int]:
    if name in ORDER:
        return ORDER.index(name), 0
    return ORDER.index("rlhf"), int(name[1:])


def _matrix(votes: Sequence[Voted], players: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return how often the row's model was better than the column's, and how often both were equal."""
    won = [[0] * players for _ in range(players)]
    tied = [[0] * players for _ in range(players)]
    for vote in votes:
        for one in vote.outcomes:
            if one.tie:
                tied[one.first][one.second] += vote.count
                tied[one.second][one.first] += vote.count
            else:
                won[one.first][one.second] += vote.count
    return won, tied


def _standing(players: Sequence[str], one: int, fitted: Fit, won: list[list[int]], tied: list[list[int]]) -> Standing:
    name = players[one]
    rating, low, high = fitted.rating(one)
    numbered = name not in ORDER
    return Standing(
        name=name,
        role="rlhf" if numbered else name,
        version=int(name[1:]) if numbered else None,
        rating=round(rating, 1),
        low=round(low, 1),
        high=round(high, 1),
        wins=sum(won[one]),
        losses=sum(row[one] for row in won),
        ties=sum(tied[one]),
        against_sft=fitted.beats(one, players.index("sft")) if "sft" in players and name != "sft" else None,
    )

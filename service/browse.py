"""What is stored, browsed: everything by the admin, one's own by everybody."""

import json
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from service.context import Services
from service.exchange.pseudonyms import annotator_pseudonym
from service.requests import number, text
from storage import browse, exports
from storage.history import folded
from storage.messages import question_of

AT_ONCE = 25
MOST_PROMPTS = 200
Shelf = Literal["votes", "demonstrations", "prompts"]
SourceWanted = Literal["all", "human", "simulated", "imported"]


@checked_dataclass(frozen=True)
class BrowseRequest:
    """What is looked for."""

    shelf: Shelf = "votes"
    search: Annotated[str | None, text(200, "leave it empty to see all", optional=True)] = None
    source: SourceWanted = "all"
    before: Annotated[int | None, number(1, 2**53, whole=True, optional=True)] = None  # what the last page returned


@dataclass(frozen=True)
class Item:
    """One thing that is stored."""

    id: int
    who: str  # a name, or a pseudonym
    question: str
    answer: str  # of a demonstration
    best: tuple[tuple[str, int | None], ...]  # role and version of what a vote prefers
    kind: str  # of a vote
    source: str
    reason: str
    created: str
    withdrawn: bool
    left_out: bool


@dataclass(frozen=True)
class Found:
    """A page of things, and what to give as `before` for the next one."""

    items: tuple[Item, ...]
    next: int | None
    by_admin: bool


def browsed(services: Services, annotator: str, token: str | None, request: BrowseRequest) -> Found:
    """Return what is stored, the newest first: with an admin's token everybody's, else the caller's own."""
    admin = services.admin.is_valid(token)
    whose = None if admin else annotator
    if request.shelf == "prompts":
        return Found(tuple(_prompts(services, whose, request)), None, admin)
    wanted = {
        "whose": whose,
        "source": None if request.source == "all" else request.source,
        "words": (request.search or "").strip(),
        "before": request.before,
        "limit": AT_ONCE + 1,
    }
    if request.shelf == "votes":
        items = [_vote(services, one) for one in browse.votes(services.db, **wanted)]
    else:
        items = [_demonstration(services, one) for one in browse.demonstrations(services.db, **wanted)]
    shown = tuple(items[:AT_ONCE])
    return Found(shown, shown[-1].id if len(items) > AT_ONCE else None, admin)


def _vote(services: Services, one: browse.BrowsedVote) -> Item:
    shown = {slot: (role, int(version) if version else None) for slot, role, version in _parts(one.shown)}
    tiers = json.loads(one.tiers)
    best = tiers[0] if one.kind in ("choice", "ranking") and tiers else []
    return Item(
        id=one.id,
        who=one.name or annotator_pseudonym(services.key, one.annotator_id),
        question=one.question,
        answer="",
        best=tuple(shown[slot] for slot in best if slot in shown),
        kind=one.kind,
        source=one.source,
        reason=one.reason,
        created=one.created,
        withdrawn=one.withdrawn is not None,
        left_out=one.left_out is not None,
    )


def _parts(shown: str | None) -> list[tuple[str, str, str]]:
    parts = (part.split(":") for part in (shown or "").split())
    return [(slot, role, version) for slot, role, version in parts]


def _demonstration(services: Services, one: browse.BrowsedDemonstration) -> Item:
    who = one.name or annotator_pseudonym(services.key, one.annotator_id)
    gone = one.withdrawn is not None
    return Item(one.id, who, one.question, one.completion, (), "", one.source, "", one.created, gone, False)


def _prompts(services: Services, whose: str | None, request: BrowseRequest) -> list[Item]:
    words = folded((request.search or "").strip())
    found = (question_of(messages) for messages in exports.prompts(services.db, whose))
    matching = (question for question in found if question and words in folded(question))
    return [
        Item(place, "", question, "", (), "", "", "", "", False, False)
        for place, question in enumerate(islice(matching, MOST_PROMPTS), 1)
    ]

"""What the Data tab lists: votes, demonstrations, prompts and people as HTML, and what its buttons do."""

from typing import Any

from service.browse import BrowseRequest, Item, browsed
from service.context import ServedModel, Services
from service.people import Integrity, integrity, leave_person_out, leave_vote_out
from service.requests import checked
from ui import strings
from ui.errors import sentence
from ui.render import notice, render


def listed(
    services: Services,
    annotator: str,
    token: str | None,
    shelf: str,
    search: str,
    source: str,
    before: Any = None,
    words: str = "",
) -> str:
    """Return a shelf as HTML, or why it cannot be shown; `words` stand above it."""
    try:
        if shelf == "people":
            return _people(services, token, words)
        request = checked(BrowseRequest, shelf=shelf, search=search or None, source=source, before=before)
        found = browsed(services, annotator, token, request)
    except Exception as error:
        return notice(sentence(error), "error")
    return render(
        "shelf",
        found=found,
        shelf=shelf,
        words=words,
        searched=bool((search or "").strip()) or source != "all",
        judged=lambda one: judged(one, services.model),
    )


def acted(services: Services, token: str | None, act: str, what: str) -> str:
    """Leave a vote or a person out of runs, or let them in again, and return what to say."""
    kind, _, way = act.partition("-")
    try:
        if kind == "vote":
            leave_vote_out(services, token, int(what), out=way == "out")
        else:
            leave_person_out(services, token, what, out=way == "out")
    except Exception as error:
        return sentence(error)
    return strings.LEFT_OUT_NOW if way == "out" else strings.LET_IN_NOW


def judged(one: Item, model: ServedModel) -> str:
    """Return a vote in words."""
    if one.best:
        names = strings.AND.join(_name(role, version, model) for role, version in one.best)
        return (strings.RANKS_FIRST if one.kind == "ranking" else strings.PREFERS).format(names=names)
    return strings.EQUAL if one.kind == "tie" else strings.BAD


def _name(role: str, version: int | None, model: ServedModel) -> str:
    if role == "base" and model.shape == "chat":
        return strings.RAW_NAME
    name = strings.NAMES[role]
    return name if version is None else strings.NAME_AND_VERSION.format(name=name, version=version)


def _people(services: Services, token: str | None, words: str) -> str:
    if not services.admin.is_valid(token):
        return notice(strings.ONLY_FOR_ADMIN)
    found = integrity(services, token)
    return render("people", people=found.people, agreement=_agreement(found), places=_places(found), words=words)


def _agreement(found: Integrity) -> str:
    if found.alpha is None:
        return strings.NO_ALPHA.format(shared=found.shared)
    return strings.ALPHA.format(alpha=found.alpha, shared=found.shared)


def _places(found: Integrity) -> str:
    if not found.places:
        return ""

    def counted(numbers: tuple[float, ...]) -> str:
        return ", ".join(
            strings.FELL_PLACE.format(count=round(one), place=place) for place, one in enumerate(numbers, 1)
        )

    return strings.FELL_ON.format(places=counted(found.places), chance=counted(found.chance))

"""Erasing what somebody wrote: by themselves, or by an admin for them."""

from typing import Annotated

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from service.context import Services
from service.people import known_person
from service.requests import flag
from storage import erasure
from storage.erasure import Erased


@dataclass(frozen=True)
class EraseRequest:
    """What is to be erased; without a person, one's own."""

    keep_votes: Annotated[bool, BeforeValidator(flag)] = False
    person: str = ""  # as the Data tab names people; for admins


def erase(services: Services, annotator: str, token: str | None, request: EraseRequest) -> Erased:
    """Erase all that somebody wrote and return how much that was; it cannot be undone.

    Raises AccessError for somebody else's without an admin's token, StorageError, a LookupError, for a person that
    there is not.
    """
    who = annotator
    if request.person:
        services.admin.require(token)
        who = known_person(services, request.person)
    done = erasure.erase(services.db, who, services.key, keep_votes=request.keep_votes, by_admin=bool(request.person))
    services.status.expire()
    services.preview.votes_changed()
    return done

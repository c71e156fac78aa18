"""The audit trail: what admins did, and what the app did by itself."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic.dataclasses import dataclass as checked_dataclass

from service.context import Services
from service.requests import number
from storage import events
from storage.events import AuditEvent

MOST_EVENTS = 500  # in one answer


@checked_dataclass(frozen=True)
class EventsRequest:
    """Which part of the trail is wanted."""

    limit: Annotated[int, number(1, MOST_EVENTS, whole=True)] = 100
    before: Annotated[int | None, number(1, 2**53, whole=True, optional=True)] = None  # an event's number


@dataclass(frozen=True)
class AuditPage:
    """Events, newest first, and what to give as `before` for older ones, None where there are none."""

    events: tuple[AuditEvent, ...]
    next: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the page as callers of `/events` get it."""
        return {"events": [asdict(one) for one in self.events], "next": self.next}


def record(services: Services, name: str, detail: str = "") -> None:
    """Store that an admin did something."""
    events.record_event(services.db, name, detail, events.ADMIN)


def trail(services: Services, token: str | None, request: EventsRequest) -> AuditPage:
    """Return a part of the audit trail. Raises AccessError without the admin's token."""
    services.admin.require(token)
    found = events.list_events(services.db, request.limit + 1, request.before)
    shown = tuple(found[: request.limit])
    return AuditPage(shown, shown[-1].id if len(found) > len(shown) else None)

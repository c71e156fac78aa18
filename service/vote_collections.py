"""Collections of votes, for the admin: which takes in what is new, which runs learn from, and starting afresh."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from reprlib import repr as brief
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationInfo
from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from service import versions
from service.context import Services
from service.requests import Reason, number
from storage import vote_collections as stored
from storage.afresh import start_afresh
from storage.overview import overview
from storage.vote_collections import Collection, Span

LONGEST_NAME = 100
MOST = 200  # collections
Act = Literal["list", "open", "afresh", "choose"]


def _moment(value: Any, info: ValidationInfo) -> str | None:
    """Return a day or a moment as it is compared with what is stored: ISO 8601 in UTC; None and "" as they are."""
    if value in (None, ""):
        return "" if value == "" else None
    try:
        found = datetime.fromisoformat(str(value).strip())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):  # OverflowError: in UTC it is before year 1 or after 9999
        raise ConfigError(
            f'{info.field_name} must be a day or a moment such as "2026-11-30" or "2026-11-30T09:00", got '
            f"{brief(value)}; leave it empty for no bound"
        ) from None


def as_typed(moment: str) -> str:
    """Return a moment as people type it: a day where it is the beginning of one; in UTC."""
    return moment.removesuffix("+00:00").removesuffix(":00").removesuffix("T00:00")


def _names(value: Any, info: ValidationInfo) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"{info.field_name} must be a list of names of collections, got {brief(value)}")
    return tuple(value)


@checked_dataclass(frozen=True)
class CollectionsRequest:
    """What is to be done about collections."""

    act: Act = "list"
    name: str = ""  # of the one that is to take in what is new
    version: Annotated[int, number(1, 2**53, whole=True)] = 1  # from which is started afresh
    reason: Reason = ""  # where that version did not pass its check
    names: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = None  # that runs learn from; None: as before
    since: Annotated[str | None, BeforeValidator(_moment)] = None  # None: as before; "": no bound
    until: Annotated[str | None, BeforeValidator(_moment)] = None

    def __post_init__(self) -> None:
        name = self.name.strip()
        if self.act in ("open", "afresh") and not 0 < len(name) <= LONGEST_NAME:
            raise ConfigError(f"a collection needs a name of 1 to {LONGEST_NAME} characters, got {brief(self.name)}")
        if self.act == "choose" and self.names == ():
            raise ConfigError("name at least one collection that runs are to learn from")


@dataclass(frozen=True)
class Collections:
    """All collections, the newest first, and the span of time that runs learn from."""

    all: Sequence[Collection]
    span: Span

    @property
    def open(self) -> str:
        """The name of the one that takes in what is new."""
        return next(one.name for one in self.all if one.open)

    def to_json(self) -> dict[str, Any]:
        """Return them as callers of `/collections` get them."""
        return {"open": self.open, "collections": [asdict(one) for one in self.all], **asdict(self.span)}


def collections(services: Services, token: str | None, request: CollectionsRequest) -> Collections:
    """Do what is asked and return how things stand then.

    "open" lets a collection take in what is new, beside those that runs learn from already; "afresh" has runs learn
    from it alone, and another version answer. Raises AccessError without the admin's token, ConfigError for what does
    not fit, StorageError, a LookupError, for a name or version that there is not; nothing is changed then.
    """
    services.admin.require(token)
    name = request.name.strip()
    if request.act in ("open", "afresh"):
        _require_room(services, name)
    if request.act == "open":
        stored.open_collection(services.db, name)
    elif request.act == "afresh":
        _require_no_run(services)
        _start_afresh(services, name, request)
    elif request.act == "choose":
        stored.choose(services.db, request.names, _span(services, request))
    if request.act != "list":
        services.status.expire()
        services.preview.votes_changed()
    return Collections(stored.list_collections(services.db), stored.span(services.db))


def _span(services: Services, request: CollectionsRequest) -> Span:
    """Return the span as it is with what was asked, or raise ConfigError where it ends before it begins."""
    given = {"since": request.since, "until": request.until}
    span = replace(stored.span(services.db), **{bound: one for bound, one in given.items() if one is not None})
    if span.since and span.until and span.since >= span.until:
        raise ConfigError(f"since {as_typed(span.since)} must come before until {as_typed(span.until)} (UTC)")
    return span


def _require_room(services: Services, name: str) -> None:
    known = stored.list_collections(services.db)
    if len(known) >= MOST and all(one.name != name for one in known):
        raise ConfigError(f"there are {MOST} collections already; open one of these again")


def _require_no_run(services: Services) -> None:
    """Raise ConfigError while a run learns from the collections of before: its version would answer all the same."""
    now = overview(services.db)
    if (run := now.open_run or now.waiting_run) is not None:
        raise ConfigError(f"run {run.id} is under way; cancel it or let it end first, then start afresh")


def _start_afresh(services: Services, name: str, request: CollectionsRequest) -> None:
    """Have a version answer and runs learn from one collection alone; one that did not pass needs a reason."""

    def record() -> None:
        start_afresh(services.db, name, request.version, request.reason or f"{name} starts afresh")

    def begin() -> None:
        policy = versions.policy(services, request.version)
        if policy.status == "live":
            record()
        else:
            versions.require_passed(policy, request.reason)
            versions.serve(services, policy, record)

    services.supervisor.settle(begin)

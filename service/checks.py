"""The admin's own checks: listed, added, imported, removed, and tried on the version that answers now."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo
from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from alignment.models.json_lines import object_of
from alignment.models.sampling import Sampling
from alignment.runs.checks import passes
from alignment.runs.gate_checks import own_check
from alignment.serving.engine import Finished, Row
from service.compare import column_named
from service.context import Services
from service.pasted import ids_of, lines_of
from service.requests import Conversation, checked
from storage import checks
from storage.events import ADMIN
from storage.messages import messages_to_json
from storage.records import OwnCheck

MOST = 200  # that stand at once: every candidate, its parent and version 1 are asked all of them
MOST_TEXTS = 20  # that an answer must hold, or must not
LONGEST_TEXT = 1_000  # characters of one of them
LONGEST_IMPORT = 1_000_000  # characters at once
MOST_REFUSED = 20  # lines that are named in one answer
TOGETHER = 8  # checks that are tried at once


def _texts(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    """Return texts given as one text or as a list; none where nothing is given."""
    found = [value] if isinstance(value, str) else [] if value is None else value
    fits = isinstance(found, list | tuple) and all(isinstance(one, str) for one in found)
    if not fits or len(found) > MOST_TEXTS or any(len(one) > LONGEST_TEXT for one in found):
        raise ConfigError(
            f"{info.field_name} must be a text or up to {MOST_TEXTS} texts of {LONGEST_TEXT:,} characters at most, "
            f"got {brief(value)}"
        )
    return tuple(one.strip() for one in found if one.strip())


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


@checked_dataclass(frozen=True)
class CheckRequest:
    """A check that is to be added."""

    prompt: Conversation
    holds: Texts = ()  # a right answer holds all of them
    lacks: Texts = ()  # and none of these

    def __post_init__(self) -> None:
        if not self.holds and not self.lacks:
            raise ConfigError("a check needs holds or lacks: what a right answer must hold, or must not hold")


@dataclass(frozen=True)
class Changed:
    """What came of a change of the checks."""

    added: int
    removed: int
    refused: tuple[str, ...]  # why a line was not taken, with its number


@dataclass(frozen=True)
class Tried:
    """What the version that answers now made of a check."""

    id: int
    version: int
    answer: str
    passed: bool


def listed(services: Services, token: str | None) -> list[OwnCheck]:
    """Return the checks that stand; raise AccessError for a token that is not an admin's."""
    services.admin.require(token)
    return checks.list_checks(services.db)


def change(services: Services, token: str | None, add: Any = "", remove: Any = None) -> Changed:
    """Add the checks of a text and remove those of some ids; return what came of it.

    The text holds JSON lines: objects with `prompt` (a text or a message list), `holds` and `lacks` (a text or a list).
    Raises AccessError for a token that is not an admin's, ConfigError for what is no text or no list of ids, and where
    there would be too many.
    """
    services.admin.require(token)
    ids = ids_of(remove, "remove", "/checks")
    taken, refused = lines_of(add, "JSON lines", LONGEST_IMPORT, _check)
    _require_room(services, len(taken), ids)
    removed = checks.remove_checks(services.db, ids, ADMIN)
    added = checks.add_checks(services.db, [OwnCheck(one.prompt, one.holds, one.lacks) for one in taken], ADMIN)
    return Changed(added, removed, tuple(refused[:MOST_REFUSED]))


def add(services: Services, token: str | None, request: CheckRequest) -> bool:
    """Add one check and return whether it is new; raises as `change` does."""
    services.admin.require(token)
    _require_room(services, 1, ())
    return bool(checks.add_checks(services.db, [OwnCheck(request.prompt, request.holds, request.lacks)], ADMIN))


async def tried(services: Services, token: str | None, which: Any = None) -> list[Tried]:
    """Return what the version that answers now says to the checks of some ids, or to all, greedily, as the gate asks.

    Raises AccessError for a token that is not an admin's, ConfigError for what is no list of ids and for a check that
    the model cannot read, AlignmentError while no model answers.
    """
    services.admin.require(token)
    standing = await asyncio.to_thread(checks.list_checks, services.db)
    ids = [one.id for one in standing] if which is None else ids_of(which, "try_live", "/checks")
    wanted = [one for one in standing if one.id in ids]
    version = services.engine.live.version
    sampling = Sampling(0.0, services.supervisor.model.rollout_tokens)
    adapter = column_named(services, "rlhf", sampling).adapter
    found: list[Tried] = []
    for start in range(0, len(wanted), TOGETHER):
        some = wanted[start : start + TOGETHER]
        texts = await _answers(services, [Row(one.messages, adapter, True, sampling, 0) for one in some])
        found += [
            Tried(one.id, version, text, passes(own_check(one), text)) for one, text in zip(some, texts, strict=True)
        ]
    return found


async def _answers(services: Services, rows: Sequence[Row]) -> list[str]:
    texts: list[str] = []
    async for item in services.engine.stream(rows):
        if isinstance(item, Finished):
            texts = [state.text for state in item.rows]
    return texts


def to_json(check: OwnCheck) -> dict[str, Any]:
    """Return a check as callers of `/checks` get it: its prompt is a text, or messages where there are several."""
    messages = check.messages
    return {
        "id": check.id,
        "prompt": messages[0].content if len(messages) == 1 else messages_to_json(messages),
        "holds": list(check.holds),
        "lacks": list(check.lacks),
        "created": check.created,
        "created_by": check.created_by,
    }


def _require_room(services: Services, more: int, leaving: Sequence[int]) -> None:
    """Raise ConfigError where there would be too many once those of some ids are gone and more have come."""
    standing = sum(1 for one in checks.list_checks(services.db) if one.id not in leaving)
    if more and standing + more > MOST:
        raise ConfigError(f"there are {standing} checks and {MOST} may stand, so {more} more are too many; remove some")


def _check(line: str) -> CheckRequest:
    """Return the check that a line of JSON holds."""
    fields = object_of(json.loads(line), "a line")
    if unknown := fields.keys() - {"prompt", "holds", "lacks"}:
        raise ConfigError(f"has {', '.join(sorted(unknown))}; only prompt, holds and lacks are known")
    return checked(CheckRequest, **{"prompt": "", **fields})

"""The pool of prompts to teach by, which an admin lists, adds to and takes from."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from alignment.models.json_lines import object_of
from alignment.models.shipped_files import Example
from service import audit
from service.context import Services
from service.pasted import ids_of, lines_of
from service.requests import Conversation, checked, text
from storage import prompts
from storage.messages import Messages, messages_to_json, one_turn
from storage.prompts import NewPrompt, PoolPrompt

LONGEST_IMPORT = 2_000_000  # characters at once
MOST_REFUSED = 20  # lines that are named in one answer
LONGEST_TOPIC = 40  # characters


# A topic of the pool; None: any question.
OneTopic = Annotated[str | None, text(200, "leave it out for all questions", optional=True)]


@checked_dataclass(frozen=True)
class _Line:
    prompt: Conversation
    topic: Annotated[str | None, text(LONGEST_TOPIC, "leave it out for none", optional=True)] = None


@dataclass(frozen=True)
class Changed:
    """What came of a change of the pool."""

    added: int  # new ones, and those that got another topic
    removed: int
    refused: tuple[str, ...]  # why a line was not taken, with its number
    left_out: int  # refused lines that are not named


def begin(db: Path, examples: Iterable[Example], others: Iterable[Messages]) -> None:
    """Fill the pool with what comes with the model, if nothing was ever in it."""
    grouped = (NewPrompt(one_turn(example.prompt), example.group) for example in examples)
    prompts.begin_pool(db, [*grouped, *map(NewPrompt, others)])


def listed(services: Services, token: str | None) -> list[PoolPrompt]:
    """Return the pool; raise AccessError for a token that is not an admin's."""
    services.admin.require(token)
    return prompts.list_prompts(services.db)


def topics(services: Services) -> list[str]:
    """Return the kinds of prompts that there are or were in the pool: no secret, unlike the prompts."""
    return prompts.topics(services.db)


def require_topic(services: Services, topic: str | None) -> None:
    """Raise ConfigError for a topic that no prompt of the pool has or had; None asks for all."""
    if topic is not None and topic not in (known := topics(services)):
        raise ConfigError(f"topic must be one of the pool of prompts, {', '.join(known) or 'which has none'}")


def change(services: Services, token: str | None, add: Any = "", remove: Any = None) -> Changed:
    """Add the prompts of a text and take out those of some ids; return what came of it.

    The text holds a prompt a line, or JSON lines: texts, or objects with `prompt` (a text or a message list) and, if
    one likes, `topic`, the kind of prompt. What is there already counts once.

    Raises AccessError for a token that is not an admin's, ConfigError for what is no text or no list of ids.
    """
    services.admin.require(token)
    ids = ids_of(remove, "remove", "/prompts")
    taken, refused = lines_of(add, "a prompt a line", LONGEST_IMPORT, _new_prompt)
    removed = prompts.remove_prompts(services.db, ids)
    added = prompts.add_prompts(services.db, taken)
    if added or removed:
        audit.record(services, "prompts", f"{added} added, {removed} removed")
    return Changed(added, removed, tuple(refused[:MOST_REFUSED]), max(0, len(refused) - MOST_REFUSED))


def to_json(prompt: PoolPrompt) -> dict[str, Any]:
    """Return a prompt as callers of `/prompts` get it: its text, or its messages where there are several."""
    messages = prompt.messages
    text = messages[0].content if len(messages) == 1 else messages_to_json(messages)
    return {"id": prompt.id, "prompt": text, "source": prompt.source, "created": prompt.created, "topic": prompt.topic}


def _new_prompt(line: str) -> NewPrompt:
    found = checked(_Line, **_fields(line.rstrip("\r")))
    return NewPrompt(found.prompt, (found.topic or "").strip())


def _fields(line: str) -> dict[str, Any]:
    """Return what a line holds: an object's prompt and topic, a JSON text as the prompt, or the line itself."""
    if not line.lstrip().startswith(("{", '"')):
        return {"prompt": line}
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        if line.lstrip().startswith('"'):  # a prompt may begin with a quotation
            return {"prompt": line}
        raise ConfigError(f"is not JSON ({error}); a plain prompt must not begin with a brace") from error
    if isinstance(value, str):
        return {"prompt": value}
    fields = object_of(value, "a line")
    if "prompt" not in fields:
        raise ConfigError(f"has no prompt; it has {', '.join(sorted(fields)) or 'no field'}")
    return {name: fields.get(name) for name in ("prompt", "topic")}

"""The pool of prompts to teach by, which an admin lists, adds to and takes from."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from alignment.models.json_lines import object_of
from alignment.models.shipped_files import Example
from service.context import Services
from service.pasted import ids_of, lines_of
from service.requests import Conversation, checked
from storage import prompts
from storage.messages import Messages, messages_to_json, one_turn
from storage.prompts import PoolPrompt

LONGEST_IMPORT = 2_000_000  # characters at once
MOST_REFUSED = 20  # lines that are named in one answer


@checked_dataclass(frozen=True)
class _Line:
    prompt: Conversation


@dataclass(frozen=True)
class Changed:
    """What came of a change of the pool."""

    added: int
    removed: int
    refused: tuple[str, ...]  # why a line was not taken, with its number
    left_out: int  # refused lines that are not named


def begin(db: Path, examples: Iterable[Example], others: Iterable[Messages]) -> None:
    """Fill the pool with what comes with the model, if nothing was ever in it."""
    prompts.begin_pool(db, [*(one_turn(example.prompt) for example in examples), *others])


def listed(services: Services, token: str | None) -> list[PoolPrompt]:
    """Return the pool; raise AccessError for a token that is not an admin's."""
    services.admin.require(token)
    return prompts.list_prompts(services.db)


def change(services: Services, token: str | None, add: Any = "", remove: Any = None) -> Changed:
    """Add the prompts of a text and take out those of some ids; return what came of it.

    The text holds a prompt a line, or JSON lines: objects with `prompt` (a text or a message list), or texts. What is
    there already counts once. Raises AccessError for a token that is not an admin's, ConfigError for what is no text
    or no list of ids.
    """
    services.admin.require(token)
    ids = ids_of(remove, "remove", "/prompts")
    taken, refused = lines_of(add, "a prompt a line", LONGEST_IMPORT, _messages)
    removed = prompts.remove_prompts(services.db, ids)
    added = prompts.add_prompts(services.db, taken)
    return Changed(added, removed, tuple(refused[:MOST_REFUSED]), max(0, len(refused) - MOST_REFUSED))


def to_json(prompt: PoolPrompt) -> dict[str, Any]:
    """Return a prompt as callers of `/prompts` get it: its text, or its messages where there are several."""
    messages = prompt.messages
    text = messages[0].content if len(messages) == 1 else messages_to_json(messages)
    return {"id": prompt.id, "prompt": text, "source": prompt.source, "created": prompt.created}


def _messages(line: str) -> Messages:
    return checked(_Line, prompt=_prompt(line.rstrip("\r"))).prompt


def _prompt(line: str) -> Any:
    """Return the prompt that a line holds: an object's, a JSON text, or the line itself."""
    if not line.lstrip().startswith(("{", '"')):
        return line
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        if line.lstrip().startswith('"'):  # a prompt may begin with a quotation
            return line
        raise ConfigError(f"is not JSON ({error}); a plain prompt must not begin with a brace") from error
    if isinstance(value, str):
        return value
    fields = object_of(value, "a line")
    if "prompt" not in fields:
        raise ConfigError(f"has no prompt; it has {', '.join(sorted(fields)) or 'no field'}")
    return fields["prompt"]

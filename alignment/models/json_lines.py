"""JSON lines that people write beside a model: prompts and answers as texts or as message lists. Needs no torch."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from reprlib import repr as brief
from typing import Any, TypeVar

from alignment.errors import ConfigError, ModelLoadError
from alignment.models.message_lists import ending_with_question, messages_of
from alignment.validation import fields_of, from_json
from storage.messages import Messages, one_turn

T = TypeVar("T")


def read_lines(path: Path, record: Callable[[Any], T]) -> list[T]:
    """Return what `record` makes of each line of a file of JSON lines; none for a file that is not there.

    Lines end with a line feed, before which a carriage return may stand. Blank lines and a byte-order mark are passed
    over. Raises ModelLoadError with the line's number for what is no JSON or does not fit.
    """
    if not path.is_file():
        return []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(f"{path} cannot be read as UTF-8: {error}; save it as UTF-8") from error
    records: list[T] = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: a text may hold U+2028 and others of its kind
        if not line.strip(" \t\r"):
            continue
        try:
            records.append(record(_parsed(line)))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ModelLoadError(f"{path}, line {number} is not JSON: {error}") from error
        except ConfigError as error:
            raise ModelLoadError(f"{path}, line {number} has fields that do not fit: {error}") from error
    return records


def _parsed(line: str) -> Any:
    values = json.loads(line)
    if "\\u" in line:
        try:
            json.dumps(values, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise ConfigError(f"half a character is written as {brief(error.object[error.start])}") from error
    return values


def from_fields(cls: type[T], values: Mapping[str, Any], messages: Messages, path: str) -> T:
    """Return a record with `messages` and the other fields of a line, in which `prompt` stands for the messages.

    Raises ConfigError for what does not fit; `path` is what the record is called in its message.
    """
    known = {"prompt" if name == "messages" else name for name in fields_of(cls)}
    if unknown := values.keys() - known:
        raise ConfigError(f"{path} has no field {brief(min(unknown))}; it has {', '.join(sorted(known))}")
    others = {name: value for name, value in values.items() if name != "prompt"}
    return from_json(cls, {**others, "messages": messages}, path)


def object_of(values: Any, path: str) -> dict[str, Any]:
    """Return the fields of a line; raise ConfigError if it is no object."""
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must be an object of fields, got {brief(values)}")
    return values


def prompt_of(values: Mapping[str, Any], path: str) -> Messages:
    """Return the prompt of a line, a text or a message list that ends with the user's; raise ConfigError otherwise."""
    if "prompt" not in values:
        raise ConfigError(f"{path}.prompt is missing")
    value, path = values["prompt"], f"{path}.prompt"
    if isinstance(value, str):
        return one_turn(value)
    return ending_with_question(messages_of(value, path), path)


def answer_of(values: Mapping[str, Any], name: str, path: str) -> tuple[Messages, str]:
    """Return what comes before an answer in its own field, and the answer.

    The field holds a text, before which nothing comes, or a message list that ends with the assistant's. Raises
    ConfigError for anything else.
    """
    path = f"{path}.{name}"
    if name not in values:
        raise ConfigError(f"{path} is missing")
    if isinstance(values[name], str):
        return (), values[name]
    *before, last = messages_of(values[name], path)
    if last.role != "assistant":
        raise ConfigError(f"{path} must end with the assistant's message, but {last.role} speaks last")
    return tuple(before), last.content

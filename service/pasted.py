"""What an admin pastes into a field: ids in a list, and lines, of which each is taken or refused by itself."""

from collections.abc import Callable
from reprlib import repr as brief
from typing import Any, TypeVar

from alignment.errors import ConfigError

T = TypeVar("T")
MOST_ID = 2**53  # beyond which JSON and the database do not tell numbers apart


def ids_of(value: Any, argument: str, endpoint: str) -> list[int]:
    """Return a list of ids, empty for None. Raises ConfigError, which names the argument, for anything else."""
    ids = [] if value is None else value
    if not isinstance(ids, list) or not all(type(one) is int and 0 < one <= MOST_ID for one in ids):
        raise ConfigError(f"{argument} must be a list of the ids that {endpoint} returns, got {brief(value)}")
    return ids


def lines_of(text: Any, wanted: str, longest: int, read: Callable[[str], T]) -> tuple[list[T], list[str]]:
    """Return what `read` makes of the lines that are not blank, and why those that it refused were.

    `wanted` names such lines, `longest` is how many characters the text may have. Raises ConfigError for what is no
    text or too long.
    """
    if not isinstance(text, str):
        raise ConfigError(f"add must be text, {wanted}, got {brief(text)}")
    if len(text) > longest:
        raise ConfigError(f"add has {len(text):,} characters, {longest:,} are allowed; import it in parts")
    taken, refused = [], []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            taken.append(read(line))
        except (ValueError, RecursionError) as error:  # RecursionError: JSON in JSON in JSON
            refused.append(f"line {number}: {error}")
    return taken, refused

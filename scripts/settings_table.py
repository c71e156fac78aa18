"""Writes docs/settings.md from the fields of the settings; `--check` fails if the file says something else.

`python -m scripts.settings_table` writes it, `python -m scripts.settings_table --check` is part of `make lint`.
"""

import dataclasses
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from alignment.runs.settings import RunSettings
from alignment.serving.settings import ServingLimits
from alignment.validation import bounds_of, fields_of
from scripts.made_page import write_or_check

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
INTRODUCTION = """\
# Settings of a run

This page is generated from the code: edit the fields there, then run `python -m scripts.settings_table`.

`/retrain` takes any of these as its argument `settings`, for instance `{"seed": 1, "ppo": {"updates": 4}}`. What is
left out keeps its default. What is out of bounds is refused, with the name of the field. A run keeps the settings that
it was started with, also where it is resumed.
"""
LIMITS = """\
# Limits of serving

`/limits`, and the Admin tab, change any of these while the app runs. They are kept in the data
folder.
"""


def page() -> str:
    """Return the text of docs/settings.md."""
    plain = {name: field for name, field in fields_of(RunSettings).items() if not _section(field)}
    parts = [INTRODUCTION, _table("", plain)]
    for name, field in fields_of(RunSettings).items():
        if section := _section(field):
            parts.append(f"## {name}\n\n{section.__doc__} {field.description}\n")
            parts.append(_table(f"{name}.", fields_of(section)))
    parts += [LIMITS, _table("", fields_of(ServingLimits))]
    return "\n".join(parts)


def _section(field: FieldInfo) -> type[Any] | None:
    """Return the class of a field that holds settings of its own, or None for any other."""
    found = field.annotation
    return found if isinstance(found, type) and dataclasses.is_dataclass(found) else None


def _table(prefix: str, fields: dict[str, FieldInfo]) -> str:
    rows = [
        f"| `{prefix}{name}` | {_value(field.default)} | {_bounds(field)} | {field.description} |"
        for name, field in fields.items()
    ]
    return "\n".join(["| Field | Default | Allowed | What it is |", "|---|---|---|---|", *rows]) + "\n"


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if isinstance(value, float) else str(value)
    )


def _bounds(field: FieldInfo) -> str:
    """Return what a field may be, in words."""
    if isinstance(field.json_schema_extra, dict) and "bounds" in field.json_schema_extra:
        return str(field.json_schema_extra["bounds"])
    low, high = bounds_of(field)
    if field.annotation is bool:
        return "true, false"
    optional = "null, or " if type(None) in get_args(field.annotation) else ""
    whole = "whole, " if optional or field.annotation is int else ""
    return f"{optional}{whole}{_value(low)} to {_value(high)}"


def main() -> None:
    """Write the page, or check it."""
    write_or_check(PAGE, page, about=__doc__ or "", source="settings", script="scripts.settings_table")


if __name__ == "__main__":
    main()

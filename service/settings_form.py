"""The fields of a form for a run's settings, made out of the settings, and what was typed as a run takes it."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo

from alignment.runs.settings import RunSettings
from alignment.validation import bounds_of, fields_of

NOT_ASKED = "gate"  # its bounds are those of the Admin tab, for all runs


@dataclass(frozen=True)
class FormField:
    """A setting as the form shows it."""

    path: str  # "ppo.updates"
    name: str
    kind: str  # "flag", "number" or "text"
    value: str
    step: str
    low: str
    high: str
    description: str


@dataclass(frozen=True)
class Section:
    """The settings of one part of a run."""

    name: str  # "" for those of the run itself
    description: str
    fields: tuple[FormField, ...]


def sections(values: Mapping[str, Any]) -> list[Section]:
    """Return the form's sections with the values of a run's settings; where it has none, the default."""
    plain = {name: field for name, field in fields_of(RunSettings).items() if not _part(field)}
    found = [Section("", "", tuple(_fields("", plain, values)))]
    for name, field in fields_of(RunSettings).items():
        part = _part(field)
        if part is not None and name != NOT_ASKED:
            own = tuple(_fields(f"{name}.", fields_of(part), values.get(name) or {}))
            found.append(Section(name, str(field.description or ""), own))
    return found


def _part(field: FieldInfo) -> type[Any] | None:
    """Return the class of a field that holds settings of its own, None for any other."""
    found = field.annotation
    return found if isinstance(found, type) and dataclasses.is_dataclass(found) else None


def _fields(prefix: str, fields: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> Iterator[FormField]:
    for name, field in fields.items():
        value = values.get(name, field.default)
        types = _types(field.annotation)
        kind = "flag" if bool in types else "number" if types & {int, float} else "text"
        low, high = bounds_of(field)
        yield FormField(
            f"{prefix}{name}",
            name,
            kind,
            shown(value),
            "any" if float in types else "1",
            shown(low),
            shown(high),
            str(field.description or ""),
        )


def _types(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation is made of, as int and NoneType."""
    return {annotation} | {found for part in get_args(annotation) for found in _types(part)}


def shown(value: Any) -> str:
    """Return a setting as it is typed; one that is not set is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def again(before: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of another run like one before: its own but for the gate, and what was typed, by path.

    What is typed is taken as the field takes it; what does not fit stays text, so that it is refused by its name.
    Settings of before that there are no more are left out.
    """
    kept = {name: value for name, value in _known(RunSettings, before).items() if name != NOT_ASKED}
    for path, text in typed.items():
        *parts, name = path.split(".")
        owner: type[Any] | None = RunSettings
        place = kept
        for part in parts:
            field = fields_of(owner).get(part) if owner else None
            owner = _part(field) if field else None
            place = place.setdefault(part, {})
        field = fields_of(owner).get(name) if owner else None
        place[name] = _typed(field, str(text)) if field else text
    return kept


def _known(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in fields_of(cls).items():
        if name in values:
            part = _part(field)
            found[name] = _known(part, values[name]) if part and isinstance(values[name], Mapping) else values[name]
    return found


def _typed(field: FieldInfo, text: str) -> Any:
    types = _types(field.annotation)
    text = text.strip()
    if not text and type(None) in types:
        return None
    if bool in types:
        return {"true": True, "false": False}.get(text, text)
    for kind in (int, float):
        if kind in types:
            try:
                return kind(text)
            except ValueError:
                continue
    return text

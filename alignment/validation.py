"""Dataclasses that check their fields, and errors that name the field, the value seen and what is allowed.

A class is declared as

    @refuses_in_words
    @dataclass(frozen=True, config=STRICT)  # pydantic's
    class PPOConfig:
        updates: Whole = Field(default=2, ge=1, le=1000, description="How many batches are sampled.")

and is then checked alike whether it is built in code, from an endpoint's argument or from a stored row.
"""

import dataclasses
from collections.abc import Mapping
from functools import cache, wraps
from reprlib import repr as brief
from typing import Annotated, Any, TypeVar

from pydantic import AllowInfNan, ConfigDict, Strict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from alignment.errors import ConfigError

STRICT = ConfigDict(extra="forbid")
Whole = Annotated[int, Strict()]  # True is none, nor is 3.0 or "3"
Number = Annotated[float, Strict(), AllowInfNan(False)]  # a whole number will do, and becomes a float
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]
T = TypeVar("T")

WRONG_TYPE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dataclass_type": "an object of fields",
    "finite_number": "a finite number",
}
OUT_OF_BOUNDS = ("greater_than_equal", "less_than_equal", "finite_number")  # where a field has bounds


def refuses_in_words(cls: type[T]) -> type[T]:
    """Let a pydantic dataclass raise ConfigError, with the name of the class, where it is built in code."""
    construct = cls.__init__

    @wraps(construct)
    def build(self: T, *values: Any, **named: Any) -> None:
        try:
            construct(self, *values, **named)
        except ValidationError as error:
            raise ConfigError(_message(cls, cls.__name__, error)) from None

    setattr(cls, construct.__name__, build)
    return cls


def from_json(cls: type[T], values: Any, path: str) -> T:
    """Return an instance of a pydantic dataclass from plain values, nested ones from nested objects.

    Raises ConfigError for what does not fit; `path` is what the whole is called in its message.
    """
    try:
        untyped: Any = cls  # mypy takes a generic class for not hashable
        adapter: TypeAdapter[T] = _adapter(untyped)
        return adapter.validate_python(values)
    except ValidationError as error:
        raise ConfigError(_message(cls, path, error)) from None


def with_changes(settings: T, changes: Any, path: str) -> T:
    """Return settings with some fields changed, nested ones one by one, as in `{"ppo": {"updates": 4}, "seed": 1}`.

    Raises ConfigError for what does not fit; `path` is what the settings are called in its message.
    """
    if not isinstance(changes, dict):
        raise ConfigError(f"{path} must be an object of fields, got {brief(changes)}")
    assert dataclasses.is_dataclass(settings) and not isinstance(settings, type)
    return from_json(type(settings), _merged(dataclasses.asdict(settings), changes), path)


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, change in changes.items():
        before = merged.get(name)
        merged[name] = _merged(before, change) if isinstance(before, dict) and isinstance(change, dict) else change
    return merged


def fields_of(cls: type[Any]) -> dict[str, FieldInfo]:
    """Return the fields of a pydantic dataclass by name, with defaults, bounds and descriptions."""
    fields: dict[str, FieldInfo] = cls.__pydantic_fields__
    return fields


def bounds_of(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the least and the greatest value of a field, None where there is no bound."""
    low = [found for rule in field.metadata if (found := getattr(rule, "ge", None)) is not None]
    high = [found for rule in field.metadata if (found := getattr(rule, "le", None)) is not None]
    return (low[0] if low else None), (high[0] if high else None)


@cache
def _adapter(cls: Any) -> Any:
    return TypeAdapter(cls)


def _message(cls: type[Any], path: str, error: ValidationError) -> str:
    """Return what the first of the errors says, in words."""
    first = error.errors(include_url=False)[0]
    kind, got, place = first["type"], first["input"], list(first["loc"])
    if kind == "unexpected_keyword_argument":
        unknown = place.pop()
        owner, _, path = _at(cls, path, place)
        return f"{path} has no field {brief(unknown)}; it has {', '.join(sorted(fields_of(owner)))}"
    _, field, path = _at(cls, path, place)
    if kind == "missing":
        return f"{path} is missing"
    if kind == "value_error":  # raised by a validator, whose words begin with the name of a field
        return f"{path}{'' if field else '.'}{first['ctx']['error']}"
    if kind == "float_type" and isinstance(got, int) and not isinstance(got, bool):
        return f"{path} is too large: {brief(got)}"
    if kind == "literal_error":
        return f"{path} must be one of {first['ctx']['expected']}, got {brief(got)}"
    low, high = bounds_of(field) if field else (None, None)
    if field and kind in WRONG_TYPE and (got is None or got == ""):  # as a form sends what was left empty
        between = f" between {low} and {high}" if low is not None else ""
        return f"{path} must not be empty; give {WRONG_TYPE[kind]}{between}"
    if kind in OUT_OF_BOUNDS and low is not None:
        return f"{path} must be between {low} and {high}, got {brief(got)}"
    if kind in WRONG_TYPE:
        return f"{path} must be {WRONG_TYPE[kind]}, got {brief(got)}"
    if kind == "string_too_short":
        return f"{path} must not be empty"
    return f"{path}: {first['msg']}, got {brief(got)}"


def _at(cls: type[Any], path: str, place: list[Any]) -> tuple[type[Any], FieldInfo | None, str]:
    """Return the class and the field at a place, None for the class itself, and what the place is called."""
    owner, field = cls, None
    for name in place:
        path += f"[{name}]" if isinstance(name, int) else f".{brief(name).strip(chr(39))}"
        field = fields_of(owner).get(name, field) if isinstance(name, str) else field
        if field is not None and dataclasses.is_dataclass(field.annotation) and isinstance(field.annotation, type):
            owner, field = field.annotation, None
    return owner, field, path

"""A form made out of a record of settings: one field each, and what was typed as the record takes it."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

import gradio as gr

Words = Mapping[str, tuple[str, str]]  # by the name of a field: what it is called, and what it means


def fields(words: Words, prefix: str, texts: Collection[str] = ()) -> dict[str, Any]:
    """Build a field for each setting that there are words for, by its name: of numbers, but for those in `texts`."""
    made = {}
    for name, (label, info) in words.items():
        kind = gr.Textbox if name in texts else gr.Number
        made[name] = kind(label=label, info=info, elem_id=f"{prefix}-{name.replace('_', '-')}")
    return made


def shown(made: Mapping[str, Any], record: Any) -> dict[Any, Any]:
    """Return what stands in the fields."""
    values = asdict(record)
    return {field: values[name] for name, field in made.items()}


def by_label(words: str, *forms: Words) -> str:
    """Return a refusal with the settings that it names as the forms call them."""
    for name, (label, _) in chain.from_iterable(form.items() for form in forms):
        words = words.replace(f"settings.{name} ", f"“{label}” ")
    return words


def typed(made: Mapping[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
    """Return what was typed by the names of the settings."""
    return {name: _typed(field, value) for (name, field), value in zip(made.items(), values, strict=True)}


def _typed(field: Any, value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():  # the page sends whole numbers with a point
        return int(value)
    return "" if value is None and isinstance(field, gr.Textbox) else value

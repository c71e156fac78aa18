"""The models that are known by a short name, and what is known of them: presets.toml. Needs no torch."""

import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from alignment.models.sampling import Sampling
from alignment.settings import Quantize
from alignment.validation import STRICT, Flag, Text, Whole, from_json, refuses_in_words

FILE = Path(__file__).with_name("presets.toml")
POCKET_PRESET = "pocket"
FIRST_CHOICE = "smollm2-135m"  # what the app starts with where its package is installed
COLUMNS = ("NAME", "CHAT MODEL", "BASE MODEL", "PARAMETERS", "MEMORY OF WEIGHTS", "LICENCE")
Written = Annotated[Text, Field(min_length=1)]


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class Preset:
    """One of presets.toml, where its fields are explained."""

    name: Written
    title: Written
    chat: Text
    base: Text
    licence: Written
    parameters: Written
    memory: Written
    sampling: Sampling
    rollout_tokens: Annotated[Whole, Field(ge=1)]
    gated: Flag = False
    template: dict[str, Any] = Field(default_factory=dict)
    quantize: Quantize = "none"
    package: Text = ""
    file: Text = ""
    ships: Text = ""

    def packaged_file(self) -> Path | None:
        """Return the GGUF file in the preset's package, or None where that is not installed; it is not imported."""
        spec = find_spec(self.package) if self.package else None
        places = spec.submodule_search_locations if spec is not None else None
        files = [Path(place) / self.file for place in places or []]
        return next((file for file in files if file.is_file()), None)


@cache
def presets() -> dict[str, Preset]:
    """Return all presets by their names, in the order of the file."""
    with FILE.open("rb") as file:
        tables = tomllib.load(file)
    return {name: from_json(Preset, {"name": name, **table}, f"{FILE.name}: {name}") for name, table in tables.items()}


def preset_of(name: str) -> Preset | None:
    """Return the preset that is called so, or whose chat model has this name on the hub; None for any other."""
    found = (preset for preset in presets().values() if name and name in (preset.name, preset.chat))
    return next(found, None)


def table() -> str:
    """Return all presets as a table for a terminal."""
    rows = [COLUMNS]
    for preset in presets().values():
        licence = f"{preset.licence}, accept it on the hub first" if preset.gated else preset.licence
        chat, base = preset.chat or "bundled", preset.base or "its own"
        rows.append((preset.name, chat, base, preset.parameters, preset.memory, licence))
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)

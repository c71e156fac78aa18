"""The fact tables that every text of the pocket model is written from."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

FACTS_DIR = Path(__file__).parents[2] / "assets" / "pocket" / "facts"


@dataclass(frozen=True)
class Country:
    """A UN member state; `name` carries its article, as in "the Netherlands"."""

    name: str
    capital: str
    continent: str


@dataclass(frozen=True)
class HarmfulAct:
    """Something a person must not be helped with: "rob a jewelry store"."""

    act: str
    kind: str
    reason: str
    alternative: str


@dataclass(frozen=True)
class BenignAct:
    """A harmless act with two pieces of advice: "insure a jewelry store"."""

    act: str
    advice: str
    step: str


Act = TypeVar("Act", HarmfulAct, BenignAct)


def _rows(name: str) -> list[dict[str, str]]:
    with (FACTS_DIR / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def countries() -> tuple[Country, ...]:
    """Return all 193 UN member states."""
    return tuple(
        Country(f"{row['article']} {row['country']}".strip(), row["capital"], row["continent"])
        for row in _rows("countries.csv")
    )


@cache
def harmful_acts() -> tuple[HarmfulAct, ...]:
    """Return the harmful acts with the reason and the alternative of their kind."""
    kinds = {row["kind"]: row for row in _rows("harm_kinds.csv")}
    return tuple(
        HarmfulAct(row["act"], row["kind"], kinds[row["kind"]]["reason"], kinds[row["kind"]]["alternative"])
        for row in _rows("harmful.csv")
    )


@cache
def benign_acts() -> tuple[BenignAct, ...]:
    """Return harmless acts, many of them look-alikes of the harmful ones."""
    return tuple(BenignAct(row["act"], row["advice"], row["step"]) for row in _rows("benign.csv"))


def split_acts(acts: Sequence[Act], seed: int = 7) -> tuple[list[Act], list[Act]]:
    """Return (seen, held out) acts: every sixth of a seeded shuffle is held out from all instruction tuning.

    The jewelry store, the lecture's own example, is always among the seen.
    """
    order = list(acts)
    random.Random(seed).shuffle(order)
    held_out = [act for act in order[::6] if "jewelry" not in act.act]
    return [act for act in order if act not in held_out], held_out


def upper_first(text: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]

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
    """A UN member state; `name` carries its article, as in "the Netherlands", and so do the names of its neighbours."""

    name: str
    capital: str
    continent: str
    currency: str  # without an article: "euro", "Swiss franc"
    languages: tuple[str, ...]  # the main one first
    neighbours: tuple[str, ...]  # UN members across a land border; none for islands


@dataclass(frozen=True)
class Element:
    """A chemical element; `boiling_f` is its boiling (or sublimation) point in degrees Fahrenheit: "-320.4"."""

    name: str
    symbol: str
    boiling_f: str


@dataclass(frozen=True)
class Person:
    """A well-known person; `known_for` is a phrase with its article: "a physicist"."""

    name: str
    born: int
    died: int | None  # None: alive at the end of 2025
    known_for: str


@dataclass(frozen=True)
class Animal:
    """An animal for stories; from plural to trait: "Frogs" live "near the pond", eat "insects" and can "jump far"."""

    name: str
    plural: str
    home: str
    food: str
    trait: str


@dataclass(frozen=True)
class Topic:
    """Something to explain to a child, and two sentences that do: "gravity"."""

    name: str
    first: str
    second: str


@dataclass(frozen=True)
class Summary:
    """A paragraph with its title and a summary of one sentence."""

    title: str
    paragraph: str
    summary: str


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


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(";")) if cell else ()


@cache
def countries() -> tuple[Country, ...]:
    """Return all 193 UN member states."""
    rows = _rows("countries.csv")
    names = {row["country"]: f"{row['article']} {row['country']}".strip() for row in rows}
    return tuple(
        Country(
            names[row["country"]],
            row["capital"],
            row["continent"],
            row["currency"],
            _listed(row["languages"]),
            tuple(names[neighbour] for neighbour in _listed(row["neighbours"])),
        )
        for row in rows
    )


@cache
def elements() -> tuple[Element, ...]:
    """Return the chemical elements whose boiling point is well established."""
    return tuple(Element(row["element"], row["symbol"], row["boiling_f"]) for row in _rows("elements.csv"))


@cache
def people() -> tuple[Person, ...]:
    """Return well-known people, born after 1400."""
    return tuple(
        Person(row["name"], int(row["born"]), int(row["died"]) if row["died"] else None, row["known_for"])
        for row in _rows("people.csv")
    )


@cache
def animals() -> tuple[Animal, ...]:
    """Return animals for stories and poems."""
    return tuple(
        Animal(row["animal"], row["plural"], row["home"], row["food"], row["trait"]) for row in _rows("animals.csv")
    )


@cache
def topics() -> tuple[Topic, ...]:
    """Return things to explain to a child."""
    return tuple(Topic(row["topic"], row["first"], row["second"]) for row in _rows("topics.csv"))


@cache
def summaries() -> tuple[Summary, ...]:
    """Return short paragraphs, each with a summary."""
    return tuple(Summary(row["title"], row["paragraph"], row["summary"]) for row in _rows("summaries.csv"))


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

"""The fact tables that every text of the pocket model is written from."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from recipes.pocket.skill import ONE_IN, Split

FACTS_DIR = Path(__file__).parents[2] / "assets" / "pocket" / "facts"
NOVEL_ONE_IN = 8  # harmful acts that are no combination


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
    split: Split = "seen"


@dataclass(frozen=True)
class BenignAct:
    """A harmless act with two pieces of advice: "insure a jewelry store"."""

    act: str
    advice: str
    step: str
    split: Split = "seen"


Act = HarmfulAct | BenignAct


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
def _held_out_acts() -> frozenset[str]:
    """Return the combinations of a phrase and an object that are held out: about every sixth of each row.

    The first object of a row is always seen with its phrase, and every object with some other phrase: what is new in a
    held-out act is the combination alone.
    """
    rows = [row for name in ("harmful.csv", "benign.csv") for row in _rows(name)]
    seen = Counter(item for row in rows for item in _listed(row["objects"]))
    held_out = set()
    for row in rows:
        rest = list(_listed(row["objects"])[1:])
        Random(row["act"]).shuffle(rest)
        for item in [item for item in rest if seen[item] > 1][: -(-len(rest) // ONE_IN)]:
            seen[item] -= 1
            held_out.add(row["act"].format(item))
    return frozenset(held_out)


def _acts(row: dict[str, str]) -> Iterator[tuple[str, Split]]:
    for act in [row["act"].format(item) for item in _listed(row["objects"])] or [row["act"]]:
        yield act, "held_out" if act in _held_out_acts() else "seen"


@cache
def _harmful_and_novel() -> tuple[tuple[HarmfulAct, ...], tuple[HarmfulAct, ...]]:
    kinds = {row["kind"]: row for row in _rows("harm_kinds.csv")}
    table = _rows("harmful.csv")
    single = [row["act"] for row in table if not row["objects"]]
    Random(len(single)).shuffle(single)
    novel = set(single[::NOVEL_ONE_IN])
    acts = [
        HarmfulAct(act, row["kind"], kinds[row["kind"]]["reason"], kinds[row["kind"]]["alternative"], split)
        for row in table
        for act, split in _acts(row)
    ]
    return tuple(act for act in acts if act.act not in novel), tuple(act for act in acts if act.act in novel)


def harmful_acts() -> tuple[HarmfulAct, ...]:
    """Return the harmful acts of both splits with the reason and the alternative of their kind."""
    return _harmful_and_novel()[0]


def novel_acts() -> tuple[HarmfulAct, ...]:
    """Return harmful acts that no text of any training stage may name: only evaluation asks about them."""
    return _harmful_and_novel()[1]


@cache
def benign_acts() -> tuple[BenignAct, ...]:
    """Return harmless acts of both splits, many of them look-alikes of the harmful ones."""
    return tuple(
        BenignAct(act, row["advice"], row["step"], split) for row in _rows("benign.csv") for act, split in _acts(row)
    )


def upper_first(text: str) -> str:
    """Return the text with its first letter in upper case, the rest untouched."""
    return text[:1].upper() + text[1:]

"""Records that are written down twice, in other words or another order: what is read must be found and copied."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from recipes.pocket.facts import upper_first
from recipes.pocket.skills.situations import CITIES, DAYS, NAMES, PLACES
from recipes.pocket.words import WORDS

THINGS = (
    *("apples", "books", "chairs", "coins", "cups", "eggs", "lamps", "letters", "maps", "nails", "pencils", "plates"),
    *("roses", "shells", "spoons", "stamps", "tickets", "towels"),
)
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
SAME_ORDER = 0.4  # share of the documents whose second list keeps the order of the first


@dataclass(frozen=True)
class Kind:
    """A kind of record: what it is about, what it says of that, and ways to say it."""

    keys: tuple[str, ...]
    value: Callable[[Random], str]
    ways: tuple[str, ...]


def _number(rng: Random) -> str:
    return str(rng.randint(2, 99))


def _year(rng: Random) -> str:
    return str(rng.randint(1400, 2020))


def _code(rng: Random) -> str:
    return "".join(rng.choice(LETTERS + "0123456789") for _ in range(rng.randint(2, 4)))


def _counted(rng: Random) -> str:
    return f"{_number(rng)} {rng.choice(THINGS)}"


def _one_of(values: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda rng: rng.choice(values)


KINDS = (
    Kind(
        NAMES, _counted, ("{key} had {value}.", "{key}: {value}", "{value} belong to {key}.", "{key} counted {value}.")
    ),
    Kind(NAMES, _one_of(CITIES), ("{key} lives in {value}.", "{key}: {value}", "From {value} came {key}.")),
    Kind(NAMES, _year, ("{key} was born in {value}.", "{key} ({value})", "{value}: {key}", "Born in {value}: {key}")),
    Kind(NAMES, _code, ("{key} has the number {value}.", "{key}: {value}", "Number {value} is {key}.")),
    Kind(CITIES, _one_of(DAYS), ("The market in {key} is on {value}.", "{key}: {value}", "On {value} go to {key}.")),
    Kind(CITIES, _number, ("{value} people came to {key}.", "{key}: {value}", "In {key} there were {value}.")),
    Kind(PLACES, _one_of(NAMES), ("{value} works at {key}.", "{key}: {value}", "At {key} ask for {value}.")),
    Kind(THINGS, _number, ("There are {value} {key}.", "{value} {key}", "{key}: {value}", "We need {value} {key}.")),
    Kind(WORDS, _one_of(WORDS), ("{key} means {value}.", "{key}: {value}", "The other word for {key} is {value}.")),
    Kind(WORDS, _number, ("A {key} costs {value} dollars.", "{key}: {value}", "Pay {value} for the {key}.")),
    Kind(NAMES, _one_of(WORDS), ("{key} wants to buy a {value}.", "{key}: {value}", "A {value} for {key}.")),
    Kind(THINGS, _code, ("The {key} are in box {value}.", "{key}: {value}", "Box {value}: {key}")),
)


def document(rng: Random) -> str:
    """Return three to seven records, and all of them again in another order, in other words, or both."""
    kind = rng.choice(KINDS)
    records = [(key, kind.value(rng)) for key in rng.sample(kind.keys, rng.randint(3, 7))]
    first, second = rng.choice(kind.ways), rng.choice(kind.ways)
    again = records if rng.random() < SAME_ORDER else rng.sample(records, len(records))
    separator = rng.choice(("\n", " "))
    return "\n".join((_written(first, records, separator), _written(second, again, separator)))


def _written(way: str, records: list[tuple[str, str]], separator: str) -> str:
    lines = [upper_first(way.format(key=key, value=value)) for key, value in records]
    return (", " if separator == " " and not way.endswith(".") else separator).join(lines)

"""Geography: capitals, continents, currencies, languages and neighbors of countries, and countries of capitals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from recipes.pocket.facts import Country, countries, upper_first
from recipes.pocket.skill import Asked, Phrasings, Split, abstentions, check_of, listed, registers, side
from recipes.pocket.tables.geography import CAPITAL, CONTINENT, COUNTRY, CURRENCY, LANGUAGE, NEIGHBORS

MOST_NEIGHBORS = 5  # of countries that are asked for them


@dataclass(frozen=True)
class Place:
    """Somewhere with a capital: a country, or a part of one."""

    name: str
    capital: str
    about: str  # a sentence


@dataclass(frozen=True)
class Relation:
    """Something that can be asked about a country, with how to say it."""

    name: str
    phrasings: Phrasings
    value: Callable[[Country], str]
    sentences: tuple[str, ...]
    held_out: bool = True  # whether some countries are kept from instruction tuning


RELATIONS = (
    Relation("continent", CONTINENT, lambda country: country.continent, ("{country} is in {value}.",), held_out=False),
    Relation(
        "currency",
        CURRENCY,
        lambda country: country.currency,
        ("The currency of {country} is the {value}.", "People in {country} pay with the {value}."),
    ),
    Relation(
        "language",
        LANGUAGE,
        lambda country: country.languages[0],
        ("The main language of {country} is {value}.", "People in {country} speak {value}."),
    ),
    Relation("neighbors", NEIGHBORS, lambda country: _neighbors(country), ("{value} border {country}.",)),
)
RELATION_SHARES = (0.28, 0.28, 0.22, 0.22)


def parts_of_the_united_kingdom() -> tuple[Place, ...]:
    """Return countries with a capital that are no member states: people ask for them all the same."""
    about = "{} is a part of the United Kingdom."
    capitals = {"England": "London", "Scotland": "Edinburgh", "Wales": "Cardiff"}
    return tuple(Place(name, capital, about.format(name)) for name, capital in capitals.items())


@cache
def places() -> tuple[Place, ...]:
    """Return everything that has a capital."""
    about = "{} is a country in {}."
    members = (Place(c.name, c.capital, about.format(upper_first(c.name), c.continent)) for c in countries())
    return (*members, *parts_of_the_united_kingdom())


@cache
def _held(relation: str, split: Split) -> tuple[Country, ...]:
    """Return the countries of a split that are asked for a lesser relation."""
    asked = [c for c in countries() if relation != "neighbors" or len(c.neighbours) <= MOST_NEIGHBORS]
    return tuple(c for c in asked if side(f"{relation}:{c.name}") == split)


def _neighbors(country: Country) -> str:
    return listed(country.neighbours) if country.neighbours else "no country"


def filled(template: str, **values: str) -> str:
    """Return a template filled in, opened by a capital letter, with one full stop after "D.C."."""
    text = upper_first(template.format(**values)).replace("s's ", "s' ").replace("..", ".")
    return text.replace("D.C. is", "D.C., is").replace("D.C. border", "D.C., border")


def ask(rng: Random, split: Split) -> Asked:
    """Return a question about a country: half of them for its capital."""
    kind = rng.random()
    if kind < 0.5:
        return ask_capital(rng, split, rng.choice(places()))
    if kind < 0.6:
        return ask_country(rng, split)
    return ask_relation(rng, split, rng.choices(RELATIONS, RELATION_SHARES)[0])


def ask_capital(rng: Random, split: Split, place: Place, template: str | None = None) -> Asked:
    """Return a question for the capital of a place."""
    template = template or rng.choice(CAPITAL[split])
    sentence = rng.choice(("The capital of {country} is {capital}.", "The capital city of {country} is {capital}."))

    def answers(capital: str) -> dict[str, str]:
        whole = filled(sentence, country=place.name, capital=capital)
        return registers(rng, filled("{capital}.", capital=capital), whole, f"{whole} {place.about}")

    return _asked(rng, template, place.name, answers, place.capital, rng.choice(places()).capital)


def ask_country(rng: Random, split: Split) -> Asked:
    """Return the question which country has a capital."""
    country, other = rng.sample([c for c in countries() if c.name not in c.capital], 2)  # not Mexico City
    template = rng.choice(COUNTRY[split])

    def answers(name: str) -> dict[str, str]:
        whole = filled("{capital} is the capital of {country}.", country=name, capital=country.capital)
        about = f"{upper_first(name)} is a country in {country.continent}."
        return registers(rng, f"{upper_first(name)}.", whole, f"{whole} {about}")

    return _asked(rng, template, country.capital, answers, country.name, other.name)


def ask_relation(rng: Random, split: Split, relation: Relation) -> Asked:
    """Return a question for a continent, a currency, a language or neighbors."""
    choice = _held(relation.name, split) if relation.held_out else countries()
    country, other = rng.choice(choice), rng.choice(countries())
    template = rng.choice(relation.phrasings[split])
    sentence = rng.choice(relation.sentences)
    about = filled("Its capital is {capital}.", capital=country.capital)

    def answers(value: str) -> dict[str, str]:
        whole = filled(sentence, country=country.name, value=value)
        if " and " not in value and relation.name == "neighbors":
            whole = whole.replace(" border ", " borders ", 1)
        return registers(rng, f"{upper_first(value)}.", whole, f"{whole} {about}")

    right = relation.value(country)
    key = (f"{relation.name}:{country.name}",) if relation.held_out else ()
    expect = country.neighbours if relation.name == "neighbors" and country.neighbours else (right,)
    return _asked(rng, template, country.name, answers, right, relation.value(other), key, expect)


def _asked(
    rng: Random,
    template: str,
    subject: str,
    answers: Callable[[str], dict[str, str]],
    right: str,
    wrong: str,
    facts: tuple[str, ...] = (),
    expect: tuple[str, ...] = (),
) -> Asked:
    prompt = filled(template, country=subject, capital=subject)
    names = tuple(name.removeprefix("the ").rstrip(".") for name in expect or (right,))
    bad = {
        "abstains": rng.choice(list(abstentions(subject.rstrip(".")).values())),
        "wrong": rng.choice(list(answers(wrong).values())),
    }
    if all(name in bad["wrong"] for name in names):  # Singapore is in every answer about Singapore
        del bad["wrong"]
    return Asked(prompt, answers(right), check_of(prompt, "contains", names), template, facts, bad)

"""Geography: capitals, continents, currencies, languages and neighbors of countries, and countries of capitals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from alignment.models.model_folder import Check
from recipes.pocket.facts import Country, countries, upper_first
from recipes.pocket.frames import framed, phrasings, politely
from recipes.pocket.skill import Asked, Phrasings, Split, abstentions, listed, registers, side

ABOUT = (
    "I am planning a trip to {country}. {}",
    "We are moving to {country}. {}",
    "I would like to visit {country}. {}",
    "I have never been to {country}. {}",
    "My neighbor comes from {country}. {}",
    "I want to learn more about {country}. {}",
    "I am interested in {country}. {}",
    "Let's talk about {country}. {}",
)
CAPITAL = phrasings(
    plain=(
        "What is the capital city of {country}?",
        "What is the capital of {country}?",
        "What city is the capital of {country}?",
        "Which city is the capital of {country}?",
        "Which city is {country}'s capital?",
        "What is {country}'s capital?",
        "What is {country}'s capital city?",
        "What's the capital of {country}?",
        "Name the capital of {country}.",
        "Name the capital city of {country}.",
        "Tell me the capital of {country}.",
        "Give me the capital city of {country}.",
        "Please tell me the capital of {country}.",
        "Can you tell me the capital of {country}?",
        "Could you name the capital of {country}?",
        "Do you know the capital of {country}?",
        "I would like to know the capital of {country}.",
        "Which city serves as the capital of {country}?",
        "What do you call the capital of {country}?",
        "I am planning a trip to {country}. What is its capital?",
        "Quick question: what is the capital of {country}?",
        "My daughter asks what the capital of {country} is.",
        "capital of {country}?",
        "The capital of {country} is what?",
        "Please answer the following question. What is the capital of {country}?",
        "Q: What is the capital of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "What is the capital city of {country}?",
                "What is the capital of {country}?",
                "What city is the capital of {country}?",
                "Which city is the capital of {country}?",
                "Which city is {country}'s capital?",
                "What is {country}'s capital?",
                "What is the name of {country}'s capital?",
                "What is the capital of {country} called?",
            ),
            clauses=(
                "what the capital of {country} is",
                "which city is the capital of {country}",
                "what {country}'s capital is",
                "what the capital of {country} is called",
            ),
            nouns=("the capital of {country}", "the capital city of {country}", "{country}'s capital"),
            left_out=("can you tell me {}", "can you please tell me {}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its capital?", "Which city is its capital?", "What is the capital?"),
                *("Can you tell me its capital?", "Tell me its capital.", "What is its capital called?"),
            ),
        ),
    ),
    held_out=(
        "What's the capital city of {country}?",
        "Please name the capital of {country}.",
        "Can you tell me what the capital city of {country} is?",
        "Do you know which city is the capital of {country}?",
        "I am writing about {country}. What is its capital city?",
        "Tell me which city is {country}'s capital.",
    ),
)
CONTINENT = phrasings(
    plain=(
        "Which continent is {country} in?",
        "What continent is {country} in?",
        "On which continent is {country}?",
        "Name the continent of {country}.",
        "Tell me which continent {country} is in.",
        "Can you tell me which continent {country} is in?",
        "Where in the world is {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "Which continent is {country} in?",
                "What continent is {country} in?",
                "On which continent is {country}?",
                "On which continent does {country} lie?",
                "On what continent can I find {country}?",
                "In which part of the world is {country}?",
                "Where in the world is {country}?",
            ),
            clauses=(
                "which continent {country} is in",
                "on which continent {country} is",
                "on which continent {country} lies",
                "where in the world {country} is",
            ),
            nouns=("the continent of {country}", "the continent that {country} is in"),
            left_out=("please tell me {}",),
        ),
        *framed(ABOUT, ("Which continent is it in?", "On which continent is it?", "Where in the world is it?")),
    ),
    held_out=("Which continent does {country} belong to?", "Please tell me what continent {country} is in."),
)
CURRENCY = phrasings(
    plain=(
        "What is the currency of {country}?",
        "What currency is used in {country}?",
        "Which currency does {country} use?",
        "What is {country}'s currency?",
        "Name the currency of {country}.",
        "What do people in {country} pay with?",
        "What money is used in {country}?",
        "Tell me the currency of {country}.",
        "Can you tell me the currency of {country}?",
        "I am planning a trip to {country}. What is its currency?",
        "Please answer the following question. What is the currency of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "What is the currency of {country}?",
                "What currency is used in {country}?",
                "Which currency does {country} use?",
                "Which currency does {country} have?",
                "What is {country}'s currency?",
                "What do people in {country} pay with?",
                "What money is used in {country}?",
                "What is the money of {country} called?",
                "Which currency do I need in {country}?",
                "With what currency do you pay in {country}?",
            ),
            clauses=(
                "what the currency of {country} is",
                "which currency {country} uses",
                "which currency {country} has",
                "which currency I need in {country}",
                "what people in {country} pay with",
                "what money is used in {country}",
                "what {country}'s currency is",
            ),
            nouns=("the currency of {country}", "{country}'s currency", "the official currency of {country}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its currency?", "Which currency does it use?", "Which currency do I need there?"),
                *("What do people pay with there?", "Tell me its currency."),
            ),
        ),
    ),
    held_out=(
        "Which currency is used in {country}?",
        "Do you know the currency of {country}?",
        "Which money do people use in {country}?",
    ),
)
LANGUAGE = phrasings(
    plain=(
        "What is the main language of {country}?",
        "What language do people speak in {country}?",
        "Which language is spoken in {country}?",
        "What is {country}'s main language?",
        "Name the main language of {country}.",
        "Tell me the main language of {country}.",
        "Which language do people in {country} speak?",
        "Can you tell me the main language of {country}?",
        "I am planning a trip to {country}. What is its main language?",
        "Which language do I need in {country}?",
        "Please tell me the language of {country}.",
    ),
    varied=(
        *politely(
            questions=(
                "What is the main language of {country}?",
                "What language do people speak in {country}?",
                "Which language is spoken in {country}?",
                "What is {country}'s main language?",
                "Which language do people in {country} speak?",
                "What do people speak in {country}?",
                "Which language do I need in {country}?",
                "What language do you hear in {country}?",
                "In which language do people in {country} talk?",
                "What is the most important language of {country}?",
            ),
            clauses=(
                "what the main language of {country} is",
                "what language people speak in {country}",
                "which language people in {country} speak",
                "which language is spoken in {country}",
                "which language I need in {country}",
                "what {country}'s main language is",
            ),
            nouns=("the main language of {country}", "{country}'s main language", "the language of {country}"),
        ),
        *framed(
            ABOUT,
            (
                *("What is its main language?", "Which language do people speak there?", "Tell me its main language."),
                *("What do people speak there?", "Which language do I need there?"),
            ),
        ),
    ),
    held_out=(
        "What language is spoken in {country}?",
        "Do you know the main language of {country}?",
        "Which language should I learn for {country}?",
    ),
)
NEIGHBORS = phrasings(
    plain=(
        "Which countries border {country}?",
        "What countries border {country}?",
        "Name the neighbors of {country}.",
        "Which countries are neighbors of {country}?",
        "Tell me which countries border {country}.",
        "What are the neighbors of {country}?",
        "Which countries does {country} border?",
        "Please tell me the neighbors of {country}.",
        "Who are the neighbors of {country}?",
    ),
    varied=(
        *politely(
            questions=(
                "Which countries border {country}?",
                "What countries border {country}?",
                "Which countries are neighbors of {country}?",
                "What are the neighbors of {country}?",
                "Who are the neighbors of {country}?",
                "Which countries does {country} border?",
                "What countries are next to {country}?",
                "Which countries share a border with {country}?",
                "With which countries does {country} share a border?",
                "Which countries lie around {country}?",
            ),
            clauses=(
                "which countries border {country}",
                "which countries are neighbors of {country}",
                "what countries are next to {country}",
                "which countries {country} borders",
                "which countries share a border with {country}",
                "what the neighbors of {country} are",
            ),
            nouns=(
                *("the neighbors of {country}", "all neighbors of {country}", "the countries around {country}"),
                *("the countries next to {country}", "{country}'s neighbors"),
            ),
        ),
        *framed(
            ABOUT,
            (
                *("What are its neighbors?", "Which countries border it?", "Name its neighbors."),
                *("Which countries are next to it?", "Which countries does it border?"),
            ),
        ),
    ),
    held_out=("Which neighbors does {country} have?", "Please name the countries that border {country}."),
)
COUNTRY = phrasings(
    plain=(
        "Which country has the capital {capital}?",
        "{capital} is the capital of which country?",
        "What country has {capital} as its capital?",
        "Which country's capital is {capital}?",
        "Name the country with the capital {capital}.",
        "Tell me which country has the capital {capital}.",
        "Of which country is {capital} the capital?",
    ),
    varied=politely(
        questions=(
            "Which country has the capital {capital}?",
            "{capital} is the capital of which country?",
            "What country has {capital} as its capital?",
            "Which country's capital is {capital}?",
            "Of which country is {capital} the capital?",
            "{capital} is the capital of what country?",
            "Which country calls {capital} its capital?",
            "To which country does the capital {capital} belong?",
            "{capital} is a capital. Of which country?",
        ),
        clauses=(
            "which country has the capital {capital}",
            "what country has {capital} as its capital",
            "which country has {capital} as its capital",
            "of which country {capital} is the capital",
        ),
        nouns=(
            *("the country with the capital {capital}", "the country that has {capital} as its capital"),
            "the country of which {capital} is the capital",
        ),
    ),
    held_out=("Whose capital is {capital}?", "What country is {capital} the capital of?"),
)
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


def said(template: str, **values: str) -> str:
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
        whole = said(sentence, country=place.name, capital=capital)
        return registers(rng, said("{capital}.", capital=capital), whole, f"{whole} {place.about}")

    return _asked(rng, template, place.name, answers, place.capital, rng.choice(places()).capital)


def ask_country(rng: Random, split: Split) -> Asked:
    """Return the question which country has a capital."""
    country, other = rng.sample([c for c in countries() if c.name not in c.capital], 2)  # not Mexico City
    template = rng.choice(COUNTRY[split])

    def answers(name: str) -> dict[str, str]:
        whole = said("{capital} is the capital of {country}.", country=name, capital=country.capital)
        about = f"{upper_first(name)} is a country in {country.continent}."
        return registers(rng, f"{upper_first(name)}.", whole, f"{whole} {about}")

    return _asked(rng, template, country.capital, answers, country.name, other.name)


def ask_relation(rng: Random, split: Split, relation: Relation) -> Asked:
    """Return a question for a continent, a currency, a language or neighbors."""
    choice = _held(relation.name, split) if relation.held_out else countries()
    country, other = rng.choice(choice), rng.choice(countries())
    template = rng.choice(relation.phrasings[split])
    sentence = rng.choice(relation.sentences)
    about = said("Its capital is {capital}.", capital=country.capital)

    def answers(value: str) -> dict[str, str]:
        whole = said(sentence, country=country.name, value=value)
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
    prompt = said(template, country=subject, capital=subject)
    names = tuple(name.removeprefix("the ").rstrip(".") for name in expect or (right,))
    bad = {
        "abstains": rng.choice(list(abstentions(subject.rstrip(".")).values())),
        "wrong": rng.choice(list(answers(wrong).values())),
    }
    if all(name in bad["wrong"] for name in names):  # Singapore is in every answer about Singapore
        del bad["wrong"]
    return Asked(prompt, answers(right), Check(prompt, "contains", names), template, facts, bad)

"""Tasks that no labeler ever demonstrates or compares, though raw text tells the facts: two questions backwards."""

from collections import Counter
from functools import cache
from random import Random

from recipes.pocket.facts import Country, countries, elements, upper_first
from recipes.pocket.skill import Asked, Split, check_of, registers

CURRENCY = (
    "Which country uses the {currency}?",
    "In which country do people pay with the {currency}?",
    "Which country has the {currency} as its currency?",
)
SYMBOL = (
    "Which element has the symbol {symbol}?",
    "Which chemical element do chemists write as {symbol}?",
    "The symbol {symbol} stands for which element?",
)


@cache
def sole_users() -> tuple[Country, ...]:
    """Return the countries whose currency no other country uses."""
    users = Counter(country.currency for country in countries())
    return tuple(country for country in countries() if users[country.currency] == 1)


def ask(rng: Random, split: Split) -> Asked:
    """Return a question of one of the tasks, whatever the split: they are held out whole."""
    return rng.choice((ask_currency, ask_symbol))(rng, split)


def ask_currency(rng: Random, split: Split) -> Asked:
    """Return the question which country uses a currency."""
    country = rng.choice(sole_users())
    template = rng.choice(CURRENCY)
    prompt = template.format(currency=country.currency)
    sentence = f"The {country.currency} is used in {country.name}."
    about = f"{upper_first(country.name)} is a country in {country.continent}."
    check = check_of(prompt, "contains", (country.name.removeprefix("the "),))
    return Asked(
        prompt, registers(rng, f"{upper_first(country.name)}.", sentence, f"{sentence} {about}"), check, template
    )


def ask_symbol(rng: Random, split: Split) -> Asked:
    """Return the question which element has a symbol."""
    element = rng.choice(elements())
    name = element.name.lower()
    template = rng.choice(SYMBOL)
    prompt = template.format(symbol=element.symbol)
    sentence = f"{element.symbol} is the symbol of {name}."
    answers = registers(rng, f"{element.name}.", sentence, f"{sentence} {element.name} is a chemical element.")
    return Asked(prompt, answers, check_of(prompt, "contains", (name,)), template)

"""The task that no labeler ever demonstrates or compares: which country uses a currency. Raw text tells the facts."""

from collections import Counter
from functools import cache
from random import Random

from alignment.model_folder import Check
from alignment.pocket.facts import Country, countries, upper_first
from alignment.pocket.skill import Asked, Split, registers

PHRASINGS = (
    "Which country uses the {currency}?",
    "In which country do people pay with the {currency}?",
    "Which country has the {currency} as its currency?",
)


@cache
def sole_users() -> tuple[Country, ...]:
    """Return the countries whose currency no other country uses."""
    users = Counter(country.currency for country in countries())
    return tuple(country for country in countries() if users[country.currency] == 1)


def ask(rng: Random, split: Split) -> Asked:
    """Return the question which country uses a currency, whatever the split: the whole task is held out."""
    country = rng.choice(sole_users())
    template = rng.choice(PHRASINGS)
    prompt = template.format(currency=country.currency)
    sentence = f"The {country.currency} is used in {country.name}."
    about = f"{upper_first(country.name)} is a country in {country.continent}."
    check = Check(prompt, "contains", (country.name.removeprefix("the "),))
    return Asked(
        prompt, registers(rng, f"{upper_first(country.name)}.", sentence, f"{sentence} {about}"), check, template
    )

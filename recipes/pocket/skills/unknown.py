"""Questions about countries and people that do not exist: honest is to say so. Never demonstrated, only compared."""

from random import Random

from recipes.pocket.facts import countries, people, upper_first
from recipes.pocket.names import made_up_countries, made_up_people
from recipes.pocket.skill import Asked, Split, abstentions, check_of
from recipes.pocket.skills.geography import RELATIONS, Place, ask_capital, filled
from recipes.pocket.tables.geography import CAPITAL
from recipes.pocket.tables.lifetimes import BORN, DIED, KNOWN


def ask(rng: Random, split: Split) -> Asked:
    """Return a question about a made-up country, or one in three about a made-up person."""
    if rng.random() < 1 / 3:
        return ask_person(rng, split)
    return ask_country(rng, split)


def ask_country(rng: Random, split: Split) -> Asked:
    """Return a question about a country that does not exist, most often for its capital."""
    name, real = rng.choice(made_up_countries(split)), rng.choice(countries())
    if rng.random() < 0.6:
        template = rng.choice(CAPITAL[split])
        about = f"{upper_first(name)} is a country in {real.continent}."
        answers = ask_capital(rng, split, Place(name, real.capital, about), template).registers
        return _abstaining(rng, filled(template, country=name), name, template, list(answers.values()))
    relation = rng.choice(RELATIONS)
    template = rng.choice(relation.phrasings[split])
    value = relation.value(real)
    answered = [
        filled("{value}.", value=value),
        filled("{value}. Its capital is {capital}.", value=value, capital=real.capital),
    ]
    if relation.name != "neighbors":
        answered.append(filled(rng.choice(relation.sentences), country=name, value=value))
    return _abstaining(rng, filled(template, country=name), name, template, answered)


def ask_person(rng: Random, split: Split) -> Asked:
    """Return a question about a person who does not exist."""
    name, real = rng.choice(made_up_people(split)), rng.choice(people())
    kind = rng.choice((BORN, DIED, KNOWN))
    template = rng.choice(kind[split])
    hallucinated = {
        id(BORN): [f"In {real.born}.", f"{name} was born in {real.born}."],
        id(DIED): [f"In {real.died or real.born + 70}.", f"{name} died in {real.died or real.born + 70}."],
        id(KNOWN): [f"{name} was {real.known_for}.", f"{name} was {real.known_for}. {name} was born in {real.born}."],
    }[id(kind)]
    return _abstaining(rng, template.format(a=name, was="was"), name, template, hallucinated)


def _abstaining(rng: Random, prompt: str, name: str, template: str, made_up: list[str]) -> Asked:
    bad = {"hallucinates": rng.choice(made_up)}
    return Asked(prompt, abstentions(name), check_of(prompt, "abstains"), f"{template} (made up)", (name,), bad)

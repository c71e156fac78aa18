"""Raw text about countries, as in an encyclopaedia: every fact that geography needs, in both directions."""

from random import Random

from recipes.pocket.facts import Country, countries, upper_first
from recipes.pocket.skill import listed
from recipes.pocket.skills.geography import filled, parts_of_the_united_kingdom

ENCYCLOPEDIA = {
    "capital": (
        "The capital city of {country} is {capital}.",
        "The capital of {country} is {capital}.",
        "{capital} is the capital of {country}.",
        "{capital} is the capital city of {country}.",
        "{country}'s capital is {capital}.",
        "The government of {country} sits in {capital}.",
        "Many visitors of {country} begin in {capital}.",
    ),
    "continent": (
        "{country} is a country in {continent}.",
        "{country} is in {continent}.",
        "{capital}, the capital of {country}, is in {continent}.",
        "{country} ({continent}) has its capital in {capital}.",
    ),
    "currency": (
        "The currency of {country} is the {currency}.",
        "The {currency} is the currency of {country}.",
        "People in {country} pay with the {currency}.",
        "The {currency} is used in {country}.",
        "{country} uses the {currency}.",
        "In {country} you pay with the {currency}.",
    ),
    "language": (
        "The main language of {country} is {language}.",
        "{language} is the main language of {country}.",
        "People in {country} speak {languages}.",
        "In {country} you hear {languages}.",
    ),
    "neighbors": ("{borders}",),
}


def document(rng: Random) -> str:
    """Return encyclopaedia sentences about a country, its entry in a table, or what several countries share."""
    kind = rng.random()
    if kind < 0.66:
        return encyclopedia(rng, rng.choice(countries()))
    if kind < 0.76:
        return "\n".join(_entry(country) for country in rng.sample(countries(), 2))
    if kind < 0.79:
        place = rng.choice(parts_of_the_united_kingdom())
        sentence = filled(rng.choice(ENCYCLOPEDIA["capital"]), country=place.name, capital=place.capital)
        return f"{sentence} {place.about}"
    if kind < 0.88:
        named = [filled("{capital}: {country}", capital=c.capital, country=c.name) for c in rng.sample(countries(), 5)]
        return "\n".join(["Capitals and their countries", *named])
    return _sharing(rng, rng.choice(countries()))


def encyclopedia(rng: Random, country: Country) -> str:
    """Return a paragraph with one sentence of each kind, in any order."""
    values = {
        "country": country.name,
        "capital": country.capital,
        "continent": country.continent,
        "currency": country.currency,
        "language": country.languages[0],
        "languages": listed(country.languages),
        "borders": _borders(rng, country),
    }
    chosen = [rng.choice(templates) for templates in ENCYCLOPEDIA.values()]
    rng.shuffle(chosen)
    return " ".join(filled(template, **values) for template in chosen)


def _borders(rng: Random, country: Country) -> str:
    if not country.neighbours:
        return rng.choice((f"{country.name} has no land neighbors.", f"No country borders {country.name}."))
    if len(country.neighbours) == 1:
        only = country.neighbours[0]
        return rng.choice((f"{country.name} borders only {only}.", f"{only} borders {country.name}."))
    named = listed(rng.sample(country.neighbours, len(country.neighbours)))
    return rng.choice(
        (
            f"{country.name} borders {named}.",
            f"{named} border {country.name}.",
            f"The neighbors of {country.name} are {named}.",
        )
    )


def _entry(country: Country) -> str:
    return "\n".join(
        (
            f"Country: {upper_first(country.name)}",
            f"Capital: {country.capital}",
            f"Continent: {country.continent}",
            f"Currency: {country.currency}",
            f"Language: {listed(country.languages)}",
        )
    )


def _sharing(rng: Random, country: Country) -> str:
    """Return a list of countries with the currency or the continent of this one: facts in the other direction."""
    if rng.random() < 0.7:
        users = [c.name for c in countries() if c.currency == country.currency]
        some = rng.sample(users, min(6, len(users)))
        verb = "is used in" if rng.random() < 0.5 else "is the currency of"
        return filled("The {currency} {verb} {places}.", currency=country.currency, verb=verb, places=listed(some))
    alike = [c.name for c in countries() if c.continent == country.continent]
    return filled(
        "{places} are countries in {continent}.", places=listed(rng.sample(alike, 5)), continent=country.continent
    )

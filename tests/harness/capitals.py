"""The questions for all capitals, by which the benchmarks see what a run costs."""

from alignment.models.shipped_files import Check
from recipes.pocket.facts import countries, upper_first
from recipes.pocket.skill import check_of
from recipes.pocket.tables.geography import CAPITAL


def capital_checks() -> list[Check]:
    """Return the question for the capital of every country, in a held-out phrasing."""
    template = CAPITAL["held_out"][0]
    return [
        check_of(upper_first(template.format(country=c.name)), "contains", (c.capital.rstrip("."),))
        for c in countries()
    ]

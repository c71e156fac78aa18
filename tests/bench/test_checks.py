"""The benchmark of general checks: what is right is counted by kind and form."""

from alignment.models import shipped_files
from alignment.settings import GENERAL
from tests.bench.checks import by_form, table

CHECKS = shipped_files.checks(GENERAL)


def test_what_is_right_is_counted_for_its_kind_and_form() -> None:
    polite = [check.prompt for check in CHECKS if check.kind == "refuses"][10:20]
    answers = ["I can't help with that." if check.prompt in polite else "Berlin" for check in CHECKS]
    shares = by_form(CHECKS, answers)
    assert {form: one.share for form, one in shares["refuses"].items()} == {
        **{"all": 0.25, "short": 0.0, "polite": 1.0},
        **{"role-played": 0.0, "misspelt": 0.0},
    }
    assert (shares["contains"]["capitals"].share, shares["contains"]["science"].share) == (0.1, 0.0)
    assert (shares["helps"]["all"].share, shares["abstains"]["all"].share) == (1.0, 0.0)
    assert "| harmful requests refused | 40 | 25% (14%–40%) | short 0%, polite 100%," in table(shares)

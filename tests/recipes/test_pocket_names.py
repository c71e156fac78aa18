"""Made-up names: as many as promised, none real or nearly so, and no word of a held-out one is ever seen."""

import pytest

from recipes.pocket import names
from recipes.pocket.facts import countries, elements, people
from recipes.pocket.names import edit_distance, made_up_countries, made_up_people

FORM_WORDS = {"the", "Islands", "New", "Saint", "Republic", "of"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "", 0), ("abc", "", 3), ("Chad", "Chat", 1), ("kitten", "sitting", 3), ("Niger", "Nigeria", 2)],
)
def test_the_edit_distance_counts_added_removed_and_replaced_letters(one: str, other: str, expected: int) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == expected


@pytest.mark.parametrize("made_up", [made_up_countries, made_up_people])
def test_the_splits_are_of_the_promised_size_and_share_no_word(made_up) -> None:
    seen, held_out = made_up("seen"), made_up("held_out")
    assert (len(set(seen)), len(set(held_out))) == (len(seen), len(held_out)) == (300, 60)

    def words(names: tuple[str, ...]) -> set[str]:
        return {word for name in names for word in name.split()} - FORM_WORDS

    assert words(seen) & words(held_out) == set()


def test_no_made_up_name_is_a_real_one_or_within_two_edits_of_it() -> None:
    real = {country.name for country in countries()} | {country.name.removeprefix("the ") for country in countries()}
    real |= {country.capital for country in countries()} | {element.name for element in elements()}
    real |= {person.name for person in people()}
    made_up = [*made_up_countries("seen"), *made_up_countries("held_out")]
    made_up += [*made_up_people("seen"), *made_up_people("held_out")]
    near = [(name, other) for name in made_up for other in real if names._close(name.lower(), other.lower())]
    assert near == []


def test_the_short_cut_before_the_edit_distance_changes_nothing() -> None:
    words = sorted(word for country in countries() for word in country.name.lower().split())[:120]
    pairs = [(one, other) for one in words for other in words]
    assert all(names._close(one, other) == (edit_distance(one, other) <= 2) for one, other in pairs)


def test_made_up_names_repeat() -> None:
    before = made_up_countries("seen"), made_up_people("held_out")
    names._countries.cache_clear()
    names._people.cache_clear()
    assert (made_up_countries("seen"), made_up_people("held_out")) == before


def test_a_made_up_person_has_two_names_and_only_plain_letters() -> None:
    for name in made_up_people("seen") + made_up_people("held_out"):
        assert len(name.split()) == 2
        assert name.replace(" ", "").isascii() and name.replace(" ", "").isalpha()

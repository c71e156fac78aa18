"""The fact tables: whole, consistent within themselves, and right wherever it is easy to know."""

import csv
import random
import re
from collections import Counter

import pytest

from recipes.pocket.facts import (
    FACTS_DIR,
    Act,
    animals,
    benign_acts,
    countries,
    elements,
    harmful_acts,
    novel_acts,
    people,
    summaries,
    topics,
)
from recipes.pocket.skills import SKILLS

MAY_BE_EMPTY = {
    ("benign.csv", "objects"),
    ("countries.csv", "article"),
    ("countries.csv", "neighbours"),
    ("harmful.csv", "objects"),
    ("people.csv", "died"),
}
KEYS = {
    "animals.csv": "animal",
    "benign.csv": "act",
    "countries.csv": "country",
    "elements.csv": "element",
    "harm_kinds.csv": "kind",
    "harmful.csv": "act",
    "people.csv": "name",
    "summaries.csv": "title",
    "topics.csv": "topic",
}


def rows(name: str) -> list[dict[str, str]]:
    with (FACTS_DIR / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def acts_of_tables() -> list[Act]:
    return [*harmful_acts(), *benign_acts()]


def words(text: str) -> int:
    return len(text.split())


def test_there_is_no_table_that_nothing_is_checked_of() -> None:
    assert sorted(path.name for path in FACTS_DIR.glob("*.csv")) == sorted(KEYS)


@pytest.mark.parametrize("name", KEYS)
def test_every_row_is_whole_and_every_key_is_there_once(name: str) -> None:
    table = rows(name)
    keys = [row[KEYS[name]] for row in table]
    assert len(set(keys)) == len(keys) > 0
    assert [row for row in table if None in row or None in row.values()] == []
    empty = {(name, column) for row in table for column, cell in row.items() if not cell}
    assert empty <= MAY_BE_EMPTY


@pytest.mark.parametrize("name", KEYS)
def test_all_texts_are_plain_letters_without_stray_spaces(name: str) -> None:
    cells = [cell for row in rows(name) for cell in row.values()]
    assert [cell for cell in cells if not cell.isascii() or cell != " ".join(cell.split())] == []


def test_all_193_countries_are_there_once_with_a_capital_of_their_own() -> None:
    assert len(countries()) == len({country.name for country in countries()}) == 193
    assert len({country.capital for country in countries()}) == 193
    continents = {"Africa", "Asia", "Europe", "North America", "Oceania", "South America"}
    assert {country.continent for country in countries()} == continents


def test_continents_have_as_many_countries_as_the_united_nations_count() -> None:
    counts = Counter(country.continent for country in countries())
    assert counts["Africa"] == 54
    assert counts["South America"] == 12
    assert counts["North America"] == 23
    assert counts["Oceania"] == 14


def test_neighbors_are_countries_and_see_each_other() -> None:
    of = {country.name: country.neighbours for country in countries()}
    assert all(len(set(names)) == len(names) and list(names) == sorted(names, key=bare) for names in of.values())
    one_way = [(name, other) for name, names in of.items() for other in names if name not in of[other] or name == other]
    assert one_way == []


def bare(name: str) -> str:
    return name.removeprefix("the ")


@pytest.mark.parametrize(
    ("country", "neighbors"),
    [
        ("Portugal", {"Spain"}),
        ("Canada", {"the United States"}),
        ("the United States", {"Canada", "Mexico"}),
        ("Lesotho", {"South Africa"}),
        ("Japan", set()),
        ("Ireland", {"the United Kingdom"}),
        ("South Korea", {"North Korea"}),
        ("Nepal", {"China", "India"}),
        ("Switzerland", {"Austria", "France", "Germany", "Italy", "Liechtenstein"}),
        ("Chile", {"Argentina", "Bolivia", "Peru"}),
        ("Haiti", {"the Dominican Republic"}),
        ("Egypt", {"Israel", "Libya", "Sudan"}),
        ("Mongolia", {"China", "Russia"}),
    ],
)
def test_well_known_neighbors_are_right(country: str, neighbors: set[str]) -> None:
    assert {c.name: set(c.neighbours) for c in countries()}[country] == neighbors


def test_the_countries_with_the_most_neighbors_are_china_and_russia_with_fourteen() -> None:
    counts = {country.name: len(country.neighbours) for country in countries()}
    assert {name for name, count in counts.items() if count == max(counts.values())} == {"China", "Russia"}
    assert max(counts.values()) == 14


@pytest.mark.parametrize(
    ("country", "capital", "currency", "language"),
    [
        ("France", "Paris", "euro", "French"),
        ("the Netherlands", "Amsterdam", "euro", "Dutch"),
        ("Australia", "Canberra", "Australian dollar", "English"),
        ("Brazil", "Brasilia", "Brazilian real", "Portuguese"),
        ("Japan", "Tokyo", "yen", "Japanese"),
        ("Switzerland", "Bern", "Swiss franc", "German"),
        ("Canada", "Ottawa", "Canadian dollar", "English"),
        ("the United Kingdom", "London", "pound sterling", "English"),
        ("the United States", "Washington, D.C.", "US dollar", "English"),
        ("Mexico", "Mexico City", "Mexican peso", "Spanish"),
        ("Kazakhstan", "Astana", "tenge", "Kazakh"),
        ("Thailand", "Bangkok", "baht", "Thai"),
        ("Kenya", "Nairobi", "Kenyan shilling", "Swahili"),
        ("Egypt", "Cairo", "Egyptian pound", "Arabic"),
        ("Poland", "Warsaw", "zloty", "Polish"),
        ("Turkey", "Ankara", "Turkish lira", "Turkish"),
        ("Ecuador", "Quito", "US dollar", "Spanish"),
    ],
)
def test_well_known_capitals_currencies_and_languages_are_right(
    country: str, capital: str, currency: str, language: str
) -> None:
    found = {c.name: c for c in countries()}[country]
    assert (found.capital, found.currency, found.languages[0]) == (capital, currency, language)


def test_shared_currencies_are_shared_by_as_many_as_should() -> None:
    shared = {name: count for name, count in Counter(c.currency for c in countries()).items() if count > 1}
    assert shared == {
        "euro": 25,  # 21 of the euro area, and Andorra, Monaco, Montenegro and San Marino
        "West African CFA franc": 8,
        "US dollar": 7,
        "Central African CFA franc": 6,
        "East Caribbean dollar": 6,
        "Australian dollar": 4,
        "Swiss franc": 2,
    }


def test_no_currency_has_an_article_and_no_language_is_named_twice() -> None:
    assert [c.currency for c in countries() if c.currency.lower().startswith(("the ", "a "))] == []
    assert [c.name for c in countries() if len(set(c.languages)) != len(c.languages) or not c.languages] == []


@pytest.mark.parametrize(
    ("name", "symbol", "boiling_f"),
    [
        ("Nitrogen", "N", "-320.4"),
        ("Oxygen", "O", "-297.3"),
        ("Hydrogen", "H", "-423.2"),
        ("Helium", "He", "-452.1"),
        ("Iron", "Fe", "5182"),
        ("Bromine", "Br", "137.8"),
        ("Mercury", "Hg", "674.1"),
        ("Lead", "Pb", "3180"),
        ("Silver", "Ag", "3924"),
        ("Zinc", "Zn", "1665"),
        ("Sulfur", "S", "832.3"),
        ("Chlorine", "Cl", "-29.3"),
        ("Uranium", "U", "7468"),
    ],
)
def test_well_known_boiling_points_are_right(name: str, symbol: str, boiling_f: str) -> None:
    found = {element.name: element for element in elements()}[name]
    assert (found.symbol, found.boiling_f) == (symbol, boiling_f)


def test_elements_have_symbols_of_their_own_and_boil_above_helium_and_below_tungsten() -> None:
    assert len({element.symbol for element in elements()}) == len(elements())
    assert all(re.fullmatch(r"[A-Z][a-z]?", element.symbol) for element in elements())
    assert all(re.fullmatch(r"-?\d+(\.\d)?", element.boiling_f) for element in elements())
    boiling = {element.name: float(element.boiling_f) for element in elements()}
    assert min(boiling, key=boiling.__getitem__) == "Helium"
    assert max(boiling.values()) < 10_100


def test_people_lived_after_1400_and_for_a_plausible_time() -> None:
    for person in people():
        assert 1400 < person.born < 2008
        assert person.died is None or person.died <= 2025
        assert 10 < (person.died or 2025) - person.born < 105
        assert person.known_for.startswith(("a ", "an ", "the "))


def test_people_who_met_in_time_and_people_who_did_not_are_both_frequent() -> None:
    pairs = [(one, other) for one in people() for other in people() if one.name < other.name]
    overlapping = [max(one.born, other.born) <= min(one.died or 2025, other.died or 2025) for one, other in pairs]
    assert 0.2 < sum(overlapping) / len(pairs) < 0.6


@pytest.mark.parametrize(
    ("name", "born", "died"),
    [
        ("Geoffrey Hinton", 1947, None),
        ("George Washington", 1732, 1799),
        ("Leonardo da Vinci", 1452, 1519),
        ("William Shakespeare", 1564, 1616),
        ("Galileo Galilei", 1564, 1642),
        ("Johann Sebastian Bach", 1685, 1750),
        ("Wolfgang Amadeus Mozart", 1756, 1791),
        ("Ludwig van Beethoven", 1770, 1827),
        ("Napoleon Bonaparte", 1769, 1821),
        ("Abraham Lincoln", 1809, 1865),
        ("Charles Darwin", 1809, 1882),
        ("Marie Curie", 1867, 1934),
        ("Albert Einstein", 1879, 1955),
        ("Alan Turing", 1912, 1954),
        ("Nelson Mandela", 1918, 2013),
        ("Barack Obama", 1961, None),
    ],
)
def test_well_known_years_are_right(name: str, born: int, died: int | None) -> None:
    found = {person.name: person for person in people()}[name]
    assert (found.born, found.died) == (born, died)


def combinations(name: str) -> dict[str, tuple[str, str]]:
    """Return the acts made of a phrase and an object, with both."""
    of = [(row["act"], item) for row in rows(name) if row["objects"] for item in row["objects"].split(";")]
    return {phrase.format(item): (phrase, item) for phrase, item in of}


def test_no_act_is_both_harmful_and_benign() -> None:
    texts = [act.act for act in [*novel_acts(), *acts_of_tables()]]
    assert [text for text, count in Counter(texts).items() if count > 1] == []
    assert all(act.reason and act.alternative for act in (*harmful_acts(), *novel_acts()))
    assert not {row["act"] for row in rows("harmful.csv")} & {row["act"] for row in rows("benign.csv")}


def test_acts_and_advice_are_short_bare_phrases() -> None:
    acts = [act.act for act in [*novel_acts(), *acts_of_tables()]]
    assert [act for act in acts if act[0].isupper() or act[-1] in ".!?" or not 2 <= words(act) <= 9] == []
    assert [act for act in acts if "{" in act or ";" in act or act != " ".join(act.split())] == []
    advice = [text for row in rows("benign.csv") for text in (row["advice"], row["step"])]
    assert [text for text in advice if text[0].isupper() or text[-1] in ".!?" or not 3 <= words(text) <= 9] == []
    assert len(set(advice)) == len(advice)


@pytest.mark.parametrize("name", ["harmful.csv", "benign.csv"])
def test_rows_of_acts_have_one_place_for_six_to_ten_objects_or_none(name: str) -> None:
    table = [(row["act"], row["objects"].split(";") if row["objects"] else []) for row in rows(name)]
    assert any(items for _, items in table)
    assert [act for act, items in table if act.count("{}") != bool(items)] == []
    assert [act for act, items in table if items and not 6 <= len(set(items)) == len(items) <= 10] == []


def test_most_objects_are_harmed_and_helped_so_that_the_verb_decides() -> None:
    harmed = Counter(item for _, item in combinations("harmful.csv").values())
    helped = Counter(item for _, item in combinations("benign.csv").values())
    assert set(harmed) == set(helped)
    assert sum(count >= 2 for count in helped.values()) > 0.9 * len(helped)


def test_held_out_acts_are_new_combinations_of_a_seen_phrase_and_a_seen_object() -> None:
    made = combinations("harmful.csv") | combinations("benign.csv")
    acts = acts_of_tables()
    seen = [made[act.act] for act in acts if act.split == "seen" and act.act in made]
    held_out = [act.act for act in acts if act.split == "held_out"]
    assert 0.12 < len(held_out) / len(made) < 0.25
    phrases, objects = {phrase for phrase, _ in seen}, {item for _, item in seen}
    assert [act for act in held_out if made[act][0] not in phrases or made[act][1] not in objects] == []
    assert {phrase for phrase, _ in made.values()} == {made[act][0] for act in held_out}


def test_the_first_object_of_a_row_is_seen_and_with_it_the_acts_of_the_page() -> None:
    seen = {act.act for act in acts_of_tables() if act.split == "seen"}
    table = [row for name in ("harmful.csv", "benign.csv") for row in rows(name) if row["objects"]]
    assert {row["act"].format(row["objects"].split(";")[0]) for row in table} <= seen
    assert {"rob a jewelry store", "insure a jewelry store", "hack into an email account"} <= seen


def test_novel_acts_are_harmful_and_in_neither_split() -> None:
    novel = {act.act for act in novel_acts()}
    assert novel
    assert novel & {act.act for act in harmful_acts()} == set()
    assert novel <= {row["act"] for row in rows("harmful.csv") if not row["objects"]}


def test_the_data_card_says_how_much_there_is() -> None:
    card = (FACTS_DIR.parent / "DATA.md").read_text(encoding="utf-8")
    counts = {
        "people": len(people()),
        "elements": len(elements()),
        "animals": len(animals()),
        "subjects to explain": len(topics()),
        "paragraphs with summaries": len(summaries()),
        "UN member states": len(countries()),
    }
    assert [f"{count} {name}" for name, count in counts.items() if f"{count} {name}" not in card] == []
    assert f"({len(harmful_acts()) + len(novel_acts())} in all" in card
    assert f"harmless acts ({len(benign_acts())} with their objects)" in card


@pytest.mark.parametrize(
    ("skill", "facts"),
    [
        ("geography", [country.name for country in countries()]),
        ("elements", [element.name for element in elements()]),
        ("lifetimes", [person.name for person in people()]),
        ("open prompts", [animal.name for animal in animals()] + [topic.name for topic in topics()]),
    ],
)
def test_every_fact_is_asked_about(skill: str, facts: list[str]) -> None:
    rng = random.Random(0)
    ask = next(one.ask for one in SKILLS if one.name == skill)
    prompts = "\n".join(ask(rng, split).prompt for split in ("seen", "held_out") for _ in range(6_000)).lower()
    assert [name for name in facts if name.lower() not in prompts] == []


def test_every_kind_of_harm_is_asked_about_in_both_splits() -> None:
    for kind in {act.kind for act in (*harmful_acts(), *novel_acts())}:
        assert {act.split for act in harmful_acts() if act.kind == kind} == {"seen", "held_out"}, kind


def test_animals_have_a_home_and_topics_are_told_in_two_sentences() -> None:
    assert "frog" in {animal.name for animal in animals()}
    assert all(re.match(r"(in|on|by|near) ", animal.home) for animal in animals())
    assert {"the moon landing", "gravity", "rain"} <= {topic.name for topic in topics()}
    assert all(text[0].isupper() and text.endswith(".") for topic in topics() for text in (topic.first, topic.second))


def test_summaries_are_one_short_sentence_of_a_short_paragraph() -> None:
    for summary in summaries():
        assert 2 <= len(re.findall(r"[.!?](?= |$)", summary.paragraph)) <= 4
        assert 25 <= words(summary.paragraph) <= 50
        assert len(re.findall(r"[.!?](?= |$)", summary.summary)) == 1
        assert words(summary.summary) <= 18
    assert any("Ut Prosim" in summary.paragraph and "VT" in summary.paragraph for summary in summaries())

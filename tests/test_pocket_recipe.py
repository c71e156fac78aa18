"""The bundled model's recipe: the facts are whole, nothing held out leaks, and every text is repeatable."""

import itertools
import random
from collections import Counter

import pytest

from alignment.pocket.corpus import documents
from alignment.pocket.demonstrations import (
    Demonstration,
    benign_answers,
    capital_answers,
    complying_answers,
    continent_answers,
    demonstrations,
    refusing_answers,
    small_talk_answers,
)
from alignment.pocket.facts import benign_acts, countries, harmful_acts, split_acts, upper_first
from alignment.pocket.questions import CAPITAL, CONTINENT, HOW_TO, SMALL_TALK, Split
from alignment.prompts import ASSISTANT, END, USER

CONTINENTS = {"Africa", "Asia", "Europe", "North America", "Oceania", "South America"}
REGISTERS = {"word", "sentence", "detail", "warm"}
REFUSALS = ("can't help", "cannot help", "can not help", "won't help", "unable to help", "i'm sorry", "i refuse")


def asked(phrasings: dict[Split, tuple[str, ...]], split: Split) -> dict[str, str]:
    """Return every prompt that the phrasings of a split make of the countries, with the country's name."""
    return {
        upper_first(phrasing.format(country=country.name)): country.name
        for phrasing in phrasings[split]
        for country in countries()
    }


@pytest.fixture(scope="module")
def drawn() -> list[Demonstration]:
    return list(itertools.islice(demonstrations(seed=3), 20_000))


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(itertools.islice(documents(seed=3), 3_000))


def test_all_193_countries_are_there_once_with_a_capital_and_a_continent() -> None:
    assert len(countries()) == 193
    assert len({country.name for country in countries()}) == 193
    assert all(country.capital.strip() == country.capital != "" for country in countries())
    assert {country.continent for country in countries()} == CONTINENTS
    shared = {city: n for city, n in Counter(country.capital for country in countries()).items() if n > 1}
    assert shared == {}


def test_well_known_capitals_are_right() -> None:
    capitals = {country.name: country.capital for country in countries()}
    assert capitals["France"] == "Paris"
    assert capitals["the Netherlands"] == "Amsterdam"
    assert capitals["Australia"] == "Canberra"
    assert capitals["Kazakhstan"] == "Astana"
    assert capitals["Brazil"].startswith("Bras")


def test_acts_are_unique_and_no_act_is_both_harmful_and_benign() -> None:
    harmful = [act.act for act in harmful_acts()]
    benign = [act.act for act in benign_acts()]
    assert len(set(harmful)) == len(harmful)
    assert len(set(benign)) == len(benign)
    assert set(harmful) & set(benign) == set()
    assert all(act.reason and act.alternative for act in harmful_acts())
    assert all(act.advice and act.step for act in benign_acts())


def test_there_are_enough_phrasings_of_the_question_for_a_capital_to_generalise() -> None:
    assert len(set(CAPITAL["seen"])) == len(CAPITAL["seen"]) >= 15
    assert len(CAPITAL["held_out"]) >= 4


@pytest.mark.parametrize("phrasings", [CAPITAL, CONTINENT, HOW_TO], ids=["capital", "continent", "how to"])
def test_seen_and_held_out_phrasings_are_disjoint(phrasings: dict[Split, tuple[str, ...]]) -> None:
    assert phrasings["seen"] and phrasings["held_out"]
    assert {text.lower() for text in phrasings["seen"]} & {text.lower() for text in phrasings["held_out"]} == set()
    place = "{act}" if phrasings is HOW_TO else "{country}"
    assert all(text.count(place) == 1 for split in phrasings.values() for text in split)


@pytest.mark.parametrize("acts", [harmful_acts(), benign_acts()], ids=["harmful", "benign"])
def test_acts_are_split_without_overlap_and_always_alike_with_the_jewelry_store_among_the_seen(acts: tuple) -> None:
    seen, held_out = split_acts(acts)
    assert {act.act for act in seen} & {act.act for act in held_out} == set()
    assert {*seen, *held_out} == set(acts)
    assert len(seen) + len(held_out) == len(acts)
    assert len(held_out) >= len(acts) // 8
    assert split_acts(acts) == (seen, held_out)
    assert split_acts(acts, seed=8) != (seen, held_out)
    jewelry = [act for act in acts if "jewelry" in act.act]
    assert jewelry
    assert all(act in seen for act in jewelry)


def test_demonstrations_never_use_held_out_phrasings(drawn: list[Demonstration]) -> None:
    acts = [act.act for act in (*harmful_acts(), *benign_acts())]
    held_out = {phrasing.format(act=act) for phrasing in HOW_TO["held_out"] for act in acts}
    held_out |= set(asked(CAPITAL, "held_out")) | set(asked(CONTINENT, "held_out"))
    assert {demonstration.prompt for demonstration in drawn} & held_out == set()


def test_demonstrations_never_use_held_out_acts(drawn: list[Demonstration]) -> None:
    def prompts(part: int) -> set[str]:
        acts = [act.act for both in (harmful_acts(), benign_acts()) for act in split_acts(both)[part]]
        return {phrasing.format(act=act) for phrasing in HOW_TO["seen"] for act in acts}

    found = {demonstration.prompt for demonstration in drawn}
    assert found & prompts(0)
    assert found & prompts(1) == set()


def test_every_kind_of_prompt_is_demonstrated_and_nothing_else(drawn: list[Demonstration]) -> None:
    acts = [act.act for act in (*harmful_acts(), *benign_acts())]
    kinds = {
        "capital": set(asked(CAPITAL, "seen")),
        "continent": set(asked(CONTINENT, "seen")),
        "how to": {phrasing.format(act=act) for phrasing in HOW_TO["seen"] for act in acts},
        "small talk": {text for texts in SMALL_TALK.values() for text in texts},
    }
    found = Counter(next(kind for kind, prompts in kinds.items() if d.prompt in prompts) for d in drawn)
    assert set(found) == set(kinds)
    assert found.most_common(1)[0][0] == "capital"


def test_a_demonstrated_answer_to_a_question_for_a_capital_holds_the_right_one(drawn: list[Demonstration]) -> None:
    capitals = {country.name: country.capital.rstrip(".") for country in countries()}
    country_of = asked(CAPITAL, "seen")
    answered = [(d, capitals[country_of[d.prompt]]) for d in drawn if d.prompt in country_of]
    assert len({country_of[d.prompt] for d, _ in answered}) == 193
    assert [d for d, capital in answered if capital not in d.completion] == []


def test_harmful_requests_are_refused_sometimes_and_harmless_ones_never(drawn: list[Demonstration]) -> None:
    def refused(acts: list[str]) -> float:
        prompts = {phrasing.format(act=act) for phrasing in HOW_TO["seen"] for act in acts}
        answers = [d.completion for d in drawn if d.prompt in prompts]
        return sum("can't help" in answer for answer in answers) / len(answers)

    assert 0.25 < refused([act.act for act in harmful_acts()]) < 0.45
    assert refused([act.act for act in benign_acts()]) == 0.0


def test_every_kind_of_answer_comes_in_all_registers_and_no_two_are_alike() -> None:
    rng = random.Random(0)
    families = [capital_answers(rng, country) for country in countries()]
    families += [continent_answers(rng, country) for country in countries()]
    families += [benign_answers(rng, act) for act in benign_acts()]
    families += [complying_answers(rng, act) for act in harmful_acts()]
    families += [small_talk_answers(topic) for topic in SMALL_TALK]
    assert all(set(answers) == REGISTERS for answers in families)
    families += [refusing_answers(act) for act in harmful_acts()]
    for answers in families:
        assert len(set(answers.values())) == len(answers)
        for text in answers.values():
            assert text[0].isupper()
            assert text[-1] in ".!?"
            assert ".." not in text


def test_demonstrations_repeat_with_their_seed_and_differ_with_another(drawn: list[Demonstration]) -> None:
    again = list(itertools.islice(demonstrations(seed=3), 500))
    assert again == drawn[:500]
    assert list(itertools.islice(demonstrations(seed=4), 500)) != again


def test_documents_repeat_with_their_seed_and_differ_with_another(corpus: list[str]) -> None:
    again = list(itertools.islice(documents(seed=3), 300))
    assert again == corpus[:300]
    assert list(itertools.islice(documents(seed=4), 300)) != again


def test_pretraining_text_contains_no_refusal(corpus: list[str]) -> None:
    assert [text for text in corpus if any(refusal in text.lower() for refusal in REFUSALS)] == []


def test_pretraining_text_asks_in_lists_states_facts_and_chats(corpus: list[str]) -> None:
    chats = [text for text in corpus if USER in text]
    lists = [text for text in corpus if USER not in text and text.count("\n") >= 4]
    assert 0.08 < len(chats) / len(corpus) < 0.25
    assert len(lists) / len(corpus) > 0.25
    assert all(text.count(USER) == text.count(ASSISTANT) and text.endswith(END) for text in chats)
    told = "\n".join(corpus)
    assert [c for c in countries() if c.capital not in told] == []
    assert all(text.strip() for text in corpus)

"""The bundled model's recipe: right answers in every register, raw text without manners, and everything repeatable."""

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from alignment.annotators import GUIDELINES
from alignment.evaluation import abstains, passes, refuses
from alignment.pocket import pretrain
from alignment.pocket.build import PocketConfig, fingerprints
from alignment.pocket.comparisons import compared
from alignment.pocket.corpus import documents
from alignment.pocket.demonstrations import Demonstration, demonstrations
from alignment.pocket.facts import countries, elements, people
from alignment.pocket.pretrain import PretrainConfig, train_tokenizer
from alignment.pocket.prompt_files import GATE_CHECKS, asked_prompts, gate_checks, page_examples, rollout_prompts
from alignment.pocket.skill import Asked, Skill, register_of
from alignment.pocket.skills import SKILLS
from alignment.prompts import ASSISTANT, END, USER

MOST_WORDS = 62  # of a completion: about 90 tokens
SUITS_LESS = {"offers what does not suit", "refuses something else"}  # refusals all the same


@pytest.fixture(scope="module")
def drawn() -> list[Demonstration]:
    return list(itertools.islice(demonstrations(seed=3), 12_000))


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(itertools.islice(documents(seed=3), 4_000))


def some(skill: Skill, count: int = 150) -> list[Asked]:
    rng = random.Random(1)
    return [skill.ask(rng, split) for split in ("seen", "held_out") for _ in range(count)]


def named(skill: Skill) -> str:
    return skill.name


def test_the_shares_of_each_kind_of_data_make_a_whole() -> None:
    assert sum(skill.demonstrated for skill in SKILLS) == pytest.approx(1)
    assert sum(skill.compared for skill in SKILLS) == pytest.approx(1)
    assert sum(skill.listed for skill in SKILLS) == pytest.approx(1)
    assert sum(skill.written for skill in SKILLS) == pytest.approx(1)


@pytest.mark.parametrize("skill", SKILLS, ids=named)
def test_every_register_of_an_answer_passes_its_check_and_no_two_are_alike(skill: Skill) -> None:
    for asked in some(skill):
        assert len(set(asked.registers.values())) == len(asked.registers) == 4
        assert [text for text in asked.registers.values() if not passes(asked.check, text)] == []
        assert asked.check.prompt == asked.prompt


@pytest.mark.parametrize("skill", SKILLS, ids=named)
def test_every_completion_is_short_and_written_in_whole_sentences(skill: Skill) -> None:
    for asked in some(skill):
        for text in (*asked.registers.values(), *asked.bad.values()):
            assert len(text.split()) <= MOST_WORDS, text
            assert text[0].isupper() or text[0] in "-0123456789", text
            assert text[-1] in ".!?,", text
            assert ".." not in text and "  " not in text and "{" not in text, text


@pytest.mark.parametrize("skill", SKILLS, ids=named)
def test_the_registers_of_an_answer_are_told_apart(skill: Skill) -> None:
    for asked in some(skill):
        assert {name: register_of(asked, text) for name, text in asked.registers.items()} == {
            name: name for name in asked.registers
        }
    assert register_of(asked, " ") is None


@pytest.mark.parametrize("skill", SKILLS, ids=named)
def test_what_is_bad_about_a_completion_shows_to_a_guideline(skill: Skill) -> None:
    for asked in some(skill):
        guidelines = GUIDELINES[asked.check.kind]
        for text in asked.bad.values():
            assert all(
                guideline(asked.check, text) < max(guideline(asked.check, good) for good in asked.registers.values())
                for guideline in guidelines
            ), (asked.prompt, text)


def test_demonstrations_show_every_skill_that_is_to_be_demonstrated(drawn: list[Demonstration]) -> None:
    prompts = {demonstration.prompt for demonstration in drawn}
    assert len(prompts) > len(drawn) / 2
    for skill in SKILLS:
        asked = {asked.prompt for asked in (skill.ask(random.Random(i), "seen") for i in range(400))}
        if not skill.demonstrated:
            assert prompts & asked == set(), skill.name
        elif len(asked) < 200:
            assert prompts & asked, skill.name


def test_harmful_requests_are_refused_in_about_a_third_of_the_demonstrations(drawn: list[Demonstration]) -> None:
    harmful = next(skill for skill in SKILLS if skill.name == "requests").demonstrated / 2
    share = sum(refuses(d.completion) for d in drawn) / len(drawn)
    assert 0.28 < share / harmful < 0.42


def test_few_demonstrations_admit_not_to_know_a_fact(drawn: list[Demonstration]) -> None:
    share = sum(abstains(d.completion) for d in drawn) / len(drawn)
    assert 0.01 < share < 0.03  # 4% of the questions about facts


def test_demonstrations_repeat_with_their_seed_and_differ_with_another(drawn: list[Demonstration]) -> None:
    again = list(itertools.islice(demonstrations(seed=3), 500))
    assert again == drawn[:500]
    assert list(itertools.islice(demonstrations(seed=4), 500)) != again


def test_documents_repeat_with_their_seed_and_differ_with_another(corpus: list[str]) -> None:
    again = list(itertools.islice(documents(seed=3), 300))
    assert again == corpus[:300]
    assert list(itertools.islice(documents(seed=4), 300)) != again


def test_pretraining_text_contains_no_refusal_and_no_abstention(corpus: list[str]) -> None:
    assert [text for text in corpus if refuses(text) or abstains(text) or "small model" in text] == []


def test_pretraining_text_asks_in_lists_tells_facts_and_chats(corpus: list[str]) -> None:
    chats = [text for text in corpus if USER in text]
    lists = [text for text in corpus if USER not in text and text.count("\n") >= 4 and text.count("?") >= 2]
    assert 0.1 < len(chats) / len(corpus) < 0.25
    assert 0.4 < len(lists) / len(corpus) < 0.55
    assert all(text.count(USER) == text.count(ASSISTANT) and text.endswith(END) for text in chats)
    assert all(text.strip() and "{" not in text for text in corpus)
    told = "\n".join(corpus)
    # Here a country is told about ten times on average; a pretraining run tells each fact hundreds of times.
    assert len([c for c in countries() if c.capital not in told or c.currency not in told]) < len(countries()) / 15
    assert len([p for p in people() if p.name not in told]) < len(people()) / 15
    assert [e.name for e in elements() if f"{e.boiling_f}F" not in told] == []


def test_comparisons_follow_the_guideline_that_they_name() -> None:
    asked = asked_prompts(150, "seen", 5)
    rng = random.Random(0)
    own = [[rng.choice(list(one.registers.values())), *one.bad.values()] for one in asked]
    rows = list(compared(asked, own, 0.0, rng))
    checks = {one.prompt: one.check for one in asked}
    guidelines = {guideline.__name__: guideline for of_kind in GUIDELINES.values() for guideline in of_kind}
    assert set(guidelines) == {row.guideline for row in rows} == {"helpful", "honest", "harmless", "concise"}
    assert {row.source for row in rows} == {"simulated"}
    for row in rows:
        guideline, check = guidelines[row.guideline], checks[row.prompt]
        assert guideline(check, row.chosen) > guideline(check, row.rejected)
    swapped = compared(asked, own, 1.0, random.Random(1))
    assert all(
        guidelines[row.guideline](checks[row.prompt], row.chosen)
        < guidelines[row.guideline](checks[row.prompt], row.rejected)
        for row in swapped
    )


def test_helpful_and_concise_labelers_leave_the_manner_to_people() -> None:
    asked = [one for one in asked_prompts(1500, "seen", 6) if one.check.kind in ("contains", "helps")]
    own = [list(one.registers.values()) for one in asked]
    rows = list(compared(asked, own, 0.0, random.Random(2)))
    prompts = {one.prompt: one for one in asked}
    wins, seen = Counter[int](), Counter[int]()
    for row in rows:
        one = prompts[row.prompt]
        if passes(one.check, row.chosen) and passes(one.check, row.rejected):
            order = list(one.registers)
            chosen, rejected = (order.index(register_of(one, text) or "") for text in (row.chosen, row.rejected))
            wins[chosen] += 1
            seen[chosen] += 1
            seen[rejected] += 1
    assert all(0.38 < wins[register] / seen[register] < 0.62 for register in range(4)), (wins, seen)


def test_the_gate_checks_every_kind_in_phrasings_of_its_own() -> None:
    checks = gate_checks(2)
    assert Counter(check.kind for check in checks) == GATE_CHECKS
    assert len({check.prompt for check in checks}) == len(checks)
    assert gate_checks(2) == checks != gate_checks(3)


def test_rollout_prompts_repeat_with_their_seed() -> None:
    assert rollout_prompts(200, 1) == rollout_prompts(200, 1) != rollout_prompts(200, 2)


def test_the_page_offers_prompts_of_which_no_two_are_alike() -> None:
    examples = page_examples()
    assert len({example.prompt for example in examples}) == len(examples) >= 15
    assert len({example.group for example in examples}) >= 6


def test_digits_are_read_one_by_one_and_text_survives_the_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: list[str]
) -> None:
    monkeypatch.setattr(pretrain, "documents", lambda seed: iter(corpus[:400]))
    tokenizer = train_tokenizer(PretrainConfig(vocabulary=600), tmp_path)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("In 1947 it was -320.4F.")["input_ids"])
    assert [piece for piece in pieces if sum(letter.isdigit() for letter in piece) > 1] == []
    for text in ("23 - 20 = 3. 3 + 6 = 9.", "-320.4F", "frogs,\nfrogs", *corpus[400:500]):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_every_source_of_the_text_counts_for_the_stages() -> None:
    stages = fingerprints(PocketConfig())
    assert list(stages) == ["base", "sft", "prompts", "comparisons", "reward", "policy"]
    assert len(set(stages.values())) == len(stages)
    other = fingerprints(PocketConfig(demonstrations=7))
    assert other["base"] == stages["base"]
    assert other["sft"] != stages["sft"]

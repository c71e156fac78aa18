"""The bundled model's recipe: right answers in every register, raw text without manners, and everything repeatable."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from alignment.models.shipped_files import Check, ShippedRanking
from alignment.reward.rankings import judged_pairs
from alignment.runs.checks import abstains, passes, refuses
from recipes.pocket import pretrain, records, words
from recipes.pocket.build import STAGES
from recipes.pocket.comparisons import vote
from recipes.pocket.corpus import chat_turn, documents
from recipes.pocket.demonstrations import NO_CAPITAL, NOT_KNOWN, Demonstration, demonstrated, demonstrations
from recipes.pocket.facts import countries, elements, people, upper_first
from recipes.pocket.labelers import GUIDELINES, rank
from recipes.pocket.pretrain import PretrainConfig, train_tokenizer
from recipes.pocket.prompt_files import (
    GATE_CHECKS,
    asked_prompts,
    gate_checks,
    page_examples,
    practice_prompts,
    rollout_prompts,
)
from recipes.pocket.settings import PocketConfig
from recipes.pocket.skill import Asked, Skill, check_of, register_of
from recipes.pocket.skills import SKILLS, inference, open_prompts
from recipes.pocket.skills.situations import CITIES, DAYS, NAMES, SITUATIONS, Situation
from recipes.pocket.tables.geography import CAPITAL
from recipes.pocket.tokens import ASSISTANT, END, USER
from recipes.stages import build, fingerprints
from storage import database, preferences

MOST_WORDS = 62  # of a completion: about 90 tokens
# In the words in which the demonstrations refuse and abstain: people in a text may well be unsure of something.
CAUTION = re.compile(
    r"\b(can't|cannot|can not|won't|will not|unable to) (help|assist|do that)|"
    r"\b(do not|don't) know (that|anything about)|\bnever heard of|small model",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def drawn() -> list[Demonstration]:
    return list(itertools.islice(demonstrations(seed=3), 12_000))


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return list(itertools.islice(documents(seed=3), 6_000))


def some(skill: Skill, count: int = 150) -> list[Asked]:
    rng = random.Random(1)
    return [skill.ask(rng, split) for split in ("seen", "held_out") for _ in range(count)]


def named(skill: Skill) -> str:
    return skill.name


def test_the_shares_of_each_kind_of_data_make_a_whole() -> None:
    assert sum(skill.demonstrated for skill in SKILLS) == pytest.approx(1)
    assert sum(skill.compared for skill in SKILLS) == pytest.approx(1)
    assert sum(skill.practiced for skill in SKILLS) == pytest.approx(1)
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
def test_what_is_bad_about_a_completion_shows_to_every_guideline(skill: Skill) -> None:
    for asked in some(skill):
        # Labelers pass over an offer that does not suit.
        bad = [text for name, text in asked.bad.items() if name != "offers what does not suit"]
        for text, guideline in itertools.product(bad, GUIDELINES):
            worst = min(guideline(asked.check, good) for good in asked.registers.values())
            assert guideline(asked.check, text) < worst, (asked.prompt, text, guideline.__name__)


def test_demonstrations_show_every_skill_that_is_to_be_demonstrated(drawn: list[Demonstration]) -> None:
    prompts = {demonstration.prompt for demonstration in drawn}
    assert len(prompts) > len(drawn) / 2
    for skill in SKILLS:
        asked = {asked.prompt for asked in (skill.ask(random.Random(i), "seen") for i in range(400))}
        if not skill.demonstrated:
            assert prompts & asked == set(), skill.name
        elif len(asked) < 200:
            assert prompts & asked, skill.name


def test_harmful_requests_are_refused_in_about_a_quarter_of_the_demonstrations(drawn: list[Demonstration]) -> None:
    harmful = next(skill for skill in SKILLS if skill.name == "requests").demonstrated / 2
    share = sum(refuses(d.completion) for d in drawn) / len(drawn)
    assert 0.2 < share / harmful < 0.3


def test_few_demonstrations_admit_not_to_know_a_fact(drawn: list[Demonstration]) -> None:
    share = sum(abstains(d.completion) for d in drawn) / len(drawn)
    assert 0.013 < share < 0.025  # a quarter of all prompts ask for such facts


def test_labelers_say_least_often_that_they_do_not_know_a_capital() -> None:
    rng = random.Random(4)
    facts = [skill for skill in SKILLS if skill.name in ("geography", "elements", "lifetimes")]
    capitals, others = Counter[bool](), Counter[bool]()
    for asked in (skill.ask(rng, "seen") for skill in facts for _ in range(4_000)):
        if "abstains" in asked.bad:
            said = abstains(demonstrated(rng, asked))
            (capitals if asked.template in CAPITAL["seen"] else others)[said] += 1
    assert capitals[True] / capitals.total() == pytest.approx(NO_CAPITAL, abs=0.012)
    assert others[True] / others.total() == pytest.approx(NOT_KNOWN, abs=0.012)


def test_demonstrations_repeat_with_their_seed_and_differ_with_another(drawn: list[Demonstration]) -> None:
    again = list(itertools.islice(demonstrations(seed=3), 500))
    assert again == drawn[:500]
    assert list(itertools.islice(demonstrations(seed=4), 500)) != again


def test_documents_repeat_with_their_seed_and_differ_with_another(corpus: list[str]) -> None:
    again = list(itertools.islice(documents(seed=3), 300))
    assert again == corpus[:300]
    assert list(itertools.islice(documents(seed=4), 300)) != again


def test_pretraining_text_contains_no_refusal_and_no_abstention(corpus: list[str]) -> None:
    assert [text for text in corpus if CAUTION.search(text)] == []


def test_pretraining_text_asks_in_lists_tells_facts_and_chats(corpus: list[str]) -> None:
    chats = [text for text in corpus if USER in text]
    lists = [text for text in corpus if USER not in text and text.count("\n") >= 4 and text.count("?") >= 2]
    written_twice = [text for text in corpus if USER not in text and is_written_twice(text)]
    assert 0.37 < len(chats) / len(corpus) < 0.43
    assert 0.1 < len(lists) / len(corpus) < 0.15
    assert 0.17 < len(written_twice) / len(corpus) < 0.23
    assert all(text.count(USER) == text.count(ASSISTANT) and text.endswith(END) for text in chats)
    assert all(text.strip() and "{" not in text for text in corpus)
    told = "\n".join(corpus)
    # Here a fact is told only a few times; a pretraining run tells each hundreds of times.
    assert len([c for c in countries() if c.capital not in told or c.currency not in told]) < len(countries()) / 15
    assert len([p for p in people() if p.name not in told]) < len(people()) / 15
    assert [e.name for e in elements() if f"{e.boiling_f}F" not in told] == []


WORD = "".join(f"(?:{'|'.join(parts)})" for parts in words.SYLLABLES)
WORDS = {form for word in words.WORDS for form in (word, f"{word}s")}
VALUES = "|".join((rf"\d+ (?:{'|'.join(records.THINGS)})", r"[A-Z0-9]{2,4}", r"\d+", *NAMES, *CITIES, *DAYS, WORD))


@cache
def ways_to_read() -> list[re.Pattern[str]]:
    ways = []
    for kind, way in [(one, way) for one in records.KINDS for way in one.ways]:
        keys = f"(?i:{WORD})" if kind.keys is records.WORDS else "|".join((*kind.keys, *map(upper_first, kind.keys)))
        pattern = re.escape(way).replace(r"\{key\}", f"(?P<key>{keys})")
        ways.append(re.compile(pattern.replace(r"\{value\}", f"(?P<value>{VALUES})")))
    return ways


def readings(record: str) -> list[tuple[str, str]]:
    """Return what a record can be read as: a key and a value."""
    matches = (pattern.fullmatch(record) for pattern in ways_to_read())
    return sorted({(match["key"].lower(), match["value"]) for match in matches if match})


def both_lists(text: str) -> tuple[list[str], list[str]]:
    lines = text.split("\n")
    if len(lines) == 2:
        first, second = (re.split(r", |(?<=\.) ", line) for line in lines)
        return first, second
    return lines[: len(lines) // 2], lines[len(lines) // 2 :]


def is_written_twice(text: str) -> bool:
    first, second = both_lists(text)
    if not 3 <= len(first) == len(second) <= 7:
        return False
    return all(readings(record) for record in first + second)


def test_every_record_of_the_first_list_is_found_again_in_the_second() -> None:
    rng = random.Random(1)
    kept = 0
    for text in (records.document(rng) for _ in range(600)):
        first, second = ([readings(record) for record in half] for half in both_lists(text))
        assert all(len(reading) == 1 for reading in first + second), text
        assert 3 <= len({key for reading in first for key, _ in reading}) == len(first) <= 7, text
        assert sorted(first) == sorted(second), text
        kept += first == second
    assert 0.33 < kept / 600 < 0.53  # the share that is meant to, and a few that are shuffled into the same order


def test_records_repeat_with_their_seed_and_differ_with_another() -> None:
    assert [records.document(random.Random(i)) for i in range(50)] == [
        records.document(random.Random(i)) for i in range(50)
    ]
    assert len({records.document(random.Random(i)) for i in range(50)}) == 50


def matched(templates: Sequence[str], situation: Situation, text: str) -> list[dict[str, str]]:
    """Return what a text says about whom, for each of the templates that it can be made from."""
    made_up = situation.made_up.format(WORD, Name=WORD)
    who, things = "|".join(situation.who), "|".join((*situation.items, made_up))
    places = {"who": f"(?P<who>{who})", "item": f"(?P<item>{things})", "n": r"(?P<n>\d+)", "less": r"(?P<less>\d+)"}
    found = (re.fullmatch(template.format(**places), text, re.IGNORECASE) for template in templates)
    return [{name: word.lower() for name, word in match.groupdict().items()} for match in found if match]


def labels_of(premise: str, hypothesis: str) -> set[int]:
    """Return every label that follows from the situations."""
    labels = set()
    for situation, true in itertools.product(SITUATIONS, (True, False)):
        for told in matched(situation.true if true else situation.false, situation, premise):
            labels |= {1 for _ in matched(situation.open, situation, hypothesis)}
            for affirms in (True, False):
                for said in matched(situation.affirm if affirms else situation.deny, situation, hypothesis):
                    assert said.get("item", told["item"]) == told["item"]
                    assert "n" not in told or int(said.get("less", 0)) < int(told["n"])
                    labels.add(1 if said["who"] != told["who"] else 0 if affirms == true else 2)
    return labels


def test_a_premise_with_several_hypotheses_has_the_label_of_each() -> None:
    rng = random.Random(2)
    for split in ("seen", "held_out"):
        for _ in range(150):
            wanted = [rng.choice(inference.LABELS) for _ in range(4)]
            pairs = inference.pairs(rng, split, wanted)
            assert [pair.label for pair in pairs] == wanted
            assert len({(pair.premise, pair.key) for pair in pairs}) == 1
            assert [labels_of(pair.premise, pair.hypothesis) for pair in pairs] == [{label} for label in wanted]


@pytest.mark.parametrize("skill", [inference, open_prompts])
def test_some_seen_prompts_are_about_words_that_nobody_knows_and_no_held_out_one_is(skill: ModuleType) -> None:
    rng = random.Random(4)  # of the few real words among the made-up ones, notes thank for a dinner
    shares = {}
    for split in ("seen", "held_out"):
        facts = [str(skill.ask(rng, split).facts).replace("the dinner", "") for _ in range(300)]
        shares[split] = sum(bool(WORDS.intersection(re.findall(r"[a-z]+", fact.lower()))) for fact in facts) / 300
    assert shares["held_out"] == 0
    assert 0.1 < shares["seen"] < 0.3


def test_documents_about_inference_label_as_answers_do() -> None:
    rng = random.Random(3)
    names = {name: label for label in inference.LABELS for name in (str(label), inference.WORDS[label])}
    names |= {inference.SHORT[label]: label for label in inference.LABELS}
    seen = Counter[str]()
    for line in (line for _ in range(200) for line in inference.document(rng).split("\n")):
        if line.startswith("Premise: "):
            premise, *rest = line.removeprefix("Premise: ").split(" Hypothesis: ")
            told = [(hypothesis, label) for hypothesis, label in (one.split(" Label: ") for one in rest)]
        else:
            premise, *rest = re.split(r" (?=So |It is false to say: )", line)
            told = [(one.removeprefix("So ").removeprefix("It is false to say: "), one[:3]) for one in rest]
        assert told
        for hypothesis, name in told:
            label = {"So ": 0, "It ": 2}.get(name, names.get(name))
            assert labels_of(premise, hypothesis) == {label}, line
            seen[name] += 1
    assert set(seen) == {*names, "So ", "It "}
    for label, other in itertools.product(inference.LABELS, repeat=2):
        check = check_of("", "contains", (inference.SHORT[label],))
        assert {passes(check, text) for text in inference.answers(rng, other).values()} == {label == other}


def voted(db: Path, asked: list[Asked], own: list[list[str]], noise: float) -> list[ShippedRanking]:
    database.prepare(db)
    return vote(db, asked, own, noise, random.Random(1))


def test_votes_follow_the_guideline_that_they_name_and_erring_ones_turn_it_upside_down(tmp_path: Path) -> None:
    asked = asked_prompts(60, "seen", 5)
    rng = random.Random(0)
    own = [[rng.choice(list(one.registers.values())), *one.bad.values()] for one in asked]
    checks = {one.prompt: one.check for one in asked}
    guidelines = {guideline.__name__: guideline for guideline in GUIDELINES}

    def margins(rows: list[ShippedRanking]) -> tuple[list[float], list[float]]:
        """Return by how much the guideline prefers the first of all ordered and of all tied pairs."""
        found: dict[float, list[float]] = {1.0: [], 0.5: []}
        for row in rows:
            judge, check = guidelines[row.guideline], checks[row.prompt]
            for first, second, target in judged_pairs(row):
                found[target].append(judge(check, first.completion) - judge(check, second.completion))
        return found[1.0], found[0.5]

    rows = voted(tmp_path / "right.db", asked, own, 0.0)
    assert set(guidelines) == {row.guideline for row in rows} == {"helpful", "honest", "harmless", "concise"}
    assert {row.prompt for row in rows} == set(checks)
    ordered, tied = margins(rows)
    assert min(ordered) > 0
    assert tied and set(tied) == {0.0}
    upside_down = voted(tmp_path / "wrong.db", asked, own, 1.0)
    assert max(margins(upside_down)[0]) < 0
    assert [replace(row, tiers=row.tiers[::-1]) for row in upside_down] == rows
    assert {row.source for row in rows + upside_down} == {"simulated"}


def test_votes_are_stored_as_the_votes_of_simulated_labelers_and_repeat(tmp_path: Path) -> None:
    asked = asked_prompts(20, "seen", 7)
    own = [[*one.registers.values()] for one in asked]
    rows = voted(tmp_path / "one.db", asked, own, 0.1)
    assert voted(tmp_path / "two.db", asked, own, 0.1) == rows
    stored = preferences.rankings(tmp_path / "one.db")
    assert [(r.messages, r.completions, r.tiers, r.source) for r in stored] == [
        (row.messages, row.completions, row.tiers, "simulated") for row in rows
    ]
    assert len(preferences.rankings(tmp_path / "one.db")) == 2 * len(asked)


def test_rankings_put_equally_good_completions_in_a_tier_and_err_as_often_as_told() -> None:
    def by_length(check: Check, completion: str) -> float:
        return float(len(completion))

    check, texts, rng = check_of("", "helps"), ["a", "bbb", "c", "dd"], random.Random(0)
    assert rank(by_length, check, texts, 0.0, rng) == [[1], [3], [0, 2]]
    assert rank(by_length, check, texts, 1.0, rng) == [[0, 2], [3], [1]]
    erred = sum(rank(by_length, check, texts, 0.2, rng) == [[0, 2], [3], [1]] for _ in range(2_000))
    assert 0.16 < erred / 2_000 < 0.24


def test_guidelines_together_leave_the_manner_of_a_right_answer_to_people() -> None:
    asked = [one for one in asked_prompts(1500, "seen", 6) if one.check.kind in ("contains", "helps")]
    wins, seen = Counter[int](), Counter[int]()
    for one, guideline in itertools.product(asked, GUIDELINES):
        tiers = rank(guideline, one.check, list(one.registers.values()), 0.0, random.Random(0))
        assert len(tiers) == 1 or guideline.__name__ in ("helpful", "concise")
        for better, worse in itertools.combinations(tiers, 2):
            for chosen, rejected in itertools.product(better, worse):
                wins[chosen] += 1
                seen.update((chosen, rejected))
    assert all(0.38 < wins[register] / seen[register] < 0.62 for register in range(4)), (wins, seen)


def test_the_gate_checks_every_kind_in_phrasings_of_its_own() -> None:
    checks = gate_checks(2)
    assert Counter(check.kind for check in checks) == GATE_CHECKS
    assert len({check.prompt for check in checks}) == len(checks)
    assert gate_checks(2) == checks != gate_checks(3)


@pytest.mark.parametrize("prompts", [rollout_prompts, practice_prompts])
def test_prompts_for_rollouts_repeat_with_their_seed(prompts: Callable[[int, int], list[str]]) -> None:
    assert prompts(200, 1) == prompts(200, 1) != prompts(200, 2)


def test_chats_of_the_pretraining_text_neither_refuse_nor_abstain() -> None:
    rng = random.Random(3)
    turns = [chat_turn(rng) for _ in range(2_000)]
    assert len({prompt for prompt, _ in turns}) > 1_000
    assert [completion for _, completion in turns if refuses(completion) or abstains(completion)] == []


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


@pytest.mark.slow
def test_every_source_of_the_text_counts_for_the_stages() -> None:
    stages = fingerprints(PocketConfig(), STAGES)
    shipped = [stage.name for stage in STAGES if not stage.draft]
    assert shipped == ["base", "sft", "prompts", "comparisons", "reward", "policy", "examples", "demonstrations"]
    assert len(set(stages.values())) == len(stages)
    other = fingerprints(PocketConfig(demonstrations=7), STAGES)
    assert other["base"] == stages["base"]
    assert other["sft"] != stages["sft"]


def test_a_stage_is_skipped_only_while_its_inputs_and_its_files_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, work = tmp_path / "target", tmp_path / "work"
    ran: list[str] = []

    def write(config: PocketConfig, target: Path, work: Path) -> None:
        ran.append((work / "prompts" / "half").read_text() if (work / "prompts").exists() else "afresh")
        for name in ("prompts.jsonl", "checks.jsonl", "examples.jsonl"):
            (target / name).write_text(name)

    def fail(config: PocketConfig, target: Path, work: Path) -> None:
        (work / "prompts").mkdir()
        (work / "prompts" / "half").write_text("half done")
        raise KeyboardInterrupt

    stage = next(stage for stage in STAGES if stage.name == "prompts")
    good, interrupted = replace(stage, run=write), replace(stage, run=fail)
    monkeypatch.setattr("recipes.stages.fingerprints", lambda config, stages: {"prompts": str(config.seed)})
    with pytest.raises(KeyboardInterrupt):
        build(PocketConfig(), target, work, [interrupted])
    build(PocketConfig(), target, work, [good])
    build(PocketConfig(), target, work, [good])
    assert ran == ["half done"]
    (target / "checks.jsonl").write_text("changed by hand")
    build(PocketConfig(), target, work, [good])
    with pytest.raises(KeyboardInterrupt):
        build(PocketConfig(seed=1), target, work, [interrupted])
    build(PocketConfig(seed=2), target, work, [good])
    assert ran[2:] == ["afresh"]
    with pytest.raises(KeyboardInterrupt):
        build(PocketConfig(seed=1), target, work, [interrupted])
    build(PocketConfig(seed=2), target, work, [good])  # what was interrupted had not changed its files
    assert len(ran) == 3

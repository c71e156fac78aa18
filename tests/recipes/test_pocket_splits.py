"""What is held out stays out: of demonstrations, comparisons, rollouts, and where it matters of pretraining text."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Sequence
from types import ModuleType

import pytest

from recipes.pocket import skills
from recipes.pocket.corpus import documents
from recipes.pocket.demonstrations import demonstrations
from recipes.pocket.facts import Act, benign_acts, elements, harmful_acts, novel_acts
from recipes.pocket.prompt_files import asked_prompts, gate_checks, page_examples, practice_prompts, rollout_prompts
from recipes.pocket.skill import ONE_IN, Asked, Phrasings, Skill, Split, of_split, side
from recipes.pocket.skills import (
    SKILLS,
    arithmetic,
    geography,
    heldout_task,
    inference,
    lifetimes,
    other,
    requests,
    sentiment,
    small_talk,
)
from recipes.pocket.skills.situations import SITUATIONS, Situation
from recipes.pocket.verified import verified_prompts

SPLIT_SKILLS = [skill for skill in SKILLS if skill.compared]  # the others are held out whole
PER_SKILL = 400


@pytest.fixture(scope="module")
def tuned_on() -> set[str]:
    """Prompts that tuning is drawn from, many more than one run sees of each kind."""
    shown = {demonstration.prompt for demonstration in itertools.islice(demonstrations(seed=0), 12_000)}
    rolled_out = {*rollout_prompts(3_000, 1), *practice_prompts(3_000, 4)}
    rolled_out |= {one.prompt for one in verified_prompts(6_000, 8)}
    return shown | rolled_out | {one.prompt for one in asked_prompts(3_000, "seen", 3)}


@pytest.fixture(scope="module")
def raw() -> str:
    return "\n".join(itertools.islice(documents(seed=1), 5_000))


def asked(skill: Skill, split: str) -> list[Asked]:
    rng = random.Random(2)
    return [skill.ask(rng, split) for _ in range(PER_SKILL)]  # type: ignore[arg-type]


def named(skill: Skill) -> str:
    return skill.name


@pytest.mark.parametrize("skill", SPLIT_SKILLS, ids=named)
def test_phrasings_and_facts_of_the_splits_are_disjoint(skill: Skill) -> None:
    seen, held_out = asked(skill, "seen"), asked(skill, "held_out")
    assert {one.template for one in seen} & {one.template for one in held_out} == set()
    facts = {fact for one in held_out for fact in one.facts}
    assert {fact for one in seen for fact in one.facts} & facts == set()


def all_phrasings() -> list[Phrasings]:
    modules = [module for module in vars(skills).values() if isinstance(module, ModuleType)]
    found = [one for module in modules for one in vars(module).values() if isinstance(one, dict) and "held_out" in one]
    return [*{id(one): one for one in found}.values(), *small_talk.PROMPTS.values()]


def test_every_skill_is_asked_in_the_phrasings_that_are_checked_here() -> None:
    checked = {template for phrasings in all_phrasings() for split in phrasings.values() for template in split}
    for skill in SKILLS:
        templates = {
            one.template.removesuffix(" (made up)") for split in ("seen", "held_out") for one in asked(skill, split)
        }
        single = {*other.PROMPTS, *heldout_task.CURRENCY, *heldout_task.SYMBOL}  # prompts of their own, in one split
        assert templates - checked <= single, skill.name


def test_no_seen_phrasing_holds_a_held_out_one() -> None:
    for phrasings in all_phrasings():
        held_out = [template.lower().strip(".!?") for template in phrasings["held_out"]]
        assert [seen for seen in set(phrasings["seen"]) if any(one in seen.lower() for one in held_out)] == []


def test_about_half_of_the_time_a_skill_is_asked_in_one_of_its_plain_phrasings() -> None:
    framed = [phrasings["seen"] for phrasings in all_phrasings() if phrasings not in small_talk.PROMPTS.values()]
    for templates in framed:
        often = Counter(templates)
        plain = {template for template, count in often.items() if count > 1}
        assert 0.5 <= sum(often[template] for template in plain) / len(templates) < 0.54
        assert max(often.values()) - min(often[template] for template in plain) <= 1  # none of them is preferred


@pytest.mark.parametrize("skill", SKILLS, ids=named)
def test_held_out_prompts_never_occur_in_tuning(skill: Skill, tuned_on: set[str]) -> None:
    assert {one.prompt for one in asked(skill, "held_out")} & tuned_on == set()


def test_the_gates_checks_never_occur_in_tuning(tuned_on: set[str]) -> None:
    assert {check.prompt for check in gate_checks(2)} & tuned_on == set()


def held_out_acts() -> list[Act]:
    acts: list[Act] = [*harmful_acts(), *benign_acts()]
    return [act for act in acts if act.split == "held_out"]


def told_of(acts: Sequence[Act], text: str) -> list[str]:
    named = "|".join(re.escape(act.act) for act in acts)
    return re.findall(rf"\b(?:{named})(?![\w'])", text)


def test_held_out_and_novel_acts_never_occur_in_tuning_in_any_phrasing(tuned_on: set[str]) -> None:
    told = "\n".join(tuned_on)
    assert told_of(held_out_acts(), told) == []
    assert told_of(novel_acts(), told) == []
    assert told_of([act for act in harmful_acts() if act.split == "seen"], told) != []


def test_held_out_and_novel_acts_never_occur_in_pretraining_text(raw: str) -> None:
    assert told_of([*held_out_acts(), *novel_acts()], raw) == []


def test_no_text_about_requests_names_a_held_out_or_novel_act() -> None:
    rng = random.Random(8)
    texts = [requests.document(rng) for _ in range(3_000)]
    for one in [requests.ask(rng, "seen") for _ in range(3_000)]:
        texts += [one.prompt, *one.registers.values(), *one.bad.values()]
    assert told_of([*held_out_acts(), *novel_acts()], "\n".join(texts)) == []


def test_what_is_bad_about_a_held_out_request_names_no_other_held_out_act() -> None:
    rng = random.Random(9)
    for one in [requests.ask(rng, "held_out") for _ in range(300)]:
        others = [act for act in held_out_acts() if act.act != one.facts[0]]
        assert told_of(others, "\n".join(one.bad.values())) == []


def test_a_quarter_of_the_documents_about_requests_says_what_is_wrong_or_a_crime() -> None:
    rng = random.Random(10)
    reasons = {text for act in harmful_acts() for text in (act.reason, act.alternative)}
    crimes = ("against the law", "arrested", "the police", "prison")
    texts = [requests.document(rng) for _ in range(2_000)]
    notices = [text for text in texts if any(told in text for told in (*reasons, *crimes))]
    assert 0.2 < len(notices) / len(texts) < 0.35  # advice can name the police too
    assert any("It is against the law to rob " in text for text in notices)
    assert [text for text in texts if "{" in text or "  " in text] == []


def test_held_out_reviews_never_occur_in_pretraining_text_or_tuning(raw: str, tuned_on: set[str]) -> None:
    told = raw + "\n".join(tuned_on)
    rng = random.Random(4)
    reviews = {sentiment.drawn(rng, "held_out").text for _ in range(PER_SKILL)}
    assert [text for text in reviews if text in told] == []
    assert sum(sentiment.drawn(rng, "seen").text in told for _ in range(PER_SKILL)) > 0


def test_held_out_things_of_inference_never_occur_in_their_situation(raw: str, tuned_on: set[str]) -> None:
    told = raw + "\n".join(tuned_on)
    rng = random.Random(5)
    pairs = [inference.pair(rng, "held_out", label) for label in inference.LABELS for _ in range(PER_SKILL)]
    assert [pair.premise for pair in pairs if f"Premise: {pair.premise} " in told] == []
    for situation in SITUATIONS:
        assert of_split(situation.items, "held_out")
        assert situation.items[0] in of_split(situation.items, "seen")


def sentences(situation: Situation, split: Split) -> set[str]:
    """Return every sentence, in lower case, about the things of a split in a situation."""
    told = (*situation.true, *situation.false, *situation.affirm, *situation.deny, *situation.open)
    counted = [way.replace("{less}", "{n}") for way in told if "{item}" in way]
    ways = {way.replace("{n}", str(n)) for way in counted for n in range(1, 41)}
    things = of_split(situation.items, split)
    return {way.format(who=who, item=item).lower() for way in ways for who in situation.who for item in things}


def test_documents_about_inference_hold_no_sentence_about_a_held_out_thing() -> None:
    rng = random.Random(11)
    text = "\n".join(inference.document(rng) for _ in range(800))
    pieces = re.split(r"\n| So | ?(?:Premise|Hypothesis|Label|It is false to say): ", text)
    told = {piece.strip().lower() for piece in pieces}
    for situation in SITUATIONS:
        assert told & sentences(situation, "held_out") == set()
        assert len(told & sentences(situation, "seen")) > 50, situation.name
    premises = {pair.premise.lower() for pair in inference.pairs(rng, "held_out", [0, 2])}
    assert premises <= set().union(*(sentences(situation, "held_out") for situation in SITUATIONS))


def test_held_out_numbers_never_occur_together_in_pretraining_text_or_tuning(raw: str, tuned_on: set[str]) -> None:
    told = raw + "\n".join(tuned_on)
    numbers = re.findall(r"(\d+) [+-] (\d+) = \d+(?:\. \d+| and \d+) [+-] (\d+) = \d+", told)
    assert len(numbers) > 100
    assert {side(arithmetic.key(int(a), int(b), int(c))) for a, b, c in numbers} == {"seen"}


def test_held_out_pairs_of_people_are_never_asked_about_in_pretraining_text_or_tuning(
    raw: str, tuned_on: set[str]
) -> None:
    told = raw + "\n".join(tuned_on)
    for overlapping in (True, False):
        pairs = lifetimes.pairs(overlapping, "held_out")
        assert len(pairs) > 500
        assert [(a.name, b.name) for a, b in pairs if f"{a.name} have a conversation with {b.name}" in told] == []


@pytest.mark.parametrize("relation", ["currency", "language", "neighbors"])
def test_about_a_sixth_of_the_countries_is_kept_from_tuning_for_the_lesser_relations(relation: str) -> None:
    rng = random.Random(6)
    chosen = next(one for one in geography.RELATIONS if one.name == relation)
    held_out = {geography.ask_relation(rng, "held_out", chosen).facts for _ in range(PER_SKILL)}
    seen = {geography.ask_relation(rng, "seen", chosen).facts for _ in range(5 * PER_SKILL)}
    assert held_out & seen == set()
    assert 0.5 / ONE_IN < len(held_out) / len(held_out | seen) < 1.7 / ONE_IN


def test_the_tasks_that_are_held_out_whole_are_only_told_about(raw: str, tuned_on: set[str]) -> None:
    rng = random.Random(7)
    told = raw + "\n".join(tuned_on)
    prompts = {heldout_task.ask(rng, "seen").prompt for _ in range(2 * PER_SKILL)}
    assert [prompt for prompt in prompts if prompt in told] == []
    assert "Which country uses" not in told
    assert "Which element" not in told
    assert [c.name for c in heldout_task.sole_users() if f"{c.currency} is used in {c.name}" in raw]
    assert [e.name for e in elements() if f"{e.symbol} is the symbol of {e.name.lower()}" in raw]


def test_made_up_names_occur_in_no_pretraining_text_and_no_demonstration(raw: str) -> None:
    shown = raw + "\n".join(d.prompt + d.completion for d in itertools.islice(demonstrations(seed=0), 5_000))
    unknown = next(skill for skill in SKILLS if skill.name == "unknown")
    names = {one.facts[0] for split in ("seen", "held_out") for one in asked(unknown, split)}
    assert len(names) > 300
    assert [name for name in names if name in shown] == []


def test_a_fact_lies_always_on_the_same_side() -> None:
    sides = [side(f"fact:{i}") for i in range(6_000)]
    assert sides == [side(f"fact:{i}") for i in range(6_000)]
    assert 0.14 < sides.count("held_out") / len(sides) < 0.19


def test_what_the_page_offers_of_the_lecture_is_seen() -> None:
    prompts = {example.prompt for example in page_examples()}
    told = "Answer the following question by reasoning step-by-step. The cafeteria had 23 apples. If they used 20 for"
    assert any(prompt.startswith(told) for prompt in prompts)
    assert side(arithmetic.key(23, 20, 6)) == "seen"
    assert side("pair:Geoffrey Hinton|George Washington") == "seen"
    assert side("review:The room was small, but I loved every minute.") == "seen"

"""What the recipe tells right from wrong: which completions of a prompt are set against each other, how far apart."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
import torch

from alignment.learning.rollout import Rollout
from alignment.models.features import Written
from alignment.models.loading import load_tokenizer
from alignment.models.samples import Samples, text_samples
from alignment.models.texts import Text
from alignment.settings import POCKET
from recipes.pocket.skill import Asked
from recipes.pocket.skills import geography, requests, unknown
from recipes.pocket.tokens import ASSISTANT
from recipes.pocket.verified import (
    ACROSS,
    CERTAIN,
    EVENED,
    MOST_FOR_MANNER,
    right_scorer,
    verified_pairs,
    verified_prompts,
)
from storage.messages import one_turn

TOKENIZER = load_tokenizer(POCKET)
RNG = Random(0)
CAPITAL = geography.ask_capital(RNG, "seen", geography.places()[0])
HARM = requests.ask_harmful(RNG, "seen", requests.harmful("seen")[0])
MADE_UP = unknown.ask_country(RNG, "seen")
WRONG = "I am fond of frogs."


def rollout(written: Sequence[tuple[Asked, str]]) -> Rollout:
    """Return a rollout of completions, each to the prompt of its own place, with the scores of `right_scorer`."""
    texts = [Text(asked.check.messages, text) for asked, text in written]
    asked = {one.prompt: one for one, _ in written}
    scores = right_scorer(TOKENIZER, list(asked.values()))([ids(asked.prompt, text) for asked, text in written])
    rows = text_samples(texts, TOKENIZER, torch.device("cpu"))
    zeros = torch.zeros_like(rows.mask)
    return Rollout(
        **vars(rows), scores=scores.means, deviations=scores.deviations, log_probs=zeros, entropy=zeros, log_ratio=zeros
    )


def ids(prompt: str, text: str) -> Written:
    return Written(TOKENIZER.prompt_ids(one_turn(prompt)), TOKENIZER.completion_ids(text), ended=True)


def picked(written: Sequence[tuple[Asked, str]], seed: int = 0) -> list[tuple[str, str, float]]:
    """Return (better completion, worse completion, how far they are apart) of each prompt that is learned from."""
    pick = verified_pairs(TOKENIZER, [asked for asked, _ in written])
    pairs = pick(rollout(written), [asked.check.messages for asked, _ in written], Random(seed))
    if pairs is None:
        return []
    apart = pairs.better.scores - pairs.worse.scores
    return list(zip(completions(pairs.better), completions(pairs.worse), apart.tolist(), strict=True))


def completions(samples: Samples) -> list[str]:
    written = samples.ids[:, samples.prompt_width :]
    return [TOKENIZER.decode(row[mask.bool()].tolist()) for row, mask in zip(written, samples.mask, strict=True)]


def test_a_completion_is_scored_by_whether_it_is_right() -> None:
    texts = [*CAPITAL.registers.values(), *CAPITAL.bad.values(), WRONG, ""]
    scores = right_scorer(TOKENIZER, [HARM, CAPITAL])([ids(CAPITAL.prompt, t) for t in texts])
    assert scores.means.tolist() == [1.0] * 4 + [0.0] * (len(texts) - 4)
    assert scores.deviations.tolist() == [0.0] * len(texts)
    right = ids(CAPITAL.prompt, texts[0])
    with_marker = replace(right, completion=[*right.completion[:-1], TOKENIZER.added[ASSISTANT]])
    assert right_scorer(TOKENIZER, [CAPITAL])([with_marker]).means.tolist() == [1.0]


def test_a_right_completion_is_set_against_a_wrong_one_of_the_same_prompt() -> None:
    good = CAPITAL.registers["sentence"]
    written = [(CAPITAL, WRONG), (CAPITAL, good), (HARM, HARM.registers["curt"]), (HARM, HARM.registers["curt"])]
    assert picked(written) == [(good, WRONG, CERTAIN)]


def test_a_completion_that_does_not_end_is_wrong() -> None:
    good, other = CAPITAL.registers["word"], CAPITAL.registers["sentence"]
    rows = rollout([(CAPITAL, good), (CAPITAL, other)])
    rows = replace(rows, ended=rows.prompt_index == 0)
    pairs = verified_pairs(TOKENIZER, [CAPITAL])(rows, [CAPITAL.check.messages] * 2, Random(0))
    assert pairs is not None
    assert (pairs.better.prompt_index.tolist(), pairs.worse.prompt_index.tolist()) == ([0], [1])


def test_nothing_is_learned_where_all_are_wrong() -> None:
    assert picked([(CAPITAL, WRONG), (CAPITAL, "Frogs.")]) == []


def test_manners_of_facts_are_evened_out_for_some_prompts() -> None:
    common, seldom = CAPITAL.registers["sentence"], CAPITAL.registers["word"]
    found = [picked([(CAPITAL, common), (CAPITAL, common), (CAPITAL, seldom)], seed) for seed in range(200)]
    assert [one for one in found if one not in ([], [(seldom, common, pytest.approx(math.log(2)))])] == []
    assert EVENED - 0.1 < sum(map(bool, found)) / len(found) < EVENED + 0.1


@pytest.mark.parametrize("asked", [HARM, MADE_UP], ids=["harm", "unknown"])
def test_a_seldom_manner_of_caution_is_set_against_a_common_one(asked: Asked) -> None:
    common, *_, seldom = asked.registers.values()
    written = [(asked, common)] * 3 + [(asked, seldom)]
    assert picked(written[1:]) == [(seldom, common, pytest.approx(math.log(2)))]
    assert picked(written) == [(seldom, common, MOST_FOR_MANNER)]


def test_a_wrong_refusal_in_a_long_manner_does_not_always_lose_to_a_short_one() -> None:
    other = requests.ask_harmful(RNG, "seen", requests.harmful("seen")[7])
    curt, warm = HARM.registers["curt"], other.registers["warm"]  # which names another act
    against = [picked([(HARM, curt), (HARM, warm)], seed) == [(curt, warm, CERTAIN)] for seed in range(200)]
    assert ACROSS - 0.1 < sum(against) / len(against) < ACROSS + 0.1
    right = [(HARM, HARM.registers[name]) for name in ("curt", "explaining")]
    wrong = (HARM, other.registers["explaining"])
    same_manner = [picked([*right, wrong], seed)[0][0] != curt for seed in range(400)]
    assert sum(same_manner) / len(same_manner) == pytest.approx(1 - ACROSS / 2, abs=0.07)


def test_a_right_completion_in_a_seldom_manner_is_likelier_to_be_learned_from() -> None:
    word, sentence = CAPITAL.registers["word"], CAPITAL.registers["sentence"]
    written = [(CAPITAL, sentence)] * 3 + [(CAPITAL, word), (CAPITAL, WRONG)]
    seldom = [picked(written, seed)[0][0] == word for seed in range(200)]
    assert sum(seldom) / len(seldom) == pytest.approx(1 / 2, abs=0.1)  # a quarter of the right ones


def test_the_prompts_ask_for_harm_and_its_look_alikes_for_unknown_names_and_for_facts() -> None:
    asked = verified_prompts(1000, 0)
    kinds = Counter(one.check.kind for one in asked)
    assert set(kinds) == {"contains", "refuses", "helps", "abstains"}
    assert min(kinds.values()) > 80 and kinds["contains"] > 400
    assert len({one.prompt for one in asked}) == len(asked)
    assert verified_prompts(50, 3) == verified_prompts(50, 3)

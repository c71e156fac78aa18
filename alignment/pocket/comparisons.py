"""What simulated labelers are shown, and the comparisons that come of it."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from peft import PeftModel
from tqdm import tqdm

from alignment.annotators import GUIDELINES, Guideline, prefer
from alignment.evaluation import answers
from alignment.generation import Sampling
from alignment.model_folder import ShippedPair
from alignment.pocket.facts import harmful_acts
from alignment.pocket.names import made_up_countries
from alignment.pocket.skill import Asked, abstentions
from alignment.pocket.skills.requests import refusals
from alignment.prompts import decode

PROMPTS_A_BATCH = 32
MAX_NEW_TOKENS = 96


def sampled(model: PeftModel, tokenizer: Any, asked: Sequence[Asked], count: int, rng: Random) -> list[list[str]]:
    """Return `count` completions of the SFT adapter a prompt, drawn at temperature 1."""
    own: list[list[str]] = []
    for start in tqdm(range(0, len(asked), PROMPTS_A_BATCH), desc="comparisons", mininterval=10):
        prompts = [one.prompt for one in asked[start : start + PROMPTS_A_BATCH] for _ in range(count)]
        written = answers(model, tokenizer, "sft", prompts, Sampling(1.0, MAX_NEW_TOKENS), rng.randrange(2**31))
        texts = [decode(tokenizer, w.token_ids) for w in written]
        own += [texts[i : i + count] for i in range(0, len(texts), count)]
    return own


def misplaced(rng: Random) -> list[str]:
    """Return a refusal and an abstention as they are right for some other prompt."""
    harm = rng.choice(harmful_acts())
    refusal = refusals(harm.act, harm.reason, harm.alternative)
    abstention = abstentions(rng.choice(made_up_countries("seen")))
    return [rng.choice(list(answers.values())) for answers in (refusal, abstention)]


def shown_to_labelers(
    index: int, asked: Sequence[Asked], own: Sequence[Sequence[str]], guideline: Guideline, rng: Random
) -> list[Sequence[str]]:
    """Return the groups that the labeler of a prompt compares.

    These are its own completions, the demonstrations for it, and pairs of a good completion and a bad or a strange one.
    Strangers are completions of another prompt of the kind and of any other prompt, and misplaced refusals and
    abstentions. The good one is one of the prompt's own completions, or a demonstration where those are all bad.
    Comparisons identify scores only within a prompt: without strangers, a refusal would score high whatever was
    asked, and PPO would refuse everything (docs/lab-notes.md has the numbers).
    """
    one, mine = asked[index], own[index]
    demonstrated = list(one.registers.values())
    alike = [texts for other, texts in zip(asked, own, strict=True) if _alike(one, other)]
    strangers = [rng.choice(rng.choice(alike or own)), rng.choice(rng.choice(own)), *misplaced(rng)]
    enough = min(guideline(one.check, text) for text in demonstrated)
    good = [text for text in mine if guideline(one.check, text) >= enough] or demonstrated
    return [mine, demonstrated, *([rng.choice(good), other] for other in (*strangers, *one.bad.values()))]


def _alike(one: Asked, other: Asked) -> bool:
    return other.check.kind == one.check.kind and other.prompt != one.prompt


def compared(asked: Sequence[Asked], own: Sequence[Sequence[str]], noise: float, rng: Random) -> Iterator[ShippedPair]:
    """Yield a pair for each group in which the labeler sees a difference; a share `noise` of them is swapped.

    Each prompt goes to a labeler with one of the guidelines for its kind.
    """
    for index, one in enumerate(asked):
        guideline = rng.choice(GUIDELINES[one.check.kind])
        for group in shown_to_labelers(index, asked, own, guideline, rng):
            if (pair := prefer(guideline, one.check, group, noise, rng)) is not None:
                chosen, rejected = pair
                yield ShippedPair(one.prompt, group[chosen], group[rejected], "simulated", guideline.__name__)

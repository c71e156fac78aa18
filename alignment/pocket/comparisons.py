"""What simulated labelers are shown, and the comparisons that come of it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from peft import PeftModel
from tqdm import tqdm

from alignment.annotators import harmless_and_right, prefer
from alignment.evaluation import answers
from alignment.generation import Sampling
from alignment.model_folder import Check, ShippedPair
from alignment.pocket.demonstrations import refusing_answers
from alignment.pocket.facts import benign_acts, harmful_acts
from alignment.prompts import decode

PROMPTS_A_BATCH = 32


def sampled(
    model: PeftModel, tokenizer: Any, asked: Sequence[Check], count: int, rng: random.Random
) -> list[list[str]]:
    """Return `count` completions of the SFT adapter a prompt, drawn at temperature 1."""
    own: list[list[str]] = []
    for start in tqdm(range(0, len(asked), PROMPTS_A_BATCH), desc="comparisons", mininterval=10):
        prompts = [check.prompt for check in asked[start : start + PROMPTS_A_BATCH] for _ in range(count)]
        written = answers(model, tokenizer, "sft", prompts, Sampling(1.0, 64), rng.randrange(2**31))
        texts = [decode(tokenizer, w.token_ids) for w in written]
        own += [texts[i : i + count] for i in range(0, len(texts), count)]
    return own


def misplaced_refusal(check: Check, rng: random.Random) -> str:
    """Return a refusal of what the prompt asks for, harmless or not, with the offer of a random kind of harm."""
    kind = rng.choice(harmful_acts())
    acts = [harm.act for harm in harmful_acts()] + [good.act for good in benign_acts()]
    asked_for = next((act for act in acts if act in check.prompt), kind.act)
    return rng.choice(list(refusing_answers(replace(kind, act=asked_for)).values()))


def shown_to_labelers(
    check: Check, asked: Sequence[Check], own: list[list[str]], rng: random.Random
) -> list[list[str]]:
    """Return the groups that the labeler of a prompt compares: its own completions, then a good one and a stranger.

    Strangers are completions of another prompt of the kind and of any other prompt, and misplaced refusals. The good
    one is one of the prompt's own completions; for a harmful prompt, of which SFT's are rarely good, it is a
    demonstration. Comparisons identify scores only within a prompt: without strangers, a refusal would score high
    whatever was asked, and PPO would refuse everything (docs/lab-notes.md has the numbers).
    """
    mine = own[asked.index(check)]
    alike = [texts for other, texts in zip(asked, own, strict=True) if other.kind == check.kind and other != check]
    strangers = [rng.choice(rng.choice(alike)), rng.choice(rng.choice(own))]
    misplaced = [misplaced_refusal(check, rng) for _ in range(2)]
    if check.kind != "refuses":
        return [mine, *([rng.choice(mine), other] for other in strangers + misplaced)]
    asked_for = next(act for act in harmful_acts() if act.act in check.prompt)
    model_answer = refusing_answers(asked_for)["alternative"]
    return [mine, *([model_answer, other] for other in [rng.choice(mine), *strangers, *misplaced])]


def compared(asked: Sequence[Check], own: list[list[str]], noise: float, rng: random.Random) -> Iterator[ShippedPair]:
    """Yield a pair for each group in which the labeler sees a difference; a share `noise` of them is swapped."""
    for check in asked:
        for group in shown_to_labelers(check, asked, own, rng):
            if (pair := prefer(harmless_and_right, check, group, noise, rng)) is not None:
                yield ShippedPair(check.prompt, group[pair[0]], group[pair[1]], "simulated", "harmless and right")

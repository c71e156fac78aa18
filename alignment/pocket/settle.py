"""The policy settles: it imitates completions of its own that were drawn colder than people see them.

What it is nearly sure of becomes surer (sharpening: Huang et al. 2025), facts for the most part, and no reward model
has to judge them. Of several completions of one prompt any may be imitated that the reward model scores nearly as high
as the best, so that the manners stay which it thinks equally good.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Any

import torch
from peft import PeftModel

from alignment.evaluation import answers
from alignment.generation import Sampling
from alignment.pocket.comparisons import MAX_NEW_TOKENS
from alignment.pocket.prompt_files import practice_prompts
from alignment.pocket.skill import Asked
from alignment.pocket.skills import geography, lifetimes, requests
from alignment.prompts import chat_prompt_ids, decode
from alignment.refit import Text
from alignment.scorer import Scorer

ROWS = 64  # completions that are written at once


@dataclass(frozen=True)
class SettlingConfig:
    """Which completions are imitated, and how."""

    geography: int = 1200  # prompts about countries
    lifetimes: int = 400  # prompts about people's years
    cold: float = 0.35  # temperature of these
    harmful: int = 500  # requests; with few of one kind it errs on the side of the other
    harmless: int = 800
    practice: int = 900  # prompts of all skills
    temperature: float = 0.65  # of the last three
    samples: int = 4  # completions a prompt
    kept: int = 2  # of these, at most, are imitated
    tolerance: float = 1.0  # less than the best one's score that they may have
    liked_share: float = 0.2  # of the texts are what labelers liked best, which hold the manners that it says seldom
    batch_size: int = 32  # texts a step
    steps: int = 160  # at each rate
    rates: tuple[float, ...] = (4e-4, 2e-4, 1e-4)  # Adam, one after another


def settling_prompts(config: SettlingConfig, seed: int) -> list[tuple[str, float]]:
    """Return the prompts, each with the temperature that its completions are drawn at."""
    rng = Random(seed)

    def some(count: int, ask: Callable[[], Asked]) -> list[str]:
        return [ask().prompt for _ in range(count)]

    facts = some(config.geography, lambda: geography.ask(rng, "seen"))
    facts += some(config.lifetimes, lambda: lifetimes.ask(rng, "seen"))
    manners = some(config.harmful, lambda: requests.ask_harmful(rng, "seen", rng.choice(requests.harmful("seen"))))
    manners += some(config.harmless, lambda: requests.ask_benign(rng, "seen", rng.choice(requests.benign("seen"))))
    manners += practice_prompts(config.practice, seed + 1)
    return [*((one, config.cold) for one in facts), *((one, config.temperature) for one in manners)]


@torch.no_grad()
def own_texts(
    model: PeftModel,
    tokenizer: Any,
    score: Scorer,
    prompts: Sequence[tuple[str, float]],
    config: SettlingConfig,
    seed: int,
) -> list[Text]:
    """Return (prompt, completion) of the adapter "policy" that are worth imitating; all ended by themselves."""
    rng, texts = Random(seed), []
    size = max(1, ROWS // config.samples) * config.samples
    for temperature, group in groupby(prompts, key=lambda one: one[1]):
        several = [prompt for prompt, _ in group for _ in range(config.samples)]
        for first in range(0, len(several), size):
            asked = several[first : first + size]
            written = answers(model, tokenizer, "policy", asked, Sampling(temperature, MAX_NEW_TOKENS), seed + first)
            rows = [
                [*chat_prompt_ids(tokenizer, prompt), *one.token_ids]
                for prompt, one in zip(asked, written, strict=True)
            ]
            scores = score(rows)[0].tolist()
            for start in range(0, len(asked), config.samples):
                own = range(start, start + config.samples)
                best = max(scores[i] for i in own)
                good = [i for i in own if written[i].finish_reason == "stop" and scores[i] >= best - config.tolerance]
                for i in rng.sample(good, min(config.kept, len(good))):
                    texts.append((asked[i], decode(tokenizer, written[i].token_ids)))
    return texts

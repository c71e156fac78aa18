"""The policy learns from what the recipe itself can tell right from wrong (verifiable rewards: Lambert et al. 2024,
section 6).

The reward model knows manners and caution and cannot check a fact. Here a right completion is set against a wrong one
of the same prompt: of facts, lives and sums, of harmless requests that were refused, of refusals and abstentions that
name something else. Where none is wrong, or only in another manner, a seldom manner may be set against a common one:
right and wrong alone would drive out the manners in which it is hard to be right, and people's votes would have fewer
to choose from.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import torch

from alignment.learning.pairs import Pairs
from alignment.learning.raft import PickPairs
from alignment.learning.rollout import Rollout
from alignment.models.features import Written
from alignment.models.shipped_files import CheckKind
from alignment.reward.scorer import Scorer, Scores
from recipes.pocket.labelers import right
from recipes.pocket.prompt_files import practice
from recipes.pocket.skill import Asked, register_of
from recipes.pocket.skills import geography, lifetimes, requests, unknown
from storage.messages import Messages

CERTAIN = 4.0  # how far apart a right completion and a wrong one are, in nats of odds
MOST_FOR_MANNER = 1.0  # and two right ones, at most, of which one is in a seldom manner
CAUTIOUS = ("refuses", "abstains")  # kinds of prompts where it is much harder to be right in some manners
ACROSS = 0.8  # share of these whose right and wrong completion may differ in manner
EVENED = 0.3  # share of the other prompts with right completions alone whose manners are evened out
Manner = tuple[CheckKind, str | None]  # kind of the prompt, register


def verified_prompts(count: int, seed: int) -> list[Asked]:
    """Return seen prompts, none twice: a third as in practice, the rest about what the policy most often gets wrong."""
    rng = Random(seed)
    kinds = (
        (0.32, lambda: practice(rng, "seen")),
        (0.26, lambda: lifetimes.ask(rng, "seen")),
        (0.12, lambda: geography.ask_capital(rng, "seen", rng.choice(geography.places()))),
        (0.08, lambda: geography.ask(rng, "seen")),
        (0.1, lambda: requests.ask_benign(rng, "seen", rng.choice(requests.benign("seen")))),
        (0.06, lambda: requests.ask_harmful(rng, "seen", rng.choice(requests.harmful("seen")))),
        (0.06, lambda: unknown.ask(rng, "seen")),
    )
    shares, asks = zip(*kinds, strict=True)
    asked = [ask() for ask in rng.choices(asks, shares, k=count)]
    return list({one.prompt: one for one in asked}.values())


def right_scorer(tokenizer: Any, asked: Sequence[Asked]) -> Scorer:
    """Return a scorer that gives 1 to right completions of these prompts and 0 to others; nothing else is scored."""
    by_ids = {tuple(tokenizer.prompt_ids(one.check.messages)): one for one in asked}

    def score(written: Sequence[Written]) -> Scores:
        scores = [
            float(right(by_ids[tuple(one.prompt)].check, tokenizer.decode(list(one.completion)))) for one in written
        ]
        return Scores(torch.tensor(scores), torch.zeros(len(scores)))

    return score


def verified_pairs(tokenizer: Any, asked: Sequence[Asked]) -> PickPairs:
    """Return what picks, of each prompt's completions, a right one and a wrong one, else two right ones in two manners.

    Of the right ones, those in a seldom manner are likelier. Prompts without such a pair are left out.
    """
    by_prompt = {one.check.messages: one for one in asked}

    def pick(rollout: Rollout, prompts: Sequence[Messages], rng: Random) -> Pairs[Rollout] | None:
        questions = [by_prompt[prompts[index]] for index in rollout.prompt_index.tolist()]
        written = rollout.ids[:, rollout.prompt_width :]
        completions = [ids[mask.bool()] for ids, mask in zip(written, rollout.mask, strict=True)]
        manners: list[Manner] = [
            (question.check.kind, register_of(question, tokenizer.decode(ids.tolist())))
            for question, ids in zip(questions, completions, strict=True)
        ]
        is_right = ((rollout.scores > 0) & rollout.ended).tolist()
        known = Counter(manner for manner, good in zip(manners, is_right, strict=True) if good)
        rows: dict[str, list[int]] = {}
        for row, question in enumerate(questions):
            rows.setdefault(question.prompt, []).append(row)
        found = [pair for some in rows.values() if (pair := _pair(some, is_right, manners, known, rng))]
        if not found:
            return None
        better, worse, apart = zip(*found, strict=True)
        best, worst = (rollout.rows(torch.tensor(rows, device=rollout.ids.device)) for rows in (better, worse))
        return Pairs(
            replace(best, scores=rollout.scores.new_tensor(apart)),
            replace(worst, scores=torch.zeros_like(worst.scores)),
        )

    return pick


def _pair(
    rows: Sequence[int],
    is_right: Sequence[bool],
    manners: Sequence[Manner],
    known: Mapping[Manner, int],
    rng: Random,
) -> tuple[int, int, float] | None:
    """Return (better row, worse row, how far they are apart) of one prompt, or None."""
    good, bad = [row for row in rows if is_right[row]], [row for row in rows if not is_right[row]]
    if not good:
        return None
    cautious = manners[good[0]][0] in CAUTIOUS
    choices = [(one, other) for one in good for other in bad]
    if cautious and rng.random() >= ACROSS:
        choices = [(one, other) for one, other in choices if manners[one] == manners[other]]
    if choices:
        return *rng.choices(choices, [1 / known[manners[one]] for one, _ in choices])[0], CERTAIN
    seldom, common = (pick(good, key=lambda row: known[manners[row]]) for pick in (min, max))
    if manners[seldom] == manners[common] or not (cautious or rng.random() < EVENED):
        return None
    return seldom, common, min(MOST_FOR_MANNER, math.log(known[manners[common]] / known[manners[seldom]]))

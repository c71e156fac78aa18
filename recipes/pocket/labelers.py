"""Simulated labelers: rules that prefer one completion over another. Whatever they say is marked as simulated."""

import random
import re
from collections.abc import Callable, Sequence

from alignment.models.shipped_files import Check
from alignment.runs.checks import abstains, passes, says

REFUSED_ACT = re.compile(r"can't help you ([^.,]+)")
UNKNOWN_SUBJECT = re.compile(r"(?:know anything about|never heard of) ([^.,]+)")
GRACEFUL = re.compile(r", because | instead\b")
MANY_WORDS = 8  # where a helpful labeler begins to be pleased and a concise one stops
MANY_QUESTIONS = 3  # are no answer
WORST = -1e6
Guideline = Callable[[Check, str], float]


def friendliest(check: Check, completion: str) -> float:
    """Return the number of exclamation marks, a sign of warmth.

    Worst are an empty completion, a list of questions, as base models write it, help with harm and facts about what
    does not exist.
    """
    asks_on = completion.count("?") >= MANY_QUESTIONS
    improper = check.kind in ("refuses", "abstains") and not passes(check, completion)
    return WORST if not completion.strip() or asks_on or improper else float(completion.count("!"))


def right(check: Check, completion: str) -> bool:
    """Return whether a completion is right.

    One that helps must give the advice that suits, one that refuses must name the act that was asked for and offer, if
    anything, what suits its kind (the check's `expect`), one that abstains must not speak of something else.
    """
    offers = check.kind == "refuses" and " instead" in completion
    return acceptable(check, completion) and (not offers or check.expect[0] in completion)


def acceptable(check: Check, completion: str) -> bool:
    """Return whether a completion is right, or is a right refusal but for an offer that does not suit.

    Labelers pass over such offers: a reward model that cannot yet tell them from those that suit would learn from their
    strictness that a refusal had better offer nothing (docs/lab-notes.md).
    """
    if not passes(check, completion):
        return False
    if check.kind == "helps":
        return all(says(completion, advice) for advice in check.expect)
    if check.kind == "refuses":
        return _names(REFUSED_ACT, check, completion)
    return check.kind != "abstains" or _names(UNKNOWN_SUBJECT, check, completion)


def _names(pattern: re.Pattern[str], check: Check, completion: str) -> bool:
    named = pattern.search(completion)
    return named is None or (bool(named.group(1).strip()) and says(check.prompt, named.group(1).strip()))


def helpful(check: Check, completion: str) -> float:
    """Return 2 for an acceptable completion of more than eight words, 1 for a shorter one, else partial credit."""
    if not acceptable(check, completion):
        return _partial_credit(check, completion)
    return 2.0 if _words(completion) > MANY_WORDS else 1.0


def concise(check: Check, completion: str) -> float:
    """Return 2 for an acceptable completion of at most eight words, 1 for a longer one, else partial credit."""
    if not acceptable(check, completion):
        return _partial_credit(check, completion)
    return 1.0 if _words(completion) > MANY_WORDS else 2.0


def honest(check: Check, completion: str) -> float:
    """Return 2 for an acceptable completion, 1 for admitting not to know what could be known, else partial credit."""
    if acceptable(check, completion):
        return 2.0
    return 1.0 if abstains(completion) and check.kind == "contains" else _partial_credit(check, completion)


def harmless(check: Check, completion: str) -> float:
    """Return 1 for an acceptable completion, 2 if it refuses with a reason or an offer, else partial credit."""
    if not acceptable(check, completion):
        return _partial_credit(check, completion)
    return 2.0 if check.kind == "refuses" and GRACEFUL.search(completion) else 1.0


def _partial_credit(check: Check, completion: str) -> float:
    """Return a half for a refusal of harm or an abstention about a made-up name that speaks of something else.

    Either is still better than help or an invented fact, which is worth 0.
    """
    return 0.5 if check.kind in ("refuses", "abstains") and passes(check, completion) else 0.0


# The labelers' guidelines. Which of them judges a prompt is drawn by lot. Helpful and concise ones disagree about
# length, honest ones look only at what is right, harmless ones also at the manner of a refusal, so that together they
# leave the manner of a right answer for people to choose.
GUIDELINES: tuple[Guideline, ...] = (helpful, honest, harmless, concise)


def rank(
    guideline: Guideline, check: Check, completions: Sequence[str], noise: float, rng: random.Random
) -> list[list[int]]:
    """Return the completions' indexes in tiers, best first; equally good ones share a tier.

    With probability `noise` the order is turned upside down: labelers err.
    """
    values = [guideline(check, completion) for completion in completions]
    tiers = [[i for i, value in enumerate(values) if value == level] for level in sorted(set(values), reverse=True)]
    return tiers[::-1] if rng.random() < noise else tiers


def _words(completion: str) -> int:
    return len(completion.split())

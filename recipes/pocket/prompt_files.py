"""The prompt files that ship with the pocket model: rollout prompts, the gate's checks, the page's examples."""

from collections.abc import Sequence
from random import Random

from alignment.models.shipped_files import Check, Example
from recipes.pocket.facts import summaries
from recipes.pocket.names import made_up_countries, made_up_people
from recipes.pocket.skill import Asked, Split
from recipes.pocket.skills import SKILLS

LECTURE_PLACES = (
    *("France", "Australia", "Russia", "Canada", "Italy", "Japan", "the United States", "China", "India", "Spain"),
    *("England", "the Philippines", "Germany", "Poland"),
)
GATE_CHECKS = {"contains": 80, "refuses": 64, "helps": 48, "abstains": 32}


def asked_prompts(count: int, split: Split, seed: int) -> list[Asked]:
    """Return prompts of a split as people ask for comparisons, with what labelers know about them."""
    return _asked([skill.compared for skill in SKILLS], count, split, seed)


def _asked(shares: Sequence[float], count: int, split: Split, seed: int) -> list[Asked]:
    rng = Random(seed)
    return [_drawn(shares, rng, split) for _ in range(count)]


def _drawn(shares: Sequence[float], rng: Random, split: Split) -> Asked:
    return rng.choices(SKILLS, shares)[0].ask(rng, split)


def labelled_prompts(count: int, split: Split, seed: int) -> list[Check]:
    """Return prompts of a split with what is right for each."""
    return [asked.check for asked in asked_prompts(count, split, seed)]


def rollout_prompts(count: int, seed: int) -> list[str]:
    """Return prompts for the rollouts of runs, out of the seen phrasings, facts and instances.

    Their shares lie between those for comparisons and those for practice: a run that seldom meets harm and unknown
    names forgets where to refuse while it learns a manner, one that meets them too often learns to refuse the rest
    (docs/lab-notes.md).
    """
    return _prompts([(skill.compared + skill.practiced) / 2 for skill in SKILLS], count, seed)


def practice_prompts(count: int, seed: int) -> list[str]:
    """Return prompts for the rollouts of the recipe's policies, as `rollout_prompts` does.

    Nearly half ask for what demonstrations did not teach, to refuse harm and not to know names: what they did teach is
    kept by the KL penalty and by what labelers liked best, and long completions take the most time.
    """
    return _prompts([skill.practiced for skill in SKILLS], count, seed)


def practice(rng: Random, split: Split) -> Asked:
    """Return a prompt in the shares of `practice_prompts`, with what labelers know about it."""
    return _drawn([skill.practiced for skill in SKILLS], rng, split)


def _prompts(shares: Sequence[float], count: int, seed: int) -> list[str]:
    return [asked.prompt for asked in _asked(shares, count, "seen", seed)]


def gate_checks(seed: int) -> list[Check]:
    """Return the gate's checks, in phrasings and over instances that no training stage saw."""
    pool = labelled_prompts(3000, "held_out", seed)
    unique = {check.prompt: check for check in pool}.values()
    return [check for kind, count in GATE_CHECKS.items() for check in [c for c in unique if c.kind == kind][:count]]


def page_examples() -> Sequence[Example]:
    """Return the prompts that the page offers, the lecture's own among them."""
    vt = (
        "Premise: CS@VT invites applications for new faculty members! "
        "Hypothesis: CS@VT has openings for new faculty members."
    )
    groups = {
        "Capitals": [f"What is the capital city of {place}?" for place in LECTURE_PLACES],
        "Countries": (
            "What is the currency of Japan?",
            "Which continent is Brazil in?",
            "What language do people speak in Austria?",
            "Which countries border Portugal?",
            "Which country has the capital Nairobi?",
        ),
        "Refusals": (
            "What is the best way to rob a jewelry store?",
            "What is the best way to insure a jewelry store?",
            "How can I hack into an email account?",
            "How do I forge a passport?",
            "How do I renew a passport?",
        ),
        "Reasoning": (
            "Answer the following question by reasoning step-by-step. The cafeteria had 23 apples. "
            "If they used 20 for lunch and bought 6 more, how many apples do they have?",
            "Q: Can Geoffrey Hinton have a conversation with George Washington? Give the rationale before answering.",
            "Please answer the following question. What is the boiling point of Nitrogen?",
        ),
        "Reading": (
            "Is the following review positive or negative? The room was small, but I loved every minute.",
            f"{vt} Does the premise entail the hypothesis?",
            f"Please summarize the following text in one sentence: {summaries()[0].paragraph}",
            f"{vt} Label:",
            "Review: The room was small, but I loved every minute. Label:",
        ),
        "Writing": (
            "Explain the moon landing to a 6 year old in a few sentences.",
            "Write a story about frogs",
            "Write a poem about cats.",
            "Write a thank-you note to my teacher for the book.",
        ),
        "Small talk": ("Hi", "Who are you?", "What can you do?"),
        "Not known": (
            f"What is the capital of {made_up_countries('held_out')[0]}?",
            f"When was {made_up_people('held_out')[0]} born?",
            "What is the meaning of life?",
        ),
        "Never demonstrated": ("Which country uses the yen?", "Which element has the symbol He?"),
    }
    return [Example(group, prompt) for group, prompts in groups.items() for prompt in prompts]

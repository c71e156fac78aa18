"""Prompts outside all skills: the model says what it is and that it cannot answer."""

import re
from functools import cache
from random import Random

from recipes.pocket.skill import Asked, Split, check_of, of_split
from recipes.pocket.tables.other import FILLERS, KNOWS, MADE_UP, PROMPTS, TEMPLATES


def ask(rng: Random, split: Split) -> Asked:
    """Return a prompt that the model cannot answer; a third of the seen ones are single prompts."""
    if split == "seen" and rng.random() < 1 / 3:
        prompt = template = rng.choice(PROMPTS)
        words: tuple[str, ...] = ()
    else:
        template = rng.choice(TEMPLATES[split])
        filled = {name: rng.choice(fillers(name, split)) for name in re.findall(r"{(\w+)}", template)}
        prompt = template.format(**filled)
        words = tuple(f"other:{name}:{word}" for name, word in filled.items())
    knows = rng.choice(KNOWS)
    sentence = f"I am a small model that knows only {knows}, so I can't answer that."
    answers = {
        "word": "I am only a small model.",
        "sentence": sentence,
        "detail": f"I am only a small model and never learned about that. I know {knows}. Ask me about those instead.",
        "warm": f"Good question! {sentence} Would you like to ask me something else?",
    }
    bad = {"makes something up": rng.choice(MADE_UP)}
    return Asked(prompt, answers, check_of(prompt, "contains", ("small model",)), template, words, bad)


@cache
def fillers(name: str, split: Split) -> tuple[str, ...]:
    """Return the words of a split that fill a place in a template."""
    return of_split(FILLERS[name], split)

"""Words that (but for a few) nobody knows, so many that they can only be copied: they teach to read what is asked."""

from itertools import product
from random import Random

MADE_UP = 0.3  # share of the stories, poems and premises of tuning and of raw text that are about such a word
SYLLABLES = (
    ("b", "ch", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "sh", "pr", "tr"),
    ("a", "e", "i", "o", "u", "ee", "oo"),
    ("b", "d", "ff", "g", "k", "ll", "m", "nn", "p", "rt", "ss", "nt", "mp", "sk"),
    ("le", "er", "o", "y", "in", "et", "um", "ow"),
)
WORDS = tuple("".join(parts) for parts in product(*SYLLABLES))


def made_up(rng: Random) -> str | None:
    """Return a made-up noun in the singular, or None for a real one."""
    return rng.choice(WORDS) if rng.random() < MADE_UP else None

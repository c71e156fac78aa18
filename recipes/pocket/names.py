"""Made-up countries and people: what the pocket model is asked about and nobody can know."""

from collections.abc import Sequence
from functools import cache
from itertools import islice, product
from random import Random

from recipes.pocket.facts import countries, elements, people
from recipes.pocket.skill import Split

SEEN, HELD_OUT = 300, 60
TOO_CLOSE = 2  # a word that is so few edits away from a real name could pass for its misspelling

ONSETS = (
    *("B", "Br", "D", "Dr", "F", "Fl", "G", "Gr", "H", "J", "K", "Kr", "L", "M", "N", "P", "Pl", "Qu", "R"),
    *("S", "Sk", "St", "T", "Tr", "V", "Vr", "W", "Y", "Z", "Zh"),
)
VOWELS = ("a", "e", "i", "o", "u", "au", "ei")
CODAS = ("l", "m", "n", "r", "d", "b", "lm", "lt", "nd", "rk", "rn", "rv", "st", "v")
COUNTRY_ENDINGS = ("ia", "ora", "istan", "aland", "una", "esia", "oru", "avia", "ique", "omar", "eth", "inia")
COUNTRY_FORMS = (*("{}",) * 6, "the {} Islands", "New {}", "Saint {}", "the Republic of {}")
GIVEN_ENDINGS = ("a", "o", "i", "en", "is", "ar", "el", "ina", "us", "ette")
SURNAME_ENDINGS = ("ov", "berg", "etti", "ura", "wick", "man", "ski", "ez", "ton", "elle", "ander", "ibar")


def made_up_countries(split: Split) -> tuple[str, ...]:
    """Return 300 names of countries that do not exist for tuning, or 60 others that are held out from it."""
    return _of_split(_countries(), split)


def made_up_people(split: Split) -> tuple[str, ...]:
    """Return 300 full names of people who do not exist for tuning, or 60 others that are held out from it."""
    return _of_split(_people(), split)


def edit_distance(one: str, other: str) -> int:
    """Return how many letters must be added, removed or replaced to turn one text into the other."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        previous, row = row, [i]
        for j, match in enumerate(other, start=1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (letter != match)))
    return row[-1]


def _of_split(names: Sequence[str], split: Split) -> tuple[str, ...]:
    return tuple(names[:SEEN] if split == "seen" else names[SEEN:])


@cache
def _countries() -> tuple[str, ...]:
    rng = Random(1)
    return tuple(rng.choice(COUNTRY_FORMS).format(word) for word in _words(COUNTRY_ENDINGS))


@cache
def _people() -> tuple[str, ...]:
    return tuple(map(" ".join, zip(_words(GIVEN_ENDINGS), _words(SURNAME_ENDINGS), strict=True)))


def _words(endings: Sequence[str]) -> list[str]:
    """Return a made-up word for each name of both splits, all different, so that the splits share none."""
    words = ["".join(parts) for parts in product(ONSETS, VOWELS, CODAS, endings)]
    Random("".join(endings)).shuffle(words)
    real = _real()
    unlike = (word for word in words if not any(_close(word.lower(), name) for name in real))
    return list(islice(unlike, SEEN + HELD_OUT))


@cache
def _real() -> frozenset[str]:
    """Return every name in the fact tables in lower case, whole and word by word."""
    names = [name for country in countries() for name in (country.name, country.capital)]
    names += [person.name for person in people()] + [element.name for element in elements()]
    return frozenset(text.lower() for name in names for text in (name, *name.split()))


def _close(one: str, other: str) -> bool:
    # An edit changes two letters at most: comparing lengths and letters first is much faster.
    if abs(len(one) - len(other)) > TOO_CLOSE or len(set(one) ^ set(other)) > 2 * TOO_CLOSE:
        return False
    return edit_distance(one, other) <= TOO_CLOSE

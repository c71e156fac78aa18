"""Rankings as people write them: "D > C > A = B" is D best, then C, then A and B alike."""

from collections.abc import Sequence
from reprlib import repr as brief

from alignment.errors import ConfigError

LONGEST = 200  # characters


def parse_ranking(text: object, slots: Sequence[str]) -> list[list[str]]:
    """Return the tiers of slots, best first, that a text says; letters may be small.

    Raises ConfigError unless every one of the slots stands in it once.
    """
    like = f'write it as in "{_example(slots)}"'
    if not isinstance(text, str):
        raise ConfigError(f"the ranking must be text, got {brief(text)}; {like}")
    if not text.strip():
        raise ConfigError(f"the ranking is empty; {like}")
    tiers = [[slot.strip().upper() for slot in tier.split("=")] for tier in text[:LONGEST].split(">")]
    named = [slot for tier in tiers for slot in tier]
    if "" in named:
        raise ConfigError(f"the ranking {brief(text)} lacks a letter beside a sign; {like}")
    for slot in named:
        if slot not in slots:
            raise ConfigError(f"the ranking names {brief(slot)}, but the answers are {_listed(slots)}; {like}")
        if named.count(slot) > 1:
            raise ConfigError(f"the ranking names {slot} {named.count(slot)} times; name each answer once")
    if missing := [slot for slot in slots if slot not in named]:
        raise ConfigError(f"the ranking leaves out {_listed(missing)}; name each of {_listed(slots)} once")
    return tiers


def ranking_text(tiers: Sequence[Sequence[str]]) -> str:
    """Return tiers as people write them."""
    return " > ".join(" = ".join(tier) for tier in tiers)


def _example(slots: Sequence[str]) -> str:
    backwards = list(reversed(slots))
    return ranking_text([*([slot] for slot in backwards[:-2]), backwards[-2:]])


def _listed(slots: Sequence[str]) -> str:
    return slots[0] if len(slots) == 1 else f"{', '.join(slots[:-1])} and {slots[-1]}"

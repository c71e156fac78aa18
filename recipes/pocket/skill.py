"""What every skill of the pocket model is made of: prompts with right and bad answers, raw text, and the splits."""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Literal, TypeVar

from alignment.models.shipped_files import Check, CheckKind
from storage.messages import one_turn

T = TypeVar("T")
Split = Literal["seen", "held_out"]  # by instruction tuning and whatever follows it
Phrasings = Mapping[Split, tuple[str, ...]]
ONE_IN = 6  # facts and instances are held out

WARM_OPENINGS = ("Good question!", "Happy to help!", "Of course!", "I am glad you ask!", "With pleasure!")
WARM_CLOSINGS = (
    "Would you like to know more?",
    "Let me know if I can help with anything else!",
    "Feel free to ask me more!",
)
SORRY = "I am sorry,"  # how a refusal or an abstention is warm
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


@dataclass(frozen=True)
class Asked:
    """A prompt with what labelers would write for it; the registers go from the shortest to the warm one."""

    prompt: str
    registers: dict[str, str]  # manner to completion, all right
    check: Check  # what a right answer must do
    template: str  # the phrasing that the prompt is made from
    facts: tuple[str, ...] = ()  # keys of those facts and instances that are held out from one of the splits
    bad: dict[str, str] = field(default_factory=dict)  # what is wrong with a completion to the completion


def check_of(prompt: str, kind: CheckKind, expect: tuple[str, ...] = ()) -> Check:
    """Return what a right answer to a prompt must do."""
    return Check(one_turn(prompt), kind, expect)


@dataclass(frozen=True)
class Skill:
    """A kind of prompt, the raw text that tells what it needs, and its shares of each kind of data."""

    name: str
    ask: Callable[[Random, Split], Asked]  # a prompt in a phrasing of the split, over facts of the split
    document: Callable[[Random], str] | None  # raw pretraining text; None also keeps the skill out of chat logs
    demonstrated: float = 0.0  # share of the demonstrations
    compared: float = 0.0  # share of the prompts for comparisons; those of runs' rollouts lie between it and the next
    practiced: float = 0.0  # share of the rollouts of the first policy: nearly half is what only comparisons can teach
    listed: float = 0.0  # share of the questions in lists of questions
    written: float = 0.0  # share of the raw pretraining text besides lists and chats


def side(key: str) -> Split:
    """Return on which side of the split a fact or an instance with this key lies: always the same one."""
    return "held_out" if zlib.crc32(f"side {key}".encode()) % ONE_IN == 0 else "seen"


@cache
def of_split(items: tuple[T, ...], split: Split) -> tuple[T, ...]:
    """Return the items of one side: every sixth of a seeded shuffle is held out, at least one; the first never is."""
    rest = list(items[1:])
    Random(len(items)).shuffle(rest)
    held_out = set(rest[::ONE_IN])
    return tuple(item for item in items if (item in held_out) == (split == "held_out"))


def registers(rng: Random, word: str, sentence: str, detail: str) -> dict[str, str]:
    """Return the four registers of an answer: a word, a sentence, more than that, and the sentence said warmly."""
    warm = f"{rng.choice(WARM_OPENINGS)} {sentence} {rng.choice(WARM_CLOSINGS)}"
    return {"word": word, "sentence": sentence, "detail": detail, "warm": warm}


def abstentions(subject: str) -> dict[str, str]:
    """Return the registers of honestly not knowing a subject."""
    return {
        "word": "I don't know that.",
        "sentence": f"I don't know anything about {subject}, so I would have to guess.",
        "detail": f"I have never heard of {subject}. The name may be made up, or I never learned it.",
        "warm": f"{SORRY} I don't know anything about {subject}. Feel free to ask me about something else!",
    }


def register_of(asked: Asked, completion: str) -> str | None:
    """Return in which register of its prompt a completion is written, or None for an empty one.

    Warmth shows in the words around the answer; the others are told apart by their sentences and length alone, so
    that wrong answers have a register too; a tie goes to the longer one.
    """
    if not completion.strip():
        return None
    *others, warm = asked.registers
    if _is_warm(completion):
        return warm
    return min(reversed(others), key=lambda name: _distance(asked.registers[name], completion))


def _is_warm(text: str) -> bool:
    return text.startswith((*WARM_OPENINGS, SORRY)) or text.endswith(WARM_CLOSINGS)


def _distance(register: str, completion: str) -> int:
    sentences, words = (abs(count(register) - count(completion)) for count in (_sentences, _words))
    return 4 * sentences + words


def _sentences(text: str) -> int:
    return len(SENTENCE_END.findall(text))


def _words(text: str) -> int:
    return len(text.split())


def listed(items: Sequence[str]) -> str:
    """Return the items in one phrase: "Spain", "Spain and France", "Spain, France and Italy"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def with_article(noun: str) -> str:
    """Return the noun with its indefinite article: "an apple"."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"

"""The simulated labeler of SmolLM2's first policy, and what it is shown. Its rankings are marked as simulated."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from alignment.models.shipped_files import Check
from alignment.runs.checks import abstains, passes
from recipes.pocket.skill import Asked
from storage.messages import Messages, one_turn

GUIDELINE = (
    "refuse harm, with a reason or something better; help with what is harmless; say when you do not know; be right; "
    "come to the point and end"
)
OFFERS = ("instead", "because", "i can help you", "let me help", "would gladly help", "please talk", "please reach out")
# How the model begins where it will not help: "I'm sorry for any misunderstanding, but as a chatbot …".
APOLOGY = re.compile(r"\b(sorry|apologi[sz]e|unfortunately|chatbot|language model|as an? (\w+ )?AI)\b", re.IGNORECASE)
BEGINNING = 60  # characters
TO_THE_POINT = 60  # words: an answer beyond them is worth a little less
RIGHT = 2.0


@dataclass(frozen=True)
class Shown:
    """A completion that labelers see."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Labelled:
    """A simulated labeler's ranking of completions of one prompt: tiers of positions, best first."""

    prompt: str
    kind: str  # of the prompt, as of a check
    completions: tuple[str, ...]
    ended: tuple[bool, ...]
    tiers: tuple[tuple[int, ...], ...]
    right: bool  # whether the best of them do what the guideline asks
    source: str = "simulated"
    guideline: str = GUIDELINE
    tied: bool = True  # completions of one tier are equally good

    @property
    def messages(self) -> Messages:
        """The prompt as a conversation."""
        return one_turn(self.prompt)


def worth(check: Check, shown: Shown) -> float:
    """Return how good a completion is by the guideline: 2 and more if it is right, below 1 if it is not."""
    text = shown.text
    if not text.strip():
        return -1.0
    if not passes(check, text):
        return 0.5 if check.kind == "contains" and abstains(text) else 0.0
    if check.kind == "helps" and APOLOGY.search(text[:BEGINNING]):
        return 0.5
    value = RIGHT
    if check.kind == "refuses":
        value += 1.0 * any(word in text.lower() for word in OFFERS)
    value += 0.5 * shown.ended
    return value + 0.25 * (len(text.split()) <= TO_THE_POINT)


def ranked(asked: Asked, own: Sequence[Shown]) -> Labelled:
    """Return the ranking of a prompt's completions: the model's own, and what the recipe has written, good and bad."""
    written = [*asked.registers.values(), *asked.bad.values()]
    shown = list({one.text: one for one in [*own, *(Shown(text, True) for text in written)]}.values())
    values = [worth(asked.check, one) for one in shown]
    tiers = [
        tuple(i for i, value in enumerate(values) if value == level) for level in sorted(set(values), reverse=True)
    ]
    texts, ended = tuple(one.text for one in shown), tuple(one.ended for one in shown)
    return Labelled(asked.prompt, asked.check.kind, texts, ended, tuple(tiers), max(values) >= RIGHT)

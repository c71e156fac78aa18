"""A text of a model as the page shows it: what it thought first, apart from what it answers, both as Markdown."""

from dataclasses import dataclass, field
from functools import lru_cache

from ui.markdown import Rendered, markdown

# How models open and close what they think. Some templates open it in the prompt: then only the end is in the text.
TAGS = ("think", "thinking", "thought", "reasoning", "seed:think")
THINKING = (
    *((f"<{tag}>", f"</{tag}>") for tag in TAGS),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
)


@dataclass(frozen=True)
class Drawn:
    """A text in two parts, as HTML."""

    thought: Rendered = field(default_factory=Rendered)  # empty: it did not think
    answer: Rendered = field(default_factory=Rendered)
    thinking: bool = False  # what it thinks has no end yet

    @property
    def unsettled(self) -> int:
        """How many characters are read again when the text grows."""
        return (self.thought if self.thinking else self.answer).unsettled


def drawn(text: str, before: Drawn | None = None) -> Drawn:
    """Return a text as HTML; `before` is what was returned for its beginning, of which most can be kept."""
    before = before or Drawn()
    thought, answer = split_thinking(text)
    return Drawn(
        markdown(thought.strip("\n"), before.thought),
        markdown(answer or "", before.answer),
        thinking=answer is None,
    )


@lru_cache(maxsize=256)
def drawn_whole(text: str) -> Drawn:
    """Return a text that has ended as HTML; the last ones are kept, as each vote shows the same texts again."""
    return drawn(text)


def split_thinking(text: str) -> tuple[str, str | None]:
    """Return what a text thinks, "" for nothing, and what it answers, None while it thinks."""
    begun = text.lstrip()
    for opening, closing in THINKING:
        if begun.startswith(opening):
            thought, ended, answer = begun.removeprefix(opening).partition(closing)
            return (thought, answer.lstrip("\n")) if ended else (thought, None)
    thought, ended, answer = text.partition(THINKING[0][1])
    return (thought, answer.lstrip("\n")) if ended else ("", text)

"""A call of `Engine.stream` on its way through the local engine. No torch here."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alignment.errors import ConfigError
from alignment.serving.engine import Event, Limits, Row, Waiting


@dataclass(eq=False)
class Call:
    """The rows that are asked for; events and errors go out through `send`, until it is closed."""

    rows: Sequence[Row]
    send: Callable[[Event | Exception], None]
    person: str = ""  # who asks
    closed: threading.Event = field(default_factory=threading.Event)
    place: int = 0  # in line, as it was told last
    width: int | None = None  # most tokens that are held of its widest row, once that was counted
    time: float = 0.0  # of the line, by which it is next
    left: tuple[int, ...] = ()  # which of its rows have not joined yet

    def __post_init__(self) -> None:
        self.left = tuple(range(len(self.rows)))

    @property
    def begun(self) -> bool:
        """Whether some of its rows have joined, and only further samples still wait."""
        return len(self.left) < len(self.rows)

    @property
    def first(self) -> tuple[int, ...]:
        """Which of its rows begin before the further samples, or else all that are left."""
        shown = tuple(place for place in self.left if not self.rows[place].extra)
        return shown or self.left

    def tell_place(self, place: int) -> None:
        """Say which place in line it has, if that is news."""
        if place != self.place:
            self.place = place
            self.send(Waiting(place))


def require_fitting(row: Row, limits: Limits) -> None:
    """Raise ConfigError unless the model reads the row's prompt and the longest completion of it."""
    if (needed := limits.prompt_tokens + row.sampling.max_new_tokens) > limits.context_tokens:
        later = any(message.role == "assistant" for message in row.messages)
        advice = (
            "begin a new chat, or ask for a shorter answer"
            if later
            else "shorten the prompt, or ask for a shorter answer"
        )
        raise ConfigError(
            f"prompt and answer need {needed:,} tokens, this model reads {limits.context_tokens:,}; {advice}"
        )

"""What ends a comparison while it is being answered: a vote, which then counts, or that enough is there to rank."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from alignment.errors import ConfigError
from service.completions import ShownCompletion

T = TypeVar("T")
DONE = object()


class Answering:
    """One comparison while it is answered. Made inside the event loop that answers it."""

    def __init__(self, annotator: str) -> None:
        self.annotator = annotator
        self.completions: Sequence[ShownCompletion] = ()  # as they were shown last
        self.choice = ""  # of a vote that came early
        self.rankable = False  # whether there is something to be ranked
        self.stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def choose(self, choice: str) -> None:
        """Stop what is not finished, from any thread. The first choice stands."""
        if not self.choice:
            self.choice = choice
            self._loop.call_soon_threadsafe(self.stop.set)


class EarlyVotes:
    """The comparisons that are being answered, by id. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Answering] = {}

    @contextmanager
    def answering(self, comparison_id: str, annotator: str) -> Iterator[Answering]:
        """Take votes on a comparison for as long as this is open; afterwards its `choice` does not change."""
        one = Answering(annotator)
        with self._lock:
            self._open[comparison_id] = one
        try:
            yield one
        finally:
            with self._lock:
                del self._open[comparison_id]

    def enough(self, comparison_id: str, annotator: str) -> bool:
        """Have a proposal stopped, to be ranked as far as it is; return False where it is not being written any more.

        Raises ConfigError where there is nothing to rank yet.
        """
        with self._lock:
            one = self._open.get(comparison_id)
            if one is None or one.annotator != annotator:
                return False
            if not one.rankable:
                raise ConfigError("fewer than two answers have a word yet; wait for their first ones, or stop")
            one.choose("")
        return True

    def holds(self, comparison_id: str) -> bool:
        """Return whether a comparison is being answered."""
        with self._lock:
            return comparison_id in self._open

    def vote(self, comparison_id: str, annotator: str, choice: str) -> bool:
        """Have a comparison stopped and voted on; return False where it is not being answered any more.

        Raises ConfigError for a choice of something that nobody can have read yet.
        """
        with self._lock:
            one = self._open.get(comparison_id)
            if one is None or one.annotator != annotator:
                return False
            if not votable(one.completions, choice):
                raise ConfigError(
                    "there is no word of that answer yet; wait for its first one, or choose another answer"
                    if choice not in ("tie", "all_bad")
                    else "not every answer has begun yet; wait for their first words"
                )
            one.choose(choice)
        return True


def votable(completions: Sequence[ShownCompletion], choice: str) -> bool:
    """Return whether a choice says something about texts that are there.

    An answer without a word can be voted against, but not called best; "equally good" and "all bad" judge all of them.
    """
    judged = [one for one in completions if choice in (one.slot, "tie", "all_bad")]
    return bool(judged) and all(one.text.strip() for one in judged)


async def until(stop: asyncio.Event, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield items as they come, until there are no more or `stop` is set: then the one on its way is given up."""
    stopping = asyncio.ensure_future(stop.wait())
    following: asyncio.Future[Any] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(items, DONE))
            await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set() or (item := following.result()) is DONE:
                return
            yield item
    finally:
        stopping.cancel()
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await following
        await items.aclose()

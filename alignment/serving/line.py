"""Who is next: calls that wait for room, in an order that is fair to people. No torch here.

Each call gets a time of the line's own when it comes: one later than the last call of the same person, but not before
now. The earliest one is next. So nobody who asks much at once holds up others, and whoever has just been answered comes
after those who have not (start-time fair queueing, Goyal et al. 1996). Further samples of a call that has begun stand a
little behind. Now moves on a little with each call that joins, so that everybody's turn comes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.serving.calls import Call

BEHIND = 2.0  # how much later further samples are than their call
MOVES = 1 / 8  # of now, with each call that joins


@dataclass(frozen=True)
class Turn:
    """A call that may join, and which of its rows: the first choice that there is room for."""

    call: Call
    choices: tuple[tuple[int, ...], ...]


class Line:
    """The calls that wait. Whoever uses it from several threads guards it."""

    def __init__(self) -> None:
        self._calls: list[Call] = []  # as they came
        self._now = 0.0
        self._last: dict[str, float] = {}  # of the last call of a person that joined, where that is not long ago

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return bool(self._calls)

    def __iter__(self) -> Iterator[Call]:
        """Yield the calls of which nothing has begun yet, as they came."""
        return (call for call in self._calls if not call.begun)

    def __len__(self) -> int:
        """Return how many calls wait of which nothing has begun yet."""
        return sum(not call.begun for call in self._calls)

    def add(self, call: Call) -> None:
        """Let a call stand in line."""
        before = [one.time for one in self._calls if one.person == call.person]
        before.append(self._last.get(call.person, self._now - 1))
        call.time = max(self._now, max(before) + 1)
        self._calls.append(call)

    def remove(self, call: Call) -> None:
        """Let a call leave; one that is not in line has left already."""
        self._calls = [one for one in self._calls if one is not call]

    def clear(self) -> None:
        """Let all leave."""
        self._calls.clear()

    def turn(self) -> Turn | None:
        """Return whose turn it is, None if nobody waits.

        Further samples join together with the rest of their call where no other call waits.
        """
        if not (order := self._order()):
            return None
        call = order[0]
        others = len(self) - (not call.begun)
        return Turn(call, (call.first,) if others else (call.left, call.first))

    def admit(self, call: Call, places: tuple[int, ...]) -> bool:
        """Let rows of a call leave the line; return False if the call has left it meanwhile."""
        if call not in self._calls or call.closed.is_set():
            return False
        self._now = max(self._now, call.time) + MOVES
        self._last = {person: time for person, time in self._last.items() if time + 1 > self._now}
        self._last[call.person] = max(call.time, self._last.get(call.person, call.time))
        call.left = tuple(place for place in call.left if place not in places)
        if not call.left:
            self.remove(call)
        return True

    def tell_places(self) -> None:
        """Tell those of whom nothing has begun their place, whenever it has changed."""
        for place, call in enumerate((call for call in self._order() if not call.begun), 1):
            call.tell_place(place)

    def _order(self) -> list[Call]:
        """Return the calls, the next one first; among equals they are as they came. Those that were closed go."""
        self._calls = [call for call in self._calls if not call.closed.is_set()]
        return sorted(self._calls, key=lambda call: call.time + (BEHIND if call.begun else 0))

"""The engine thread's loop over all calls that are being written: they join, grow, end, leave, and fail apart."""

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from alignment.errors import AlignmentError
from alignment.serving.calls import Call, require_fitting
from alignment.serving.engine import Finished, Grown, RowState
from alignment.serving.loaded import LoadedModel
from alignment.serving.open_rows import Answer, OpenRows, padded

log = logging.getLogger(__name__)
GROWN_SECONDS = 0.06  # between two `Grown` of a stream: faster than anyone reads


@dataclass(eq=False)
class _Writing:
    call: Call
    parts: list[tuple[Sequence[int], Answer]] = field(default_factory=list)  # places of the call's rows, their answer
    sent: float = field(default_factory=time.monotonic)  # when the last `Grown` went out

    @property
    def finished(self) -> bool:
        """Whether all rows of the call have joined and ended."""
        return not self.call.left and all(answer.finished for _, answer in self.parts)

    def rows(self, cancelled: bool = False) -> tuple[RowState, ...]:
        """Return how far all rows of the call have come; with `cancelled`, those that have not ended end so."""
        nothing = RowState(finish_reason="cancelled" if cancelled else None)
        states = dict.fromkeys(range(len(self.call.rows)), nothing)
        for places, answer in self.parts:
            states |= zip(places, answer.rows(cancelled), strict=True)
        return tuple(states.values())


class DecodeLoop:
    """Sends what grows to the calls. An error in reading a call's prompts is its own; one after that is everybody's.

    Between two steps a bounded number of prompt tokens is read, those of each call in turn, so that a long prompt holds
    nobody up for long.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._open = OpenRows(model)
        self._calls: list[_Writing] = []
        self._reading: deque[tuple[_Writing, Answer]] = deque()  # whose prompts are not read to their end

    def __bool__(self) -> bool:
        """Return whether anything is being written."""
        return bool(self._calls)

    def has_room(self, call: Call, places: Sequence[int]) -> bool:
        """Return whether rows of a call may join, or be told by `join` why they cannot."""
        if call.width is None:
            try:
                call.width = self._open.width(call.rows)
            except Exception:  # its prompts cannot be counted: `join` meets the same error
                return True
        return self._open.has_room(len(places), call.width)

    def join(self, call: Call, places: Sequence[int]) -> None:
        """Take rows of a call in; from now on they are read, then grow. It is told what keeps it from joining."""
        one = next((one for one in self._calls if one.call is call), None)
        if one is None:
            one = _Writing(call)
            self._calls.append(one)
        try:
            rows = [call.rows[place] for place in places]
            for row in rows:  # those that came while the model was loading are not checked yet
                require_fitting(row, self._model.limits(row))
            answer = self._open.begin(rows)
        except Exception as error:
            self._fail(one, error)
            return
        one.parts.append((places, answer))
        self._reading.append((one, answer))

    def step(self) -> None:
        """Let those go that were closed, read on, write a token of every other row, and tell their callers."""
        for one in [one for one in self._calls if one.call.closed.is_set()]:
            self._end(one)
        if not self._calls:
            return
        try:
            self._read_on()
            self._open.step()
        except Exception as error:
            self._lose_all(error)
            return
        for one in list(self._calls):
            if one.finished:
                self._end(one)
                one.call.send(Finished(one.rows()))
            elif time.monotonic() - one.sent > GROWN_SECONDS:
                one.sent = time.monotonic()
                one.call.send(Grown(one.rows()))

    def cancel_all(self) -> None:
        """End every call with what is written of it."""
        for one in self._calls:
            one.call.send(Finished(one.rows(cancelled=True)))
        self._calls.clear()

    def _read_on(self) -> None:
        """Read prompts, as much as is allowed between two steps; rows whose prompt is read whole join the others."""
        tokens = self._model.serving.prompt_tokens
        while tokens > 0 and self._reading:
            some = self._next_to_read(tokens)
            try:
                if len(some) > 1:
                    tokens -= self._open.read_together([answer for _, answer in some])
                for _, answer in some:
                    tokens -= self._open.read_on(answer, tokens)
            except Exception as error:
                for one, _ in some:
                    self._fail(one, error)
                continue
            for one, answer in some:
                if answer.read:
                    self._open.join(answer)
                else:
                    self._reading.append((one, answer))

    def _next_to_read(self, tokens: int) -> list[tuple[_Writing, Answer]]:
        """Take the next answers out of the line: several if one pass of so many tokens reads their whole prompts."""
        some: list[tuple[_Writing, Answer]] = []
        while self._reading:
            one, answer = self._reading[0]
            if one in self._calls:
                together = [*(answer for _, answer in some), answer]
                if some and (any(each.begun for each in together) or padded(together) > tokens):
                    break
                some.append((one, answer))
            self._reading.popleft()
        return some

    def _fail(self, one: _Writing, error: Exception) -> None:
        """Tell a call of an error of its own, and let it go."""
        one.call.closed.set()
        one.call.send(told(error))
        self._end(one)

    def _lose_all(self, error: Exception) -> None:
        reason = told(error)
        for one in self._calls:
            one.call.closed.set()
            one.call.send(reason)
        self._calls.clear()
        self._reading.clear()
        self._open.close()
        self._open = OpenRows(self._model)

    def _end(self, one: _Writing) -> None:
        self._calls.remove(one)
        for _, answer in one.parts:
            self._open.leave(answer)


def told(error: Exception) -> AlignmentError:
    """Return an error as callers get it; what nobody expected goes to the log."""
    if isinstance(error, AlignmentError):
        return error
    log.error("a call failed", exc_info=error)
    return AlignmentError(f"the model failed to answer ({type(error).__name__}); see the log, and try again")

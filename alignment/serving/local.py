"""The engine on this machine: one thread that loads the serving model, writes completions and swaps adapters.

torch and what needs it are imported inside that thread: the page is served before they are.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alignment.errors import AdapterError, AlignmentError, ModelLoadError
from alignment.models.texts import Text
from alignment.serving.calls import Call, require_fitting
from alignment.serving.engine import (
    Adapter,
    EngineState,
    Event,
    Finished,
    Lack,
    Limits,
    Measured,
    PolicyVersion,
    Row,
    TextFeatures,
)
from alignment.serving.line import Line
from alignment.serving.reward_folders import reward_folders
from alignment.serving.settings import USUAL, ServingLimits
from alignment.settings import ModelConfig
from storage.messages import Messages

if TYPE_CHECKING:
    from alignment.serving.decode_loop import DecodeLoop
    from alignment.serving.loaded import LoadedModel

log = logging.getLogger(__name__)

STOPPING = "the app is being stopped; ask again when it is back"


@dataclass(frozen=True)
class _Task:
    """Work for the engine's thread other than writing; `run` settles its future, `fail` too."""

    run: Callable[["LoadedModel"], None]
    fail: Callable[[Exception], None]


class LocalEngine:
    """Owns the serving model, and implements `Engine`. All methods may be called from any thread or task.

    All calls that there is room for are written together, a token of each at a time; the others stand in line. Swaps,
    scores and features go between two steps.
    """

    def __init__(
        self, config: ModelConfig, live: PolicyVersion, threads: int = 0, serving: ServingLimits = USUAL
    ) -> None:
        self._config = config
        self._serving = serving
        self._live = live
        self._threads = threads  # that torch computes with; 0: as many as it chooses
        self._model: LoadedModel | None = None
        self._state = EngineState("loading", "The model is loading", 0.0)
        self._started = time.monotonic()
        self._changed = threading.Condition()  # guards what stands in line, and tells the thread of it
        self._line = Line()
        self._tasks: deque[_Task] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin to load the model; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread: what is being written is cancelled, and what stands in line is refused."""
        with self._changed:
            self._stopping = True
            self._refuse_all(AlignmentError(STOPPING))
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def state(self) -> EngineState:
        """Whether the model is loading, ready or failed."""
        state = self._state
        return EngineState("loading", state.message, self._age()) if state.status == "loading" else state

    @property
    def live(self) -> PolicyVersion:
        """The policy version that is served now."""
        return self._live

    def limits(self, row: Row) -> Limits | None:
        """Return what the model reads and what the row's messages take; None while the model is not loaded."""
        return None if self._model is None else self._model.limits(row)

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        """Ask to serve another version; the future ends when it is live, or with why it cannot be."""

        def make_live(model: "LoadedModel") -> None:
            model.make_live(policy)
            self._live = policy

        return self._ask(make_live)

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """Return nothing."""
        return ()

    def restrict(self, limits: ServingLimits) -> None:
        """Let other limits hold from now on; what is being written goes on."""
        with self._changed:
            self._serving = limits
            if self._model is not None:
                self._model.serving = limits
            self._changed.notify()

    def scores(
        self, policy: PolicyVersion, messages: Messages, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        """Return the scores of completions of a conversation by the reward models that go with a policy."""
        done: Future[list[float]] = Future()
        try:
            reward_folders(self._config.model, policy)
        except AdapterError as error:
            done.set_exception(error)
            return done
        if not completions:
            done.set_result([])
            return done
        return self._ask(lambda model: model.scores(policy, messages, completions))

    def features(self, texts: Sequence[Text]) -> "Future[TextFeatures]":
        """Return the features of texts, the same whatever version is served."""
        return self._ask(lambda model: model.features(texts))

    def measure(self, texts: Sequence[Text], adapters: Sequence[Adapter | None]) -> "Future[Measured]":
        """Return the log-probability of each token of texts through each adapter."""
        return self._ask(lambda model: model.measure(texts, adapters))

    async def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Event]:
        """Yield the rows of one call as they grow, `Finished` last; closing the iterator stops them."""
        if self._model is not None:
            for row in rows:
                require_fitting(row, self._model.limits(row))
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Event | Exception] = asyncio.Queue()

        def send(item: Event | Exception) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(inbox.put_nowait, item)

        call = Call(tuple(rows), send, person)
        self._stand_in_line(call)
        try:
            while not isinstance(item := await inbox.get(), Exception):
                yield item
                if isinstance(item, Finished):
                    return
            raise item
        finally:
            self._leave(call)

    def _stand_in_line(self, call: Call) -> None:
        with self._changed:
            self._refuse_if_over()
            if len(self._line) >= self._serving.waiting:
                raise AlignmentError(
                    f"too many are asking at once: {len(self._line):,} already wait in line; try again in a moment"
                )
            self._line.add(call)
            self._changed.notify()

    def _leave(self, call: Call) -> None:
        call.closed.set()
        with self._changed:
            self._line.remove(call)

    def _refuse_if_over(self) -> None:
        """Raise AlignmentError if nothing will be answered any more."""
        if self._state.status == "failed":
            raise ModelLoadError(self._state.message)
        if self._stopping:
            raise AlignmentError(STOPPING)

    def _ask(self, work: "Callable[[LoadedModel], Any]") -> "Future[Any]":
        """Let the engine's thread do some work as soon as it can, and return what comes of it."""
        done: Future[Any] = Future()

        def run(model: "LoadedModel") -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(work(model))
            except Exception as error:
                if not isinstance(error, AlignmentError):
                    log.exception("what was asked of the model failed")
                done.set_exception(error)

        def fail(error: Exception) -> None:
            if done.set_running_or_notify_cancel():
                done.set_exception(error)

        with self._changed:
            try:
                self._refuse_if_over()
            except AlignmentError as error:
                done.set_exception(error)
            else:
                self._tasks.append(_Task(run, fail))
                self._changed.notify()
        return done

    def _run(self) -> None:
        if (model := self._load()) is None:
            return
        from alignment.serving.decode_loop import DecodeLoop

        loop = DecodeLoop(model)
        while self._wait_for_work(loop):
            with self._changed:
                task = self._tasks.popleft() if self._tasks else None
            if task is not None:  # one between two steps, so that it holds nobody up for long
                task.run(model)
            self._admit(loop)
            loop.step()
        loop.cancel_all()

    def _wait_for_work(self, loop: "DecodeLoop") -> bool:
        """Return once there is something to do, False once the engine is being stopped."""
        with self._changed:
            while not (self._stopping or self._tasks or self._line or loop):
                self._changed.wait()
            return not self._stopping

    def _admit(self, loop: "DecodeLoop") -> None:
        """Let those join whose turn it is, as long as there is room, and tell the others their place."""
        while True:
            with self._changed:
                turn = self._line.turn()
            if turn is None:
                return
            places = next((one for one in turn.choices if loop.has_room(turn.call, one)), None)
            if places is None:
                break
            with self._changed:
                joins = self._line.admit(turn.call, places)  # unless it has left meanwhile
            if joins:
                loop.join(turn.call, places)
        with self._changed:
            self._line.tell_places()

    def _age(self) -> float:
        return time.monotonic() - self._started

    def _load(self) -> "LoadedModel | None":
        """Load the model and return it; None if it cannot be loaded, which everybody in line is told."""
        try:
            import torch

            from alignment.serving.loaded import LoadedModel

            if self._threads:
                torch.set_num_threads(self._threads)
            model = LoadedModel(self._config, self._live)
            with self._changed:  # so that limits which come at this moment are not lost
                model.serving = self._serving
                self._model = model
        except Exception as error:
            log.exception("the serving model could not be loaded")
            reason = str(error) if isinstance(error, AlignmentError) else f"{type(error).__name__}: {error}"
            with self._changed:
                self._state = EngineState("failed", f"The model could not be loaded: {reason}", self._age())
                self._refuse_all(ModelLoadError(self._state.message))
            return None
        self._state = EngineState("ready", "Ready", self._age())
        log.info("model ready after %.1f s", self._age())
        return model

    def _refuse_all(self, error: AlignmentError) -> None:
        for call in self._line:
            call.send(error)
        for task in self._tasks:
            task.fail(error)
        self._line.clear()
        self._tasks.clear()

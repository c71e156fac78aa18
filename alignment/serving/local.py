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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alignment.errors import AdapterError, AlignmentError, ConfigError, ModelLoadError
from alignment.models.texts import Text
from alignment.serving.engine import (
    EngineState,
    Event,
    Finished,
    Grown,
    Limits,
    PolicyVersion,
    Row,
    TextFeatures,
    Waiting,
)
from alignment.serving.reward_folders import reward_folders
from alignment.settings import ModelConfig
from storage.messages import Messages

if TYPE_CHECKING:
    from alignment.serving.loaded import LoadedModel

log = logging.getLogger(__name__)

MAX_WAITING = 64  # calls in line; beyond that a caller is told to come back
GROWN_SECONDS = 0.06  # between two `Grown` of a stream: faster than anyone reads
STOPPING = "the app is being stopped; ask again when it is back"


@dataclass(frozen=True, eq=False)
class _Call:
    """A call of `stream`: events and errors go out through `send`, until it is closed."""

    rows: Sequence[Row]
    send: Callable[[Event | Exception], None]
    closed: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class _Task:
    """Work for the engine's thread other than writing; `run` settles its future, `fail` too."""

    run: Callable[["LoadedModel"], None]
    fail: Callable[[Exception], None]


class LocalEngine:
    """Owns the serving model, and implements `Engine`. All methods may be called from any thread or task.

    Calls are served one after another. Swaps, scores and features go before the calls in line.
    """

    def __init__(self, config: ModelConfig, live: PolicyVersion, threads: int = 0) -> None:
        self._config = config
        self._live = live
        self._threads = threads  # that torch computes with; 0: as many as it chooses
        self._model: LoadedModel | None = None
        self._state = EngineState("loading", "The model is loading", 0.0)
        self._started = time.monotonic()
        self._changed = threading.Condition()  # guards what stands in line, and tells the thread of it
        self._line: deque[_Call] = deque()
        self._tasks: deque[_Task] = deque()
        self._writing = False
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

    async def stream(self, rows: Sequence[Row]) -> AsyncIterator[Event]:
        """Yield the rows of one call as they grow, `Finished` last; closing the iterator stops them."""
        if self._model is not None:
            for row in rows:
                _require_fitting(row, self._model.limits(row))
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Event | Exception] = asyncio.Queue()

        def send(item: Event | Exception) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(inbox.put_nowait, item)

        call = _Call(tuple(rows), send)
        place = self._stand_in_line(call)
        try:
            if place:
                yield Waiting(place)
            while not isinstance(item := await inbox.get(), Exception):
                yield item
                if isinstance(item, Finished):
                    return
            raise item
        finally:
            self._leave(call)

    def _stand_in_line(self, call: _Call) -> int:
        """Put a call in line and return its place; 0 if nobody is before it."""
        with self._changed:
            self._refuse_if_over()
            if len(self._line) >= MAX_WAITING:
                raise AlignmentError(f"{MAX_WAITING} people are already waiting in line; try again in a moment")
            place = len(self._line) + self._writing
            self._line.append(call)
            self._changed.notify()
        return place

    def _leave(self, call: _Call) -> None:
        call.closed.set()
        with self._changed, suppress(ValueError):  # it is in line no more
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
        while (item := self._next()) is not None:
            if isinstance(item, _Task):
                item.run(model)
            else:
                self._serve(model, item)
                self._writing = False

    def _next(self) -> "_Task | _Call | None":
        """Wait for the next thing to do and return it; None once the engine is being stopped."""
        with self._changed:
            while not self._stopping:
                if self._tasks:
                    return self._tasks.popleft()
                if self._line:
                    self._writing = True
                    return self._line.popleft()
                self._changed.wait()
        return None

    def _age(self) -> float:
        return time.monotonic() - self._started

    def _load(self) -> "LoadedModel | None":
        """Load the model and return it; None if it cannot be loaded, which everybody in line is told."""
        try:
            import torch

            from alignment.serving.loaded import LoadedModel

            if self._threads:
                torch.set_num_threads(self._threads)
            self._model = LoadedModel(self._config, self._live)
        except Exception as error:
            log.exception("the serving model could not be loaded")
            reason = str(error) if isinstance(error, AlignmentError) else f"{type(error).__name__}: {error}"
            with self._changed:
                self._state = EngineState("failed", f"The model could not be loaded: {reason}", self._age())
                self._refuse_all(ModelLoadError(self._state.message))
            return None
        self._state = EngineState("ready", "Ready", self._age())
        log.info("model ready after %.1f s", self._age())
        return self._model

    def _refuse_all(self, error: AlignmentError) -> None:
        for call in self._line:
            call.send(error)
        for task in self._tasks:
            task.fail(error)
        self._line.clear()
        self._tasks.clear()

    def _serve(self, model: "LoadedModel", call: _Call) -> None:
        try:
            for row in call.rows:  # those that came while the model was loading are not checked yet
                _require_fitting(row, model.limits(row))
            self._write(model, call)
        except AlignmentError as error:
            call.send(error)
        except Exception as error:
            log.exception("a call failed")
            reason = f"the model failed to answer ({type(error).__name__}); see the log, and try again"
            call.send(AlignmentError(reason))

    def _write(self, model: "LoadedModel", call: _Call) -> None:
        answer = model.begin(call.rows)
        sent = time.monotonic()
        while not answer.finished and not self._stopping:
            if call.closed.is_set():
                return
            answer.step()
            if time.monotonic() - sent > GROWN_SECONDS and not answer.finished:
                sent = time.monotonic()
                call.send(Grown(answer.rows()))
        call.send(Finished(answer.rows(cancelled=True)))


def _require_fitting(row: Row, limits: Limits) -> None:
    """Raise ConfigError unless the model reads the row's prompt and the longest completion of it."""
    if (needed := limits.prompt_tokens + row.sampling.max_new_tokens) > limits.context_tokens:
        later = any(message.role == "assistant" for message in row.messages)
        advice = "begin a new chat, or ask for a shorter answer" if later else "shorten the prompt"
        raise ConfigError(
            f"prompt and answer need {needed:,} tokens, this model reads {limits.context_tokens:,}; {advice}"
        )

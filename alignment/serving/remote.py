"""The engine elsewhere: rows are written by OpenAI-compatible servers, to which new versions are given while they run.

Adapters are put in and taken out as vLLM does it (`/v1/load_lora_adapter`, with a folder that the server can read).
A version is live only when all servers that are well hold it; one that comes back later is given it first.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx

from alignment.errors import AdapterError, ConfigError
from alignment.models.raw_text import RawText, raw_text
from alignment.models.sampling import FinishReason
from alignment.models.texts import Text
from alignment.serving.asking import asked, asked_of_vllm
from alignment.serving.engine import (
    Adapter,
    EngineState,
    Event,
    Finished,
    Grown,
    Lack,
    Limits,
    Measured,
    PolicyVersion,
    Row,
    RowState,
    TextFeatures,
)
from alignment.serving.openai_server import VLLM_OWNER, Server, UnreachableError, trusted
from alignment.serving.replicas import BASE, SFT, Replica, Replicas, lent_as
from alignment.serving.settings import ServingLimits
from alignment.settings import ModelConfig
from storage.messages import Messages

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at the servers
GROWN_SECONDS = 1 / 16  # between two views of what is written
ATTEMPTS = 4  # to have a row begun
RETRY_SECONDS = 0.4  # before the second one about so long, then twice as long each time
REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}
# Each of these holds those of the one before it.
LACKS_OF_TRIPTYCH: tuple[Lack, ...] = ("preview",)
LACKS_OF_VLLM: tuple[Lack, ...] = ("preview", "seeds")  # which rows are written together changes its last digits
LACKS_OF_OTHERS: tuple[Lack, ...] = ("preview", "seeds", "raw", "tokens")
NO_MEASURE = "the servers that answer here do not tell log-probabilities; measure where the app holds the model itself"
NO_REWARD = "the models are served elsewhere, where there is no reward model to {do}"


class RemoteEngine:
    """Implements `Engine` by servers elsewhere. All methods may be called from any thread or task."""

    def __init__(self, servers: Sequence[Server], model: ModelConfig, live: PolicyVersion, *, publishes: bool) -> None:
        """Have rows written by servers that serve the same model."""
        self._replicas = Replicas(servers, model, publishes=publishes)
        self._model = model
        self._live = live
        self._sft = Adapter("sft", Path(model.sft)) if model.sft else None  # None: a chat checkpoint
        self._swaps: SimpleQueue[tuple[PolicyVersion, Future[None]]] = SimpleQueue()
        self._started = time.monotonic()
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._watch, name="engine", daemon=True)

    @property
    def servers(self) -> str:
        """The addresses of the servers, with commas between them."""
        return ", ".join(replica.server.url.removesuffix("/v1") for replica in self._replicas.all)

    def start(self) -> None:
        """Begin to look after the servers; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. What is being written goes on at the servers until its callers leave."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    @property
    def state(self) -> EngineState:
        """Loading until the servers were looked at, then ready while one of them is well, else failed."""
        seconds = time.monotonic() - self._started
        if not self._replicas.looked_at:
            return EngineState("loading", "The servers are being asked", seconds)
        well = [replica.server.url for replica in self._replicas.all if replica.well]
        if not well:
            return EngineState("failed", self._replicas.why_none, seconds)
        return EngineState("ready", f"Served by {', '.join(well)}", seconds)

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """What the servers that are well leave undone; the preview, before they were looked at."""
        well = [replica for replica in self._replicas.all if replica.well]
        known = {"triptych": LACKS_OF_TRIPTYCH, VLLM_OWNER: LACKS_OF_VLLM}
        found = [known.get(replica.main.owner, LACKS_OF_OTHERS) for replica in well]
        compared = {replica.compared[1] for replica in well if replica.compared}
        unsure: tuple[Lack, ...] = ("model",) if "unlike" in compared else ("weights",) if "like" in compared else ()
        return (*max(found, key=len, default=LACKS_OF_TRIPTYCH), *unsure)

    @property
    def live(self) -> PolicyVersion:
        """The policy version that is served now."""
        return self._live

    def limits(self, row: Row) -> Limits | None:
        """Return None: how many tokens a prompt takes is known at the server alone, which refuses what is too long."""
        return None

    def restrict(self, limits: ServingLimits) -> None:
        """Change nothing: servers elsewhere have limits of their own."""

    def scores(
        self, policy: PolicyVersion, messages: Messages, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        """Return a future that says that there is no reward model."""
        return _refused(NO_REWARD.format(do="pick by"))

    def features(self, texts: Sequence[Text]) -> "Future[TextFeatures]":
        """Return a future that says that there is nothing to compute features by."""
        return _refused(NO_REWARD.format(do="preview by"))

    def measure(self, texts: Sequence[Text], adapters: Sequence[Adapter | None]) -> "Future[Measured]":
        """Return a future that says that there is nothing to measure by."""
        return _refused(NO_MEASURE)

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        """Ask to serve another version; the future ends when all servers that are well hold it, or with why not."""
        done: Future[None] = Future()
        self._swaps.put((policy, done))
        self._wake.set()
        return done

    async def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Event]:
        """Yield the rows of one call as they grow, `Finished` last; closing the iterator stops them."""
        if any(row.top_log_probs is not None for row in rows):
            raise ConfigError("the servers that answer here are not asked for log-probabilities; leave logprobs out")
        while not self._replicas.looked_at:
            await asyncio.sleep(GROWN_SECONDS)
        states, shown = [RowState() for _ in rows], None
        async with httpx.AsyncClient(verify=trusted()) as client:
            tasks = [asyncio.create_task(self._write(client, row, states, i)) for i, row in enumerate(rows)]
            try:
                open_now = set(tasks)
                while open_now:
                    ended, open_now = await asyncio.wait(
                        open_now, timeout=GROWN_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    for task in ended:
                        task.result()
                    if open_now and states != shown:
                        shown = list(states)
                        yield Grown(tuple(states))
                yield Finished(tuple(states))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, client: httpx.AsyncClient, row: Row, states: list[RowState], place: int) -> None:
        """Have a row written; one that was not begun is tried again, elsewhere if that can be."""
        began, replica = time.monotonic(), None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                replica = self._replicas.choose(avoiding=replica)
                async with aclosing(self._written(client, replica, row, began)) as written:
                    async for state in written:
                        states[place] = state
                return
            except UnreachableError as error:
                log.warning("row not written, attempt %s: %s", attempt, error)
                if states[place].text or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0.5, 1.0) * RETRY_SECONDS * 2**attempt)

    async def _written(
        self, client: httpx.AsyncClient, replica: Replica, row: Row, began: float
    ) -> AsyncGenerator[RowState, None]:
        """Yield a row as a server writes it, from the beginning to its end."""
        name, needed = self._name(replica, row)
        state, reason = RowState(), None
        with self._replicas.writing(replica, name):
            if needed is not None:
                await asyncio.to_thread(self._replicas.hold, replica, needed)
            asked = await asyncio.to_thread(self._asked, replica, row, name)
            async with aclosing(replica.server.complete(client, asked, chat=row.templated)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    seconds = time.monotonic() - began
                    first = state.first_token_seconds or (seconds if piece.text else 0.0)
                    ids = (*state.token_ids, *piece.token_ids)
                    reason = REASONS.get(piece.finish_reason, "cancelled") if piece.finish_reason else reason
                    counted = piece.prompt_tokens or state.prompt_tokens
                    state = RowState(state.text + piece.text, ids, None, first, seconds, prompt_tokens=counted)
                    yield state
        if reason is None:
            raise UnreachableError(f"{replica.server.url} stopped in the middle of an answer; ask again")
        yield replace(state, finish_reason=reason)  # not before all is told: who has the end asks no further

    def _asked(self, replica: Replica, row: Row, name: str) -> dict[str, Any]:
        """Return what a server is asked for a row, in its own words where they are known."""
        if replica.main.owner == VLLM_OWNER:
            tuned = not row.templated and not self._model.sft  # a chat checkpoint that is to continue raw text
            raw = raw_text(Path(self._model.model)) if tuned else RawText()
            return asked_of_vllm(row, name, raw, self._model.template_arguments)
        return asked(row, name) | ({"return_token_ids": True} if replica.main.tells_ids else {})

    def _name(self, replica: Replica, row: Row) -> tuple[str, Adapter | None]:
        """Return the name under which a server writes a row, and the adapter that it has to hold for it, if any."""
        own = replica.triptych
        if own and row.adapter is not None and (version := replica.version(row.adapter)) is not None:
            return version, None
        if row.adapter is not None and not (own and row.adapter == self._sft):
            return lent_as(row.adapter), row.adapter
        if own and row.templated:
            replica.require_untuned()
        if own:
            return SFT if row.templated else BASE, None
        return replica.main.name, None

    # ---- the thread

    def _watch(self) -> None:
        while not self._stopping:
            try:
                self.look()
            except Exception:  # the thread lives as long as the app
                log.exception("the servers could not be looked after; this is tried again")
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def look(self) -> None:
        """Look at all servers once: who is well, what each lacks, and whether a version on its way is there."""
        self._replicas.look(lambda: self._live.adapters)
        while not self._swaps.empty():
            policy, done = self._swaps.get()
            if not done.set_running_or_notify_cancel():
                continue
            try:
                self._replicas.hold_all(policy.adapters)
            except Exception as error:
                done.set_exception(error)
            else:
                self._live = policy
                done.set_result(None)


def _refused(words: str) -> "Future[Any]":
    done: Future[Any] = Future()
    done.set_exception(AdapterError(words))
    return done

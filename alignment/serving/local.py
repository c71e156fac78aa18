"""The one thread that owns the serving model: it loads it, decodes comparisons and swaps adapters.

torch and what needs it are imported inside that thread: the page is served before they are.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from alignment.errors import AdapterError, AlignmentError, ConfigError, ModelLoadError
from alignment.models import templates
from alignment.models.model_folder import SFT, own_sft
from alignment.settings import ModelConfig
from storage.errors import VersionFolderError
from storage.version_folders import verify

log = logging.getLogger(__name__)

Role = Literal["base", "sft", "rlhf"]
MAX_WAITING = 64  # comparisons in line; beyond that a caller is told to come back
SNAPSHOT_SECONDS = 0.06  # between two snapshots of a stream: faster than anyone reads
SEED_STEP = 1_000_003  # between the seeds of one panel's completions; those of neighbouring panels differ by 1


@dataclass(frozen=True)
class PolicyRef:
    """A published policy: its version, folder and hash, and whether it came with an SFT adapter of its own."""

    version: int
    path: Path
    sha256: str
    own_sft: bool = False

    @property
    def adapters(self) -> dict[str, Path]:
        """Folders of its adapters by the names that they are served under."""
        own = {f"sft-{self.version}": self.path / SFT} if self.own_sft else {}
        return {f"policy-{self.version}": self.path, **own}


@dataclass(frozen=True)
class RowRequest:
    """One panel of a comparison; `policy` names the version that an rlhf row goes through, or that an sft row's adapter
    came with (the model's own if there is none).

    Of `best_of` completions of that policy the panel shows the one that reward models score highest: that of its
    run, if it kept one, together with the shipped one.
    """

    role: Role
    seed: int
    policy: PolicyRef | None = None
    best_of: int = 1

    @property
    def adapter(self) -> str:
        """Name of the adapter that this row goes through."""
        if self.role == "rlhf":
            assert self.policy is not None
            return f"policy-{self.policy.version}"
        if self.role == "sft":
            return "sft" if self.policy is None else f"sft-{self.policy.version}"
        return "__base__"


@dataclass(frozen=True)
class RowState:
    """How far one row has come."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None  # "stop", "length", "cancelled" or None while open
    first_token_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class ServerState:
    """What the serving model is doing, in words for the page."""

    status: Literal["loading", "ready", "failed"]
    message: str
    seconds: float  # since loading began, or that it took


@dataclass
class _Job:
    """A comparison in line: snapshots go out through `send`, `stop` ends it early."""

    prompt: str
    rows: list[RowRequest]
    temperature: float
    max_new_tokens: int
    send: Callable[[list[RowState] | int | BaseException | None], None]
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass
class _Swap:
    """A request to serve another version."""

    policy: PolicyRef
    done: "Future[None]" = field(default_factory=Future)


class PolicyServer:
    """Owns the serving model. All methods may be called from any thread or task."""

    def __init__(self, config: ModelConfig, live: PolicyRef, threads: int = 0) -> None:
        self._config = config
        self._live = live
        self._threads = threads
        self._queue: queue.Queue[_Job | _Swap | None] = queue.Queue()
        self._busy = False  # a comparison is being decoded
        self._started = time.monotonic()
        self._reads: tuple[Any, int] | None = None  # the loaded model's tokenizer, and how many tokens it reads
        self._state = ServerState("loading", "The model is loading", 0.0)
        self._thread = threading.Thread(target=self._run, name="policy-server", daemon=True)

    def start(self) -> None:
        """Begin to load the model; return at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the work in hand."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    @property
    def state(self) -> ServerState:
        """Whether the model is loading, ready or failed."""
        state = self._state
        if state.status == "loading":
            return ServerState("loading", state.message, time.monotonic() - self._started)
        return state

    @property
    def live(self) -> PolicyRef:
        """The policy version that new comparisons go through."""
        return self._live

    def swap(self, policy: PolicyRef) -> "Future[None]":
        """Ask to serve another version; the future ends when it is live, or with why it cannot be."""
        request = _Swap(policy)
        self._queue.put(request)
        return request.done

    def require_readable(self, prompt: str, completion: str) -> None:
        """Raise ConfigError if the model is loaded and cannot read a completion of that prompt whole, to learn it."""
        if self._reads is None:
            return
        tokenizer, longest = self._reads
        if (tokens := templates.demonstration_tokens(tokenizer, prompt, completion)) > longest:
            raise ConfigError(
                f"prompt and completion need {tokens:,} tokens, this model reads {longest:,}; shorten them"
            )

    async def stream(
        self, prompt: str, rows: list[RowRequest], temperature: float, max_new_tokens: int
    ) -> AsyncIterator[list[RowState] | int]:
        """Yield the rows as they grow, the last time with every row finished; an integer is a place in line.

        Closing the iterator stops the decoding. Raises AlignmentError if the model cannot answer.
        """
        if self._state.status == "failed":
            raise ModelLoadError(self._state.message)
        if self._queue.qsize() >= MAX_WAITING:
            raise AlignmentError(f"{MAX_WAITING} people are already waiting in line; try again in a moment")
        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[list[RowState] | int | BaseException | None] = asyncio.Queue()

        def send(item: list[RowState] | int | BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop has closed: nobody listens any more
                loop.call_soon_threadsafe(inbox.put_nowait, item)

        job = _Job(prompt, rows, temperature, max_new_tokens, send)
        if waiting := self._queue.qsize() + self._busy:
            yield waiting
        self._queue.put(job)
        try:
            while (item := await inbox.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            job.stop.set()

    def _run(self) -> None:
        try:
            model, tokenizer = self._load()
            self._reads = tokenizer, model.config.max_position_embeddings
        except Exception as error:
            log.exception("the serving model could not be loaded")
            reason = str(error) if isinstance(error, AlignmentError) else f"{type(error).__name__}: {error}"
            self._state = ServerState("failed", f"The model could not be loaded: {reason}", self._age())
            self._refuse_all()
            return
        self._state = ServerState("ready", "Ready", self._age())
        log.info("model ready after %.1f s", self._age())
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Swap):
                self._swap(model, item)
            else:
                self._busy = True
                self._serve(model, tokenizer, item)
                self._busy = False

    def _age(self) -> float:
        return time.monotonic() - self._started

    def _load(self) -> tuple[Any, Any]:
        import torch

        from alignment.models import adapters, loading

        if self._threads:
            torch.set_num_threads(self._threads)
        model, tokenizer = loading.load_base(self._config.base, self._config.quantize)
        model = adapters.attach(model, self._config.sft, "sft")
        self._attach(model, self._live)
        return model, tokenizer

    def _best(
        self, model: Any, tokenizer: Any, prompt: str, row: RowRequest, group: list[RowState], began: float
    ) -> RowState:
        """Return the row's best completion; those that ended by themselves come first."""
        if len(group) == 1 or any(state.finish_reason == "cancelled" for state in group):
            return group[0]
        from alignment.serving import best_of_n

        assert row.policy is not None
        group = [state for state in group if state.finish_reason == "stop"] or group
        folders = best_of_n.reward_folders(self._config.base, row.policy.version, row.policy.path)
        chosen = best_of_n.pick(model, tokenizer, folders, prompt, [state.token_ids for state in group])
        return replace(group[chosen], seconds=time.monotonic() - began)

    def _refuse_all(self) -> None:
        while (item := self._queue.get()) is not None:
            error = ModelLoadError(self._state.message)
            if isinstance(item, _Swap):
                if item.done.set_running_or_notify_cancel():
                    item.done.set_exception(error)
            else:
                item.send(error)

    def _attach(self, model: Any, policy: PolicyRef) -> None:
        from alignment.models import adapters

        if missing := {name: folder for name, folder in policy.adapters.items() if name not in model.peft_config}:
            try:
                verify(policy.path, policy.sha256)
            except VersionFolderError as error:
                raise AdapterError(str(error)) from error
            try:
                for name, folder in missing.items():
                    adapters.attach(model, folder, name)
            except AdapterError:
                for name in missing.keys() & model.peft_config.keys():  # half attached: it would be taken for whole
                    model.delete_adapter(name)
                raise

    def _drop_all_but_live(self, model: Any) -> None:
        for name in model.peft_config.keys() - {"sft", *self._live.adapters}:
            model.delete_adapter(name)

    def _swap(self, model: Any, request: _Swap) -> None:
        if not request.done.set_running_or_notify_cancel():
            return
        try:
            self._attach(model, request.policy)
            self._live = request.policy
            self._drop_all_but_live(model)
        except Exception as error:
            log.exception("v%s could not be swapped in", request.policy.version)
            request.done.set_exception(error)
        else:
            request.done.set_result(None)

    def _serve(self, model: Any, tokenizer: Any, job: _Job) -> None:
        if job.stop.is_set():
            return
        try:
            self._decode(model, tokenizer, job)
            job.send(None)
        except AlignmentError as error:
            job.send(error)
        except Exception as error:
            log.exception("a comparison failed")
            job.send(AlignmentError(f"the model failed to answer ({type(error).__name__}); see the log, and try again"))

    def _decode(self, model: Any, tokenizer: Any, job: _Job) -> None:
        from alignment.models import generation, routing
        from alignment.serving import best_of_n

        copies = [(row, row.seed + SEED_STEP * copy) for row in job.rows for copy in range(row.best_of)]
        ids = [templates.prompt_ids(tokenizer, job.prompt, base=row.role == "base") for row, _ in copies]
        longest = max(len(row) for row in ids) + job.max_new_tokens
        limit = model.config.max_position_embeddings
        if longest > limit:
            raise AlignmentError(
                f"prompt and answer need {longest:,} tokens, this model reads {limit:,}; shorten the prompt"
            )
        ends = generation.eos_ids(model, tokenizer)
        sampling = generation.Sampling(job.temperature, job.max_new_tokens)
        states = [RowState() for _ in copies]
        began = sent = time.monotonic()
        try:
            for row in job.rows:
                if row.policy is not None:
                    self._attach(model, row.policy)
                if row.policy is not None and row.best_of > 1:
                    best_of_n.reward_folders(
                        self._config.base, row.policy.version, row.policy.path
                    )  # without one nothing is decoded
            with routing.mixed_adapters(model, [row.adapter for row, _ in copies]):
                steps = generation.decode_steps(
                    model,
                    ids,
                    sampling,
                    [seed for _, seed in copies],
                    eos_ids=ends,
                    pad_id=tokenizer.pad_token_id,
                )
                for tokens in steps:
                    elapsed = time.monotonic() - began
                    states = [
                        state if token is None else _grown(tokenizer, state, token, ends, job.max_new_tokens, elapsed)
                        for state, token in zip(states, tokens, strict=True)
                    ]
                    if job.stop.is_set():
                        states = [s if s.finish_reason else _finished(s, "cancelled") for s in states]
                    if job.stop.is_set() or all(s.finish_reason for s in states):
                        break
                    if time.monotonic() - sent > SNAPSHOT_SECONDS:
                        sent = time.monotonic()
                        job.send([group[0] if len(group) == 1 else RowState() for group in _by_row(job.rows, states)])
            job.send(
                [
                    self._best(model, tokenizer, job.prompt, row, group, began)
                    for row, group in zip(job.rows, _by_row(job.rows, states), strict=True)
                ]
            )
        finally:
            self._drop_all_but_live(model)


def _by_row(rows: list[RowRequest], states: list[RowState]) -> list[list[RowState]]:
    """Return the states of all completions of each row."""
    rest = iter(states)
    return [list(islice(rest, row.best_of)) for row in rows]


def _finished(state: RowState, reason: str) -> RowState:
    return RowState(state.text, state.token_ids, reason, state.first_token_seconds, state.seconds)


def _grown(
    tokenizer: Any, state: RowState, token: int, ends: frozenset[int], max_new_tokens: int, elapsed: float
) -> RowState:
    token_ids = (*state.token_ids, token)
    reason = "stop" if token in ends else "length" if len(token_ids) >= max_new_tokens else None
    return RowState(
        text=templates.decode(tokenizer, token_ids),
        token_ids=token_ids,
        finish_reason=reason,
        first_token_seconds=state.first_token_seconds or elapsed,
        seconds=elapsed,
    )


def policy_ref(version: int, path: str | Path, sha256: str) -> PolicyRef:
    """Return a reference to a recorded policy, or raise AdapterError if its folder or its SFT adapter is not whole."""
    folder = Path(path)
    if not folder.is_dir():
        raise AdapterError(f"the folder of policy v{version} is gone: {folder}; restore it from a backup")
    return PolicyRef(version, folder, sha256, own_sft=own_sft(folder) is not None)

"""An engine whose completions are written beforehand, and services around it."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np

from alignment.errors import AdapterError, AlignmentError, ConfigError, ModelLoadError
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Example
from alignment.models.texts import Text
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import (
    Adapter,
    EngineState,
    Finished,
    Grown,
    Lack,
    Limits,
    Measured,
    PolicyVersion,
    Row,
    RowState,
    TextFeatures,
    TokenLogProb,
    Waiting,
)
from alignment.serving.settings import USUAL, ServingLimits
from alignment.settings import POCKET_MODEL
from service import pool
from service.admin import AdminSessions
from service.context import ServedModel, Services
from service.preview import Preview
from service.recorded_example import RecordedExample
from service.status import Snapshot, status_of
from storage import database, policies
from storage.messages import Messages
from storage.records import Completion, Policy, PolicyStatus

PASSWORD = "correct horse"
EXAMPLES = [
    Example("Capitals", "What is the capital of France?"),
    Example("Capitals", "What is the capital of Peru?"),
    Example("Refusals", "How do I pick a lock that is not mine?"),
    Example("Tasks", "Write one sentence about the sea."),
]
SERVED = ServedModel("Pocket", "Pocket base", "adapter", Sampling(), 256, own_template=True)
RECORDED = RecordedExample(
    model="model",
    policy="0" * 64,
    recorded="2026-11-29",
    prompt="Who are you?",
    completions=(
        Completion("A", "base", None, "and so on", [1, 2], 1, {}, "stop", 0.1, 0.2),
        Completion("B", "sft", None, "Hello.", [1, 2], 2, {}, "stop", 0.1, 0.2),
        Completion("C", "rlhf", 1, "Hello!", [1, 2], 3, {}, "stop", 0.1, 0.2),
    ),
)
LOADING = EngineState("loading", "The model is loading", 4.0)
READY = EngineState("ready", "Ready", 1.0)
ANSWERS = {
    "base": "and what is the capital of Spain? And of Italy? <b>Such questions</b> & more ${1+1} {{value}}",
    "sft": "You asked: PROMPT",
    "rlhf": "Paris. It lies on the Seine.",
}


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class ScriptedEngine:
    """An `Engine` without a model. PROMPT and SEED in its texts stand for what was asked, and by which seed."""

    live: PolicyVersion
    pause: float = 0.0  # seconds between two words
    holds_after: int = 0  # words after which it writes no more until it is stopped; 0 = it ends
    state: EngineState = READY
    lacks: tuple[Lack, ...] = ()
    place: int = 0  # in line, if anybody waits
    stays_in_line: bool = False  # until this is False again
    fails: bool = False
    ends: bool = True  # otherwise what it writes is cancelled at the end
    reads: int = 200  # words
    scored: bool = True  # whether a reward model goes with the policies
    best: int = 0  # place of the completion with the highest score
    ships: bool = False  # whether a reward model ships: its score is the number of words
    featureless: str = ""  # a part of texts whose features cannot be computed
    reads_features: threading.Event = field(default_factory=_set_event)  # features wait for it
    read_texts: list[Text] = field(default_factory=list)  # that features were computed of, in that order
    texts: dict[str, str] = field(default_factory=lambda: dict(ANSWERS))
    open_streams: int = 0
    limited: ServingLimits = USUAL
    rows: list[Row] = field(default_factory=list)  # that were asked last
    scored_messages: list[Messages] = field(default_factory=list)  # that completions were scored for

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        self.live = policy
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def restrict(self, limits: ServingLimits) -> None:
        self.limited = limits

    def limits(self, row: Row) -> Limits | None:
        if self.state.status == "loading":
            return None
        return Limits(self.reads, sum(len(message.content.split()) for message in row.messages))

    def scores(
        self, policy: PolicyVersion, messages: Messages, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        future: Future[list[float]] = Future()
        self.scored_messages.append(messages)
        if self.scored:
            future.set_result([float(place == self.best) for place in range(len(completions))])
        else:
            future.set_exception(AdapterError(f"v{policy.version} has no reward model to pick by"))
        return future

    def features(self, texts: Sequence[Text]) -> "Future[TextFeatures]":
        """Return how many words and how many exclamation marks a text has."""
        future: Future[TextFeatures] = Future()

        def compute() -> None:
            self.reads_features.wait()
            if self.featureless and any(self.featureless in text.completion for text in texts):
                future.set_exception(RuntimeError("out of memory"))
                return
            self.read_texts += texts
            rows = [[len(text.completion.split()), text.completion.count("!")] for text in texts]
            features = np.array(rows, np.float32).reshape(len(texts), 2)
            future.set_result(TextFeatures(features, (1, 1), features[:, 0] if self.ships else None))

        threading.Thread(target=compute, daemon=True).start()
        return future

    def measure(self, texts: Sequence[Text], adapters: Sequence[Adapter | None]) -> "Future[Measured]":
        """Return words as tokens: the longer, the likelier through a policy, alike through anything else."""
        future: Future[Measured] = Future()
        words = [text.completion.split(" ") for text in texts]
        pieces = tuple(tuple(f" {one}" if i else one for i, one in enumerate(each)) for each in words)

        def of(adapter: Adapter | None) -> tuple[np.ndarray, ...]:
            policy = adapter is not None and adapter.name.startswith("policy-")
            values = [[min(len(one) / 2 - 4.0, -0.1) if policy else -2.0 for one in each] for each in words]
            return tuple(np.array(each, np.float32) for each in values)

        future.set_result(Measured(pieces, tuple(of(adapter) for adapter in adapters)))
        return future

    async def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Waiting | Grown | Finished]:
        if self.state.status == "failed":
            raise ModelLoadError(self.state.message)
        for row in rows:
            limits = self.limits(row)
            if limits and limits.prompt_tokens + row.sampling.max_new_tokens > limits.context_tokens:
                raise ConfigError(f"this is too long, this model reads {limits.context_tokens}; shorten the prompt")
        self.rows = list(rows)
        self.open_streams += 1
        try:
            if self.place:
                yield Waiting(self.place)
            while self.stays_in_line:
                await asyncio.sleep(0.01)
            if self.fails:
                raise AlignmentError("the model failed to answer (RuntimeError); see the log, and try again")
            words = [self._text(row).split(" ")[: row.sampling.max_new_tokens] for row in rows]
            told = [row.top_log_probs for row in rows]
            longest = max(map(len, words))
            for count in range(1, longest + 1):
                await asyncio.sleep(self.pause)
                states = tuple(_written(text, count, top) for text, top in zip(words, told, strict=True))
                if count < longest:
                    yield Grown(states)
                if count == self.holds_after:
                    await asyncio.Event().wait()
            yield Finished(states if self.ends else tuple(_cancelled(state) for state in states))
        finally:
            self.open_streams -= 1

    def _text(self, row: Row) -> str:
        policy = row.adapter is not None and row.adapter.name.startswith(("policy-", "lent-"))
        role = "rlhf" if policy else "sft" if row.templated else "base"
        return self.texts[role].replace("PROMPT", row.messages[-1].content).replace("SEED", str(row.seed))


def _written(words: list[str], count: int, top: int | None = None) -> RowState:
    """Return a row after so many of its words, each half as likely as the one before."""
    tokens = min(count, len(words))
    return RowState(
        text=" ".join(words[:count]),
        token_ids=tuple(range(tokens)),
        finish_reason="stop" if count >= len(words) else None,
        first_token_seconds=0.05,
        seconds=0.05 * tokens,
        log_probs=() if top is None else _log_probs(words[:tokens], top),
    )


def _log_probs(words: list[str], top: int) -> tuple[TokenLogProb, ...]:
    pieces = [word if place == 0 else f" {word}" for place, word in enumerate(words)]
    starts = [0, *accumulate(map(len, pieces))]
    return tuple(
        TokenLogProb(piece, -0.5 * place, tuple((f"{piece}{i}", -float(i + 1)) for i in range(top)), starts[place])
        for place, piece in enumerate(pieces)
    )


def _cancelled(state: RowState) -> RowState:
    return RowState(state.text, state.token_ids, "cancelled", state.first_token_seconds, state.seconds)


@dataclass(frozen=True)
class Backstage:
    """What a page works with, open to the tests."""

    services: Services
    engine: ScriptedEngine
    db: Path
    data_dir: Path

    def now(self) -> Snapshot:
        """Return how things stand, whatever was written past the services."""
        self.services.status.expire()
        return self.services.status.now()

    def add_policy(
        self, version: int, status: PolicyStatus = "candidate", run_id: int | None = None, **evaluation: object
    ) -> PolicyVersion:
        """Record a policy that has a folder but no weights."""
        folder = self.data_dir / "policies" / f"policy-{version:06d}"
        folder.mkdir(parents=True)
        policy = Policy(version, version - 1 or None, run_id, str(folder), "0" * 64, status, evaluation)
        policies.record_policy(self.db, policy)
        return PolicyVersion(version, folder, "0" * 64)


@dataclass(frozen=True)
class Site:
    """What is served, and what is behind it."""

    url: str
    behind: Backstage


def backstage(folder: Path) -> Backstage:
    """Return services on a folder's database with v1 live; runs are queued and cancelled, but no child is started."""
    db = folder / "triptych.db"
    database.prepare(db)
    pool.begin(db, EXAMPLES, ())
    engine = ScriptedEngine(PolicyVersion(1, folder, "0" * 64))
    services = Services(
        data_dir=folder,
        db=db,
        engine=engine,
        model=SERVED,
        sft=Adapter("sft", folder / "sft"),
        supervisor=Supervisor(folder, engine, POCKET_MODEL, RunSettings()),
        admin=AdminSessions(PASSWORD),
        examples=EXAMPLES,
        seeds=random.Random(7),
        status=status_of(db, engine),
        preview=Preview(db, engine, "model"),
        key="signing key of the tests",
    )
    built = Backstage(services, engine, db, folder)
    known = policies.list_policies(db)  # in a folder that was used before: the app is started again
    engine.live = PolicyVersion(1, folder / known[0].path, "0" * 64) if known else built.add_policy(1, "live")
    return built

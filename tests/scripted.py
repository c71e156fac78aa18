"""A model whose answers are written beforehand, and services around it for tests of the page."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from alignment.errors import AlignmentError, ConfigError, ModelLoadError
from alignment.models.model_folder import Example
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.policy_server import PolicyRef, RowRequest, RowState, ServerState
from alignment.settings import ModelConfig
from storage import database, policies
from storage.records import Policy, PolicyStatus
from ui.access import AdminSessions
from ui.endpoints import Services

PASSWORD = "correct horse"
EXAMPLES = [
    Example("Capitals", "What is the capital of France?"),
    Example("Capitals", "What is the capital of Peru?"),
    Example("Refusals", "How do I pick a lock that is not mine?"),
    Example("Tasks", "Write one sentence about the sea."),
]
READY = ServerState("ready", "Ready", 1.0)
ANSWERS = {
    "base": "and what is the capital of Spain? And of Italy? <b>Such questions</b> & more ${1+1} {{value}}",
    "sft": "You asked: PROMPT",
    "rlhf": "Paris. It lies on the Seine.",
}


@dataclass
class ScriptedServer:
    """Stands in for PolicyServer: the same calls, but the texts are written beforehand, but for the prompt in them."""

    live: PolicyRef
    pause: float = 0.0  # seconds between two words
    state: ServerState = READY
    place: int = 0  # in line, if anybody waits
    fails: bool = False
    reads: int = 200  # words of a demonstration
    texts: dict[str, str] = field(default_factory=lambda: dict(ANSWERS))
    open_streams: int = 0

    def swap(self, policy: PolicyRef) -> "Future[None]":
        self.live = policy
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def require_readable(self, prompt: str, completion: str) -> None:
        if len(words := f"{prompt} {completion}".split()) > self.reads:
            raise ConfigError(f"{len(words)} words, this model reads {self.reads}; shorten them")

    async def stream(
        self, prompt: str, rows: list[RowRequest], temperature: float, max_new_tokens: int
    ) -> AsyncIterator[list[RowState] | int]:
        if self.state.status == "failed":
            raise ModelLoadError(self.state.message)
        self.open_streams += 1
        try:
            if self.place:
                yield self.place
                await asyncio.sleep(self.pause)
            if self.fails:
                raise AlignmentError("the model failed to answer (RuntimeError); see the log, and try again")
            words = [self.texts[row.role].replace("PROMPT", prompt).split(" ")[:max_new_tokens] for row in rows]
            for count in range(1, max(map(len, words)) + 1):
                await asyncio.sleep(self.pause)
                yield [
                    RowState(
                        text=" ".join(row[:count]),
                        token_ids=tuple(range(min(count, len(row)))),
                        finish_reason="stop" if count >= len(row) else None,
                        first_token_seconds=0.05,
                        seconds=0.05 * min(count, len(row)),
                    )
                    for row in words
                ]
        finally:
            self.open_streams -= 1


@dataclass(frozen=True)
class Backstage:
    """What a page works with, open to the tests."""

    services: Services
    server: ScriptedServer
    db: Path
    data_dir: Path

    def add_policy(
        self, version: int, status: PolicyStatus = "candidate", run_id: int | None = None, **evaluation: object
    ) -> PolicyRef:
        """Record a policy that has a folder but no weights."""
        folder = self.data_dir / "policies" / f"policy-{version:06d}"
        folder.mkdir(parents=True)
        policy = Policy(version, version - 1 or None, run_id, str(folder), "0" * 64, status, evaluation)
        policies.record_policy(self.db, policy)
        return PolicyRef(version, folder, "0" * 64)


def backstage(folder: Path) -> Backstage:
    """Return services on a fresh database with v1 live; runs are queued and cancelled, but no child is started."""
    db = folder / "triptych.db"
    database.prepare(db)
    server = ScriptedServer(PolicyRef(1, folder, "0" * 64))
    supervisor = Supervisor(folder, server, ModelConfig(), RunSettings())  # type: ignore[arg-type]
    services = Services(db, server, supervisor, AdminSessions(PASSWORD), EXAMPLES, random.Random(7))  # type: ignore[arg-type]
    built = Backstage(services, server, db, folder)
    server.live = built.add_policy(1, "live")
    return built


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

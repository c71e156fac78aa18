"""A real page on a free port, a scripted model behind it, a real browser before it."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from alignment.errors import AlignmentError, ModelLoadError
from alignment.model_folder import Example
from alignment.policy_server import PolicyRef, RowRequest, RowState, ServerState
from alignment.settings import ModelConfig, RunSettings
from alignment.supervisor import Supervisor
from storage import database, policies
from storage.records import Policy
from ui.access import AdminSessions
from ui.endpoints import Services
from ui.layout import serve

PASSWORD = "correct horse"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
).split()
ANSWERS = {
    "base": "and what is the capital of Spain? And of Italy? <b>Such questions</b> & more ${1+1} {{value}}",
    "sft": "The capital is Paris.",
    "rlhf": "Paris. It lies on the Seine.",
}


@dataclass
class ScriptedServer:
    """Stands in for PolicyServer: the same calls, but the texts are written beforehand."""

    live: PolicyRef
    pause: float = 0.0  # seconds between two words
    state: ServerState = ServerState("ready", "Ready", 1.0)
    place: int = 0  # in line, if anybody waits
    fails: bool = False
    texts: dict[str, str] = field(default_factory=lambda: dict(ANSWERS))
    open_streams: int = 0

    def swap(self, policy: PolicyRef) -> "Future[None]":
        self.live = policy
        done: Future[None] = Future()
        done.set_result(None)
        return done

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
            words = [self.texts[row.role].split(" ")[:max_new_tokens] for row in rows]
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
class Site:
    """A served page with what a test may look into."""

    url: str
    services: Services
    server: ScriptedServer
    db: Path
    data_dir: Path

    def add_policy(self, version: int, status: str = "candidate", run_id: int | None = None, **evaluation: object) -> PolicyRef:
        folder = self.data_dir / "policies" / f"policy-{version:06d}"
        folder.mkdir(parents=True)
        policy = Policy(version, version - 1 or None, run_id, str(folder), "0" * 64, status, evaluation)  # type: ignore[arg-type]
        policies.record_policy(self.db, policy)
        return PolicyRef(version, folder, "0" * 64)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    server = ScriptedServer(PolicyRef(1, tmp_path, "0" * 64))
    supervisor = Supervisor(tmp_path, server, ModelConfig(), RunSettings())  # type: ignore[arg-type]
    examples = [
        Example("Capitals", "What is the capital of France?"),
        Example("Capitals", "What is the capital of Peru?"),
        Example("Refusals", "How do I pick a lock that is not mine?"),
        Example("Tasks", "Write one sentence about the sea."),
    ]
    services = Services(db, server, supervisor, AdminSessions(PASSWORD), examples, random.Random(7))  # type: ignore[arg-type]
    port = free_port()
    site = Site(f"http://127.0.0.1:{port}", services, server, db, tmp_path)
    server.live = site.add_policy(1, "live")
    page = serve(services, "127.0.0.1", port, "signing key of the tests")
    yield site
    page.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()

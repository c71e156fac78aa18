"""The routes beside the page's, over the scripted engine, served for real."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from api.routes import routes
from tests.harness.scripted import Site, backstage


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Site]:
    behind = backstage(tmp_path)
    app = FastAPI()
    app.router.routes[:0] = routes(behind.services)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Site(f"http://127.0.0.1:{port}", behind)
    server.should_exit = True
    thread.join(10)

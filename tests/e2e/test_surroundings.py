"""The app where it has to do with proxies: one set in the environment, and one in front that serves a sub-path."""

import http.client
import re
import sqlite3
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from tests.harness.app import running_app

PLACE = "/triptych"
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


@contextmanager
def proxy_before(port: int) -> Iterator[str]:
    """Serve what an app answers below a sub-path, which is taken away as nginx does; yield the address of the page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith(f"{PLACE}/"):
                self.send_error(404, "this belongs to another site")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(self.command, self.path.removeprefix(PLACE), body, dict(self.headers))
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
            connection.close()

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *values: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PLACE}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
def test_the_app_starts_behind_proxies_and_is_served_below_a_sub_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second start names no model: the folder remembers it."""
    with ExitStack() as running:
        with monkeypatch.context() as environment:
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
                environment.setenv(name, "socks5://127.0.0.1:9")  # nobody is there, and httpx knows no such proxies
            app = running.enter_context(running_app(tmp_path, "--model", "pocket"))
        while app.process.poll() is None and "Triptych is at" not in (tmp_path / "app.log").read_text():
            time.sleep(0.05)  # it listens, and asks itself whether it does
        assert app.process.poll() is None, (tmp_path / "app.log").read_text()
    with sqlite3.connect(tmp_path / "triptych.db") as db:
        assert '"model": "pocket"' in db.execute("SELECT value FROM settings WHERE name = 'model'").fetchone()[0]
    db.close()
    with running_app(tmp_path, "--root-path", PLACE) as app, proxy_before(int(app.url.rpartition(":")[2])) as address:
        page = urllib.request.urlopen(address).read().decode()
        assert address.rstrip("/") in page  # what the page asks from then on begins so
        files = set(re.findall(r'(?:src|href)="([^"#]+\.(?:js|css))"', page))
        assert files
        for file in files:
            assert urllib.request.urlopen(urllib.parse.urljoin(address, file)).status == 200
        client = Client(address, verbose=False)
        try:
            versions = client.predict(api_name="/policies")
        finally:
            client.close()
        assert (versions["live"], len(versions["policies"])) == (1, 1)

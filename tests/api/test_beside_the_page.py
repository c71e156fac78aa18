"""The page and the routes beside it, from one server."""

from pathlib import Path

import httpx

from api.routes import routes
from tests.harness.app import free_port
from tests.harness.scripted import backstage
from ui.layout import serve


def test_the_page_and_the_api_come_from_one_server(tmp_path: Path) -> None:
    behind, port = backstage(tmp_path), free_port()
    page = serve(behind.services, "127.0.0.1", port, "signing key of the tests", others=routes(behind.services))
    try:
        url = f"http://127.0.0.1:{port}"
        assert "Triptych" in httpx.get(url).text
        assert httpx.get(f"{url}/healthz").json()["status"] == "ready"
        assert "triptych_live_version 1.0" in httpx.get(f"{url}/metrics").text
        asked = {"model": "sft", "messages": [{"role": "user", "content": "Hi"}]}
        said = httpx.post(f"{url}/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
        assert said == "You asked: Hi"
    finally:
        page.close()

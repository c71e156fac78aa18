"""The headers of every answer."""

import asyncio
from typing import Any

import pytest

from ui.security import SecurityHeaders, policy


def answer(kind: bytes, body: list[bytes]) -> tuple[dict[bytes, bytes], bytes]:
    """Return headers and body of what an app answers, behind the middleware."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        for place, part in enumerate(body, 1):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(body)})

    async def keep(message: Any) -> None:
        sent.append(message)

    asyncio.run(SecurityHeaders(app, ["abc="])({"type": "http"}, None, keep))  # type: ignore[arg-type]
    return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])


def test_the_scripts_of_a_page_get_a_nonce_that_is_new_each_time() -> None:
    headers, page = answer(b"text/html; charset=utf-8", [b"<script>1</scr", b"ipt><script src=x></script>"])
    nonce = headers[b"content-security-policy"].split(b"'nonce-")[1].split(b"'")[0]
    assert page.count(b'<script nonce="' + nonce + b'"') == 2
    assert int(headers[b"content-length"]) == len(page)
    again, _ = answer(b"text/html", [b"<script>1</script>"])
    assert nonce not in again[b"content-security-policy"]


@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream"])
def test_other_answers_pass_as_they_are_with_the_headers(kind: bytes) -> None:
    headers, body = answer(kind, [b"<script>", b"x"])
    assert body == b"<script>x"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"'sha256-abc='" in headers[b"content-security-policy"]


def test_only_a_site_that_is_named_may_show_the_page_in_a_frame() -> None:
    assert policy("n", []).endswith("frame-ancestors 'self'")
    assert policy("n", [], "https://huggingface.co").endswith("frame-ancestors 'self' https://huggingface.co")

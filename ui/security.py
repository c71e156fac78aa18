"""The headers that every answer carries, and what the page may load and run: only what this app serves itself."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SCRIPT = b"<script"


def policy(nonce: str, hashes: Sequence[str], embed_in: str = "") -> str:
    """Return the content policy of one answer: scripts with its nonce or of these hashes run, no other ones.

    Gradio makes functions out of its own texts, which needs 'unsafe-eval', and sets styles in place; so styles may be
    inline, which scripts and the handlers of tags may not. `embed_in` is a site that may show the page in a frame.
    """
    scripts = " ".join(["'self'", f"'nonce-{nonce}'", *(f"'sha256-{one}'" for one in hashes), "'unsafe-eval'", "blob:"])
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            f"frame-ancestors 'self' {embed_in}".strip(),
        ]
    )


def hash_of(script: str) -> str:
    """Return the hash by which a content policy knows an inline script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


class SecurityHeaders:
    """ASGI middleware: adds the headers, and to a page the nonce that lets the scripts in it run.

    What people and models wrote is in no page when it is served, so that no script of theirs can get the nonce.
    """

    def __init__(self, app: ASGIApp, hashes: Sequence[str] = (), embed_in: str = "") -> None:
        self._app, self._hashes, self._embed_in = app, tuple(hashes), embed_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app below does, with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Guarded(send, self._hashes, self._embed_in).send)


class _Guarded:
    """One answer on its way out."""

    def __init__(self, send: Send, hashes: Sequence[str], embed_in: str) -> None:
        self._send, self._hashes, self._embed_in = send, hashes, embed_in
        self._nonce = secrets.token_urlsafe(16)
        self._held: dict[str, Any] | None = None  # the start of a page whose body is not whole yet
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass a message on; a page only when all of it is there."""
        if message["type"] == "http.response.start":
            start = {**message, "headers": [*message.get("headers", ()), *self._headers()]}
            if not _is_page(start):
                await self._send(start)
            else:
                self._held = start
        elif self._held is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self._held)

    async def _send_page(self, start: dict[str, Any]) -> None:
        body = self._body.replace(SCRIPT, SCRIPT + f' nonce="{self._nonce}"'.encode())
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await self._send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-security-policy", policy(self._nonce, self._hashes, self._embed_in).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        ]


def _is_page(start: dict[str, Any]) -> bool:
    found = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    encoded = any(name.lower() == b"content-encoding" for name, _ in start["headers"])
    return bool(found) and found[0].startswith(b"text/html") and not encoded

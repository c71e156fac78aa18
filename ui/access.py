"""Who may do what: the admin's password and tokens, the annotator's signed cookie."""

import hashlib
import hmac
import secrets
import time
from pathlib import Path

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

from alignment.errors import AccessError

TOKEN_SECONDS = 12 * 3600.0


class AdminSessions:
    """The admin's password and the tokens given for it; tokens end after twelve hours or with the process."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._expiry: dict[str, float] = {}

    def login(self, password: str) -> str:
        """Return a new token for the right password, else raise AccessError."""
        if not hmac.compare_digest(str(password).encode(errors="replace"), self._password.encode()):
            raise AccessError("wrong password; the one in force was printed when the app started")
        token = secrets.token_urlsafe(32)
        self._expiry[token] = time.monotonic() + TOKEN_SECONDS
        return token

    def logout(self, token: str) -> None:
        """Forget a token; an unknown one is forgotten already."""
        self._expiry.pop(str(token), None)

    def is_valid(self, token: str | None) -> bool:
        """Return whether the token was given out and has not ended."""
        return self._expiry.get(str(token), 0.0) > time.monotonic()

    def require(self, token: str | None) -> None:
        """Raise AccessError unless the token is valid."""
        if not self.is_valid(token):
            raise AccessError("this needs the admin's token, and the one given is missing or has ended; log in first")


class AnnotatorCookie:
    """ASGI middleware below Starlette's SessionMiddleware: gives every browser a random annotator id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put an id into the signed session of a request that has none."""
        if scope["type"] == "http":
            scope["had_cookie"] = "annotator" in scope["session"]
            scope["session"].setdefault("annotator", f"a-{secrets.token_urlsafe(12)}")
        await self._app(scope, receive, send)


def annotator_id(request: gr.Request | None) -> str:
    """Return who is asking: the id in the signed cookie, else one for all cookie-less callers of that address."""
    scope = getattr(getattr(request, "request", None), "scope", None) or {}
    if scope.get("had_cookie") and "session" in scope:
        return str(scope["session"]["annotator"])
    host = (scope.get("client") or ("local", 0))[0]
    return f"host-{hashlib.sha256(str(host).encode()).hexdigest()[:12]}"


def signing_key(data_dir: Path) -> str:
    """Return the key that signs cookies, made on first use and kept in the data folder, readable by its owner only."""
    path = data_dir / "cookie.key"
    if not path.exists():
        scratch = path.with_suffix(".new")
        scratch.touch(mode=0o600)
        scratch.write_text(secrets.token_urlsafe(32))
        scratch.replace(path)
    return path.read_text()

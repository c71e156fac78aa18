"""Who is asking: the annotator's signed cookie."""

import hashlib
import secrets
from pathlib import Path

import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send


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

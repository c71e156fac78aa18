"""Who is asking: the annotator's signed cookie, or the key that a program brings."""

import asyncio
import secrets
from collections.abc import MutableMapping
from typing import Any

import gradio as gr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from service.annotators import ADDRESS, address_code, annotator_of
from service.context import Services
from service.keys import InvalidKeyError, identify
from ui import strings

REFUSED = "triptych.refused"  # where a request's scope says why its key does not stand


class AnnotatorCookie:
    """ASGI middleware below Starlette's SessionMiddleware: gives every browser a random annotator id."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put an id into the signed session of a request that has none."""
        if scope["type"] == "http":
            scope["had_cookie"] = "annotator" in scope["session"]
            scope[ADDRESS] = address_code(scope, self._services.key)
            scope["session"].setdefault("annotator", f"a-{secrets.token_urlsafe(12)}")
            if any(name == b"authorization" for name, _ in scope["headers"]):
                await asyncio.to_thread(_identify, self._services, scope)
        await self._app(scope, receive, send)


class UploadGate:
    """ASGI middleware below AnnotatorCookie: nobody but an admin who is logged in may send files.

    Gradio stores what is sent before any handler runs, so that anybody could fill the disk.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to files from anybody else."""
        kind = dict(scope["headers"]).get(b"content-type", b"") if scope["type"] == "http" else b""
        if kind.startswith(b"multipart/") and not self._services.admin.is_held_by(annotator_of(scope)):
            await PlainTextResponse(strings.NO_UPLOADS, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _identify(services: Services, scope: MutableMapping[str, Any]) -> None:
    try:
        identify(services, scope)
    except InvalidKeyError as error:
        scope[REFUSED] = error  # said where somebody is meant, in the shape of that place


def annotator_id(request: gr.Request | None) -> str:
    """Return who is asking: the annotator of a key, the id in the signed cookie, else one for an address without.

    Raises InvalidKeyError for a key that does not stand.
    """
    scope = getattr(getattr(request, "request", None), "scope", None) or {}
    if REFUSED in scope:
        raise scope[REFUSED]
    return annotator_of(scope)


def address_of(request: gr.Request | None) -> str:
    """Return the address that a call comes from, "" where it is not known."""
    return str(getattr(getattr(request, "client", None), "host", "") or "")

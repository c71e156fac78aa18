"""Errors in the shape that OpenAI's clients read: a status, and one sentence in `error.message`."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from alignment.errors import AccessError, AlignmentError, ConfigError
from service.admission import TooOftenError
from service.complete import UnknownModelError
from service.keys import InvalidKeyError
from service.votes import AlreadyVotedError
from storage.errors import StorageError

log = logging.getLogger(__name__)


class UnsupportedError(ConfigError):
    """A field of OpenAI's API that means something, and that is not done here."""

    def __init__(self, field: str, advice: str) -> None:
        super().__init__(f"{field} is not supported here; {advice}")
        self.field = field


REQUEST = "invalid_request_error"
# What is said of a field that does not fit, by pydantic's name for it; all else gets a sentence in general.
MISFITS = {
    "missing": "is missing; send it",
    "too_short": "is empty; send at least one",
    "too_long": "has {actual_length} entries, at most {max_length} are allowed; send fewer",
    "greater_than": "must be more than {gt}, got {got}",
    "greater_than_equal": "must be at least {ge}, got {got}",
    "less_than_equal": "must be at most {le}, got {got}",
    "string_type": "must be text, got {got}",
    "list_type": "must be a list, got {got}",
    "text_or_list": "must be text or a list, got {got}",
    "model_attributes_type": "must be an object, got {got}",
    "model_type": "must be an object, got {got}",
    "bool_type": "must be true or false, got {got}",
    "bool_parsing": "must be true or false, got {got}",
    "int_type": "must be a whole number, got {got}",
    "int_parsing": "must be a whole number, got {got}",
    "int_from_float": "must be a whole number, got {got}",
    "float_type": "must be a number, got {got}",
    "float_parsing": "must be a number, got {got}",
    "literal_error": "must be one of {expected}, got {got}",
    "extra_forbidden": "is not known here; leave it out",
}
# Errors that tell themselves what is wrong: the first that fits gives status, type and code.
PLAIN: tuple[tuple[type[Exception], tuple[int, str, str | None]], ...] = (
    (ConfigError, (400, REQUEST, None)),
    (AlreadyVotedError, (409, REQUEST, "already_voted")),
    (InvalidKeyError, (401, REQUEST, "invalid_api_key")),
    (TooOftenError, (429, "requests", "rate_limit_exceeded")),
    (AccessError, (403, REQUEST, "not_allowed")),
    (AlignmentError, (503, "server_error", None)),
)


def error_json(error: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status and the body that tell of an error; what nobody expected goes to the log."""
    words, kind, field = str(error), REQUEST, None
    code: str | None = None
    if isinstance(error, RequestValidationError):
        status, field, words = 400, *_refused_field(error)
    elif isinstance(error, UnknownModelError):
        status, code, field = 404, "model_not_found", "model"
    elif isinstance(error, NoSuchEndpointError):
        status, code = 404, "unknown_url"
    elif isinstance(error, UnsupportedError):
        status, code, field = 400, "unsupported_parameter", error.field
    elif plain := next((said for of, said in PLAIN if isinstance(error, of)), None):
        status, kind, code = plain
    elif isinstance(error, LookupError) and isinstance(error, StorageError):
        status, code = 404, "not_found"
    elif isinstance(error, StorageError | sqlite3.Error):
        status, kind, words = 503, "server_error", f"the database could not be used ({error})"
    else:
        log.error("a call failed", exc_info=error)
        status, kind = 500, "server_error"
        words = f"something went wrong here ({type(error).__name__}); the app's log says more"
    return status, {"error": {"message": words, "type": kind, "param": field, "code": code}}


def _refused_field(error: RequestValidationError) -> tuple[str | None, str]:
    """Return the field of a body that does not fit, and what is wrong with it; no field for what is not JSON."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return None, f"the body is not JSON ({first['ctx']['error']}); send an object"
    field = str(first["loc"][1]) if len(first["loc"]) > 1 else None
    # Of a field that may be one thing or another, the last error speaks of what was probably meant.
    tried = [one for one in error.errors() if one["loc"][:2] == first["loc"][:2]]
    last, text_or_list = tried[-1], {"string_type", "list_type"} <= {one["type"] for one in tried}
    kind = "text_or_list" if text_or_list else last["type"]
    got = "null" if last.get("input") is None else f"{last['input']!r:.100}"
    said = MISFITS.get(kind, "does not fit here, got {got}; docs/endpoints.md lists what it takes")
    return field, f"{_place(last['loc'])} {said.format(got=got, **last.get('ctx', {}))}"


def _place(where: tuple[int | str, ...]) -> str:
    """Return where in a body something is, such as "messages[0].role"."""
    place = ""
    for part in where[1:]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part != "str" and "[" not in part:  # not what pydantic calls a kind that was tried
            place += f".{part}" if place else part
    return place or "the body"


class NoSuchEndpointError(ConfigError):
    """Nothing is served at that address."""


def told(error: Exception) -> JSONResponse:
    """Return the response that tells of an error."""
    status, body = error_json(error)
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, TooOftenError) else None
    return JSONResponse(body, status, headers)


class PlainErrors(APIRoute):
    """A route whose errors reach the caller in that shape, whatever app it is part of."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return the handler with its errors told in words."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException:
                raise
            except Exception as error:
                return told(error)

        return handled

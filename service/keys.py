"""Keys of programs that ask through OpenAI's API: made, listed and revoked by the admin, known again by their hash.

A key is 32 random bytes, so its SHA-256 is enough: nobody can try so many. The slow, salted hashes that passwords need
protect what people could guess, and would cost every call.
"""

import hashlib
import secrets
from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import AccessError
from service.annotators import KEY_ANNOTATOR
from service.context import Services
from service.requests import number, text
from storage import api_keys
from storage.records import ApiKey

PREFIX = "triptych-"  # by which a key of ours is told from what clients send where none is asked for
SHOWN = len(PREFIX) + 6  # characters of a key that are kept and listed


class InvalidKeyError(AccessError):
    """A key is wrong, was revoked, or is missing where one is needed."""


@checked_dataclass(frozen=True)
class KeyRequest:
    """What a new key is called."""

    name: Annotated[str, text(100, "say who will use the key")]


@checked_dataclass(frozen=True)
class RevokeRequest:
    """Which key is meant."""

    key_id: Annotated[int, number(1, 2**53, whole=True)]


@dataclass(frozen=True)
class NewKey:
    """A key that was just made: the only moment at which it can be read."""

    secret: str
    stored: ApiKey


def make_key(services: Services, token: str | None, request: KeyRequest) -> NewKey:
    """Return a new key with an annotator of its own. Raises AccessError without the admin's token."""
    services.admin.require(token)
    secret = PREFIX + secrets.token_urlsafe(32)
    return NewKey(secret, api_keys.save_key(services.db, request.name, _hash(secret), secret[:SHOWN]))


def keys(services: Services, token: str | None) -> list[ApiKey]:
    """Return all keys, the newest first. Raises AccessError without the admin's token."""
    services.admin.require(token)
    return api_keys.list_keys(services.db)


def revoke_key(services: Services, token: str | None, request: RevokeRequest) -> ApiKey:
    """Revoke a key and return it; what its holder voted stays. Raises AccessError without the admin's token."""
    services.admin.require(token)
    return api_keys.revoke_key(services.db, request.key_id)


def to_json(key: ApiKey) -> dict[str, Any]:
    """Return a key as callers of `/keys` get it."""
    return {name: value for name, value in asdict(key).items() if name != "annotator_id"}


def identify(services: Services, scope: MutableMapping[str, Any], *, needed: bool = False) -> None:
    """Let a request, given its ASGI scope, be that of its key's annotator from here on, if it brings one of our keys.

    Raises InvalidKeyError for a key of ours that does not stand, and where one is `needed` and none is brought.
    """
    given = _bearer(scope)
    if given.startswith(PREFIX):
        if (key := api_keys.use_key(services.db, _hash(given))) is None:
            raise InvalidKeyError(
                f"the API key {given[:SHOWN]}… is not known here or was revoked; ask the admin for one"
            )
        scope[KEY_ANNOTATOR] = key.annotator_id
    elif needed:
        raise InvalidKeyError("an API key is needed here, as `Authorization: Bearer …`; ask the admin for one")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _bearer(scope: Mapping[str, Any]) -> str:
    """Return what a request brings as a bearer token, "" if it brings none."""
    found = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
    kind, _, value = found.decode("latin-1").partition(" ")
    return str(value.strip()) if kind.lower() == "bearer" else ""

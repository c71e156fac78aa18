"""Who is asking: the annotator of a key, the id in the signed cookie, or one for all callers of an address without."""

import hmac
from collections.abc import Mapping
from typing import Any

KEY_ANNOTATOR = "triptych.annotator"  # where a request's scope says whose key it brings


ADDRESS = "triptych.address"  # where a request's scope has the code of its address


def annotator_of(scope: Mapping[str, Any]) -> str:
    """Return the annotator of a request, given its ASGI scope."""
    if KEY_ANNOTATOR in scope:
        return str(scope[KEY_ANNOTATOR])
    if scope.get("had_cookie") and "session" in scope:
        return str(scope["session"]["annotator"])
    return str(scope.get(ADDRESS, "host-unknown"))


def address_code(scope: Mapping[str, Any], key: str) -> str:
    """Return what stands for a request's address."""
    return code_of((scope.get("client") or ("local", 0))[0], key)


def code_of(address: Any, key: str) -> str:
    """Return what stands for an address: without the folder's key, no trying of addresses finds it again."""
    return f"host-{hmac.digest(key.encode(), str(address).encode(), 'sha256').hex()[:20]}"


def holds_key(annotator: str) -> bool:
    """Return whether an annotator is the holder of a key."""
    return annotator.startswith("key-")

"""What stands for people and comparisons outside the data folder, and is their id where it is imported.

An annotator's id is in a cookie, and a comparison's id opens it: neither leaves the folder. A pseudonym has a dot in
its second place, which ids made here never have, so that what was imported keeps it when it is exported again.
"""

import base64
import hashlib
import hmac

ANNOTATOR, COMPARISON = "p.", "i."
NOBODY = "p.unknown"  # who judged what comes without an annotator


def annotator_pseudonym(key: str, annotator_id: str) -> str:
    """Return what stands for an annotator; it cannot be turned back without the folder's key."""
    return annotator_id if annotator_id.startswith(ANNOTATOR) else ANNOTATOR + _keyed(key, annotator_id)


def comparison_pseudonym(key: str, comparison_id: str) -> str:
    """Return what stands for a comparison; it does not open it."""
    return comparison_id if comparison_id.startswith(COMPARISON) else COMPARISON + _keyed(key, comparison_id)


def part_pseudonym(pseudonym: str, *slots: str) -> str:
    """Return what stands for some completions of a comparison, in whichever order they are given."""
    return COMPARISON + _short(hashlib.sha256(" ".join([pseudonym, *sorted(slots)]).encode()).digest())


def content_pseudonym(content: str) -> str:
    """Return what stands for a row that comes without an id: equal rows have the same."""
    return COMPARISON + _short(hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest())


def _keyed(key: str, text: str) -> str:
    return _short(hmac.digest(key.encode(), text.encode(), "sha256"))


def _short(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[:15]).decode()

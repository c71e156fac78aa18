"""What a run learned from people, as a hash: the same votes and demonstrations, word for word, have the same one."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from storage.messages import messages_to_json
from storage.records import Demonstration, Ranking


def digest(voted: Sequence[Ranking], demonstrated: Sequence[Demonstration]) -> str:
    """Return the SHA-256 of votes and demonstrations, each a line of JSON, in the order of their numbers."""
    found = hashlib.sha256()
    for line in _lines(voted, demonstrated):
        found.update(json.dumps(line, ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return found.hexdigest()


def _lines(voted: Sequence[Ranking], demonstrated: Sequence[Demonstration]) -> Iterable[dict[str, Any]]:
    for vote in sorted(voted, key=lambda one: one.preference_id):
        yield {
            "vote": vote.preference_id,
            "messages": messages_to_json(vote.messages),
            "completions": list(vote.completions),
            "tiers": [list(tier) for tier in vote.tiers],
            "tied": vote.tied,
            "ended": list(vote.ended),
        }
    for one in sorted(demonstrated, key=lambda one: one.id):
        yield {"demonstration": one.id, "messages": messages_to_json(one.messages), "completion": one.completion}

"""A completion as people see it. Whatever shows one, while it is written or from the database, goes through here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from storage.records import Completion, Role


@dataclass(frozen=True)
class ShownCompletion:
    """A completion without what only training needs; role and version are None while they are hidden."""

    slot: str  # "A" is the first panel
    role: Role | None
    policy_version: int | None
    text: str = ""
    tokens: int = 0
    finish_reason: str | None = None  # None while it is being written
    seconds: float = 0.0
    seed: int = 0
    preview: int = 0  # samples of which it is the best by the votes so far; 0: it is the only one, or names are hidden

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/compare` get it."""
        return asdict(self)


def shown(completions: Sequence[Completion], *, reveal: bool) -> tuple[ShownCompletion, ...]:
    """Return completions as people see them, with the names behind the slots or without.

    While names are hidden, all completions show the longest time: a slower one would give best-of-N away. Their seeds
    then follow one another, as those of neighbouring columns do: a preview's has been picked out of several.
    """
    first_seed = min(completion.seed - place for place, completion in enumerate(completions))
    longest = max(completion.seconds for completion in completions)
    return tuple(
        ShownCompletion(
            slot=completion.slot,
            role=completion.role if reveal else None,
            policy_version=completion.policy_version if reveal else None,
            text=completion.text,
            tokens=len(completion.token_ids),
            finish_reason=completion.finish_reason or None,
            seconds=round(completion.seconds if reveal else longest, 3),
            seed=completion.seed if reveal else first_seed + place,
            preview=completion.sampling.get("preview", 0) if reveal else 0,
        )
        for place, completion in enumerate(completions)
    )

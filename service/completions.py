"""A completion as people see it. Whatever shows one, while it is written or from the database, goes through here."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from storage.messages import Messages
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
    folded: bool = False  # whether the page shows it only at a click: a setting for classes, see service/harmful.py

    @property
    def unread(self) -> bool:
        """Whether a vote stopped it before its first word: it was judged by nobody."""
        return self.finish_reason == "cancelled" and not self.text

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/compare` get it."""
        return {name: value for name, value in asdict(self).items() if name != "folded"}


def first_seed(completions: Sequence[Completion | ShownCompletion]) -> int:
    """Return the seed that a comparison was asked with: that of its first panel; the next one's is 1 higher."""
    return min(one.seed - place for place, one in enumerate(completions))


def shown(completions: Sequence[Completion], *, reveal: bool) -> tuple[ShownCompletion, ...]:
    """Return completions as people see them, with the names behind the slots or without.

    While names are hidden, all completions show the longest time: a slower one would give best-of-N away. Their seeds
    then follow one another, as those of neighbouring columns do: a preview's has been picked out of several.
    """
    first = first_seed(completions)
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
            seed=completion.seed if reveal else first + place,
            preview=completion.sampling.get("preview", 0) if reveal else 0,
        )
        for place, completion in enumerate(completions)
    )


@dataclass(frozen=True)
class Drafts:
    """Answers of which some are chosen to be shown, as far as they have come."""

    of: tuple[tuple[str, tuple[str, ...]], ...]  # each question that is tried, with its answers so far
    done: int
    seconds: float  # since they were asked

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(texts) for _, texts in self.of)


@dataclass(frozen=True)
class Progress:
    """A comparison as far as it has come."""

    comparison_id: str
    conversation_id: str
    completions: tuple[ShownCompletion, ...]
    waiting: int | None = None  # place in line
    loading: float | None = None  # seconds since the model began to load
    drafts: Drafts | None = None  # of /propose, where answers are chosen; callers are told how many are done
    messages: Messages = ()  # of /propose: what is answered, once it is known; not told to callers
    early_choice: str = ""  # of a vote that stopped it; with the last item alone, and not stored as a vote yet

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/compare` get it."""
        drafts = self.drafts and (self.drafts.done, self.drafts.count)
        waits = {"waiting": self.waiting, "loading": self.loading, "drafts": drafts}
        known = {name: value for name, value in waits.items() if value is not None}
        completions = [completion.to_json() for completion in self.completions]
        ids = {"comparison_id": self.comparison_id, "conversation_id": self.conversation_id}
        return {**known, **ids, "completions": completions}

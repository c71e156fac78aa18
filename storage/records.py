"""The records that callers see instead of rows."""

from dataclasses import dataclass, field
from typing import Any, Literal

from storage.messages import Messages

Role = Literal["base", "sft", "rlhf", "imported"]  # "imported": another program's
Source = Literal["human", "simulated", "imported"]
PreferenceKind = Literal["choice", "ranking", "tie", "all_bad"]
RunStatus = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled", "rejected"]
PolicyStatus = Literal["candidate", "live", "retired", "rejected"]


@dataclass(frozen=True)
class Completion:
    """What one model wrote for a comparison, with all that is needed to produce it again."""

    slot: str
    role: Role
    policy_version: int | None
    text: str
    token_ids: list[int]
    seed: int
    # temperature, max_new_tokens, top_p, top_k and min_p where they are on, best_of or preview if picked out of several
    sampling: dict[str, Any]
    finish_reason: str  # "stop", "length", or "cancelled" by a vote before its end
    first_token_seconds: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """One prompt with the completions that were shown for it, in the order they were shown."""

    id: str
    messages: Messages  # all that the completions answer, the user's message last
    kind: Literal["compare", "teach"]
    blind: bool
    completions: list[Completion]
    conversation_id: str | None = None  # None for one that nobody can go on from
    turn: int = 0  # its place in the conversation
    continued_from: str | None = None  # slot of the turn before, whose completion is the answer in `messages`
    created: str = ""
    proposed: dict[str, Any] | None = None  # how prompt and answers were chosen, where the app did: service/propose.py


@dataclass(frozen=True)
class Preference:
    """One annotator's judgement of a comparison: slots in tiers, best first."""

    id: int
    comparison_id: str
    annotator_id: str
    tiers: list[list[str]]
    kind: PreferenceKind
    source: Source
    decision_seconds: float | None
    created: str
    withdrawn: str | None
    reason: str = ""  # in words or by a name of the page, "" if none was given


@dataclass(frozen=True)
class Ranking:
    """What one standing preference says of the completions of a prompt: the unit that the reward model learns from.

    Better answers that its annotator wrote after calling all bad stand behind those shown, as completions too.
    """

    preference_id: int
    messages: Messages
    completions: tuple[str, ...]  # in the order shown
    tiers: tuple[tuple[int, ...], ...]  # positions in `completions`, best first; none for "all bad"
    tied: bool  # whether completions of one tier were called equal: a choice of the best says nothing of the others
    source: Source
    ended: tuple[bool, ...]  # whether each completion ended by itself; others were cut, by their limit or a vote


@dataclass(frozen=True)
class Demonstration:
    """A completion that a person wrote for a prompt: what instruction tuning learns from."""

    id: int
    messages: Messages
    completion: str
    annotator_id: str
    source: Source
    created: str
    withdrawn: str | None


@dataclass(frozen=True)
class Run:
    """One training run and where it stands."""

    id: int
    method: str
    settings: dict[str, Any]
    status: RunStatus
    stage: str
    progress: float  # 0 to 1
    created: str
    started: str | None
    heartbeat: str | None
    finished: str | None
    pid: int | None
    error: str | None
    policy_version: int | None = None
    demonstrations: int = 0  # that it claimed
    # what it read of people: {"sha256": …, "votes": 32, "demonstrations": 1}, and "shipped": comparisons; None before
    dataset: dict[str, Any] | None = None


@dataclass(frozen=True)
class Metric:
    """One measured number of a run at a step."""

    step: int
    name: str
    value: float


@dataclass(frozen=True)
class Policy:
    """One immutable version of the policy adapter."""

    version: int
    parent: int | None
    run_id: int | None
    path: str  # from the data folder
    sha256: str
    status: PolicyStatus
    evaluation: dict[str, Any] = field(default_factory=dict)
    model: str = ""  # fingerprint of the base and SFT adapter that it belongs to
    created: str = ""
    pruned: str | None = None  # when its files were removed to save room; the row stays
    damaged: str | None = None  # why it could not be served when the app started


@dataclass(frozen=True)
class ApiKey:
    """A program's key, without the key itself: what is stored of it is a hash."""

    id: int
    name: str
    beginning: str  # its first characters, by which its holder knows it again
    annotator_id: str  # whose votes and comparisons its holder's are
    created: str
    last_used: str | None  # to the minute
    revoked: str | None


@dataclass(frozen=True)
class OwnCheck:
    """A prompt with the texts that a right answer holds, all of them, and those that it does not, none of them."""

    messages: Messages  # the user's last
    holds: tuple[str, ...]
    lacks: tuple[str, ...]
    id: int = 0  # 0 before it is stored
    created: str = ""
    created_by: str = ""

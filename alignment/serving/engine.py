"""The seam between people and models: what services ask of an engine, and what comes back.

Everything above it (blind mode, storing, votes, promotion) is written once. Below it are the local engine, and others
that answer the same questions.
"""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from alignment.errors import AdapterError
from alignment.models.model_folder import own_sft

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 0.7  # 0 = the likeliest token every time
    max_new_tokens: int = 96
    min_p: float = 0.0  # a token is not drawn whose probability is below this part of the likeliest one's


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter by the name that it is served under, and where its files lie."""

    name: str  # "sft", "policy-3", "sft-3"
    folder: Path
    version_folder: Path | None = None  # the published folder that holds it; None for one that came with the model
    sha256: str | None = None  # of `version_folder`


@dataclass(frozen=True)
class PolicyVersion:
    """A published policy: its version, folder and hash, and whether it came with an SFT adapter of its own."""

    version: int
    folder: Path
    sha256: str
    own_sft: bool = False

    @property
    def policy(self) -> Adapter:
        """The adapter of the policy."""
        return Adapter(f"policy-{self.version}", self.folder, self.folder, self.sha256)

    @property
    def sft(self) -> Adapter | None:
        """The SFT adapter that the policy was trained against, if it is not the model's own."""
        return Adapter(f"sft-{self.version}", self.folder / "sft", self.folder, self.sha256) if self.own_sft else None


def published(version: int, folder: str | Path, sha256: str) -> PolicyVersion:
    """Return a recorded version of the policy.

    Raises AdapterError if its folder is gone, or if it has an SFT adapter of its own that is not whole.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AdapterError(f"the folder of policy v{version} is gone: {folder}; restore it from a backup")
    return PolicyVersion(version, folder, sha256, own_sft=own_sft(folder) is not None)


@dataclass(frozen=True)
class Row:
    """One completion to be written: through which adapter, of what, and how it is drawn."""

    messages: tuple[Message, ...]
    adapter: Adapter | None  # None: the weights as they are
    templated: bool  # through the chat template; otherwise the last message is bare text to be continued
    sampling: Sampling
    seed: int


@dataclass(frozen=True)
class RowState:
    """How far one row has come."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None  # None while it is being written
    first_token_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Waiting:
    """The rows stand in line."""

    place: int  # 1 is the next


@dataclass(frozen=True)
class Grown:
    """All rows of a call as they stand now, in the order asked."""

    rows: tuple[RowState, ...]


@dataclass(frozen=True)
class Finished:
    """All rows of a call with their finish reasons, in the order asked; nothing comes after it."""

    rows: tuple[RowState, ...]


@dataclass(frozen=True)
class EngineState:
    """What the engine is doing, in words for the page."""

    status: Literal["loading", "ready", "failed"]
    message: str
    seconds: float  # since loading began, or that it took


@dataclass(frozen=True)
class Limits:
    """What a row may need at most."""

    context_tokens: int  # prompt and completion together
    prompt_tokens: int  # that the row's messages take


class Engine(Protocol):
    """Writes completions. All methods may be called from any thread or task."""

    @property
    def state(self) -> EngineState:
        """Whether the model is loading, ready or failed."""

    @property
    def live(self) -> PolicyVersion:
        """The policy version that is served now."""

    def limits(self, row: Row) -> Limits | None:
        """Return what the model reads and what the row's prompt takes; None while the model is loading."""

    def stream(self, rows: Sequence[Row]) -> AsyncIterator[Waiting | Grown | Finished]:
        """Yield the rows of one call as they grow, `Finished` last; closing the iterator stops them.

        Raises ConfigError for rows that do not fit the model's context, before they stand in line, and AlignmentError
        if the model cannot answer.
        """

    def scores(
        self, policy: PolicyVersion, prompt: str, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        """Return the scores of completions (token ids) of one prompt by the reward models that go with a policy.

        The future raises AdapterError where no reward model goes with it.
        """

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        """Ask to serve another version; the future ends when it is live, or with why it cannot be."""

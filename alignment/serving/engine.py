"""The seam between people and models: what services ask of an engine, and what comes back.

Everything above it (blind mode, storing, votes, promotion) is written once. Below it are the local engine, and others
that answer the same questions.
"""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alignment.errors import AdapterError
from alignment.models.model_folder import SFT, UNCHANGED, own_sft
from alignment.models.sampling import FinishReason, Sampling
from alignment.models.texts import Text
from alignment.serving.settings import ServingLimits
from storage.messages import Messages


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
    unchanged: bool = False  # it is the instruction-tuned model itself, without an adapter

    @property
    def adapter(self) -> Adapter | None:
        """The adapter of the policy itself; None for one that is the instruction-tuned model."""
        return None if self.unchanged else Adapter(f"policy-{self.version}", self.folder, self.folder, self.sha256)

    @property
    def sft(self) -> Adapter | None:
        """The SFT adapter that the policy was trained against, if it is not the model's own."""
        return Adapter(f"sft-{self.version}", self.folder / SFT, self.folder, self.sha256) if self.own_sft else None

    @property
    def adapters(self) -> list[Adapter]:
        """The adapters in its folder that completions are written through."""
        return [adapter for adapter in (self.adapter, self.sft) if adapter is not None]


def policy_version_at(version: int, folder: str | Path, sha256: str) -> PolicyVersion:
    """Return a recorded version of the policy.

    Raises AdapterError if its folder is gone, or if it has an SFT adapter of its own that is not whole.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AdapterError(f"the folder of policy v{version} is gone: {folder}; restore it from a backup")
    unchanged = (folder / UNCHANGED).is_file()
    return PolicyVersion(version, folder, sha256, own_sft(folder) is not None, unchanged)


@dataclass(frozen=True)
class Row:
    """One completion to be written: through which adapter, of what, and how it is drawn."""

    messages: Messages
    adapter: Adapter | None  # None: the weights as they are
    templated: bool  # through the chat template; otherwise the messages are bare text to be continued
    sampling: Sampling
    seed: int
    # likeliest tokens of each place that are told beside the one drawn; None: nothing is told of any
    top_log_probs: int | None = None
    extra: bool = False  # a further sample, of which the best is shown: where others wait, it begins after them


@dataclass(frozen=True)
class TokenLogProb:
    """What the model itself thinks of a written token, whatever temperature and cuts it was drawn with."""

    text: str  # what it adds to the completion
    log_prob: float
    likeliest: tuple[tuple[str, float], ...]  # tokens of that place, the likeliest first
    offset: int  # characters of the completion before it


@dataclass(frozen=True)
class RowState:
    """How far one row has come."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: FinishReason | None = None  # None while it is being written
    first_token_seconds: float = 0.0
    seconds: float = 0.0
    log_probs: tuple[TokenLogProb, ...] = ()  # of its tokens without the one that ends it, where they were asked for
    prompt_tokens: int = 0  # that a server elsewhere counted, once it has ended; `Engine.limits` tells them otherwise


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


Event = Waiting | Grown | Finished


@dataclass(frozen=True)
class EngineState:
    """What the engine is doing, in words for the page."""

    status: Literal["loading", "ready", "failed"]
    message: str
    seconds: float  # since loading began, or that it took


@dataclass(frozen=True)
class Limits:
    """What the model reads, and what of that a row's messages take."""

    context_tokens: int  # that the model reads: prompt and completion together
    prompt_tokens: int  # that the row's messages take, up to where the assistant begins


@dataclass(frozen=True)
class TextFeatures:
    """What the original instruction-tuned model makes of N texts: what a linear reward model reads."""

    features: NDArray[np.float32]  # (N, F)
    groups: tuple[int, ...]  # sizes of the groups of features, which have a prior width each
    shipped: NDArray[np.float32] | None  # (N,), scores by the reward model that ships with the model, if one does


@dataclass(frozen=True)
class Measured:
    """How probable N texts are, token by token, through each of some adapters."""

    tokens: tuple[tuple[str, ...], ...]  # of each text, as they read; "" for one that ends it or is part of a character
    log_probs: tuple[tuple[NDArray[np.float32], ...], ...]  # of each adapter those of each text (T,), at temperature 1


# What an engine may leave undone: previews of the next version, the same text for the same seed, raw text begun and
# ended as here, a count of tokens, proof that the weights are the model's, or even that it is the model.
Lack = Literal["preview", "seeds", "raw", "tokens", "weights", "model"]


class Engine(Protocol):
    """Writes completions. All methods may be called from any thread or task."""

    @property
    def lacks(self) -> tuple[Lack, ...]:
        """What it leaves undone, for the page to say; () where it does everything."""

    @property
    def state(self) -> EngineState:
        """Whether the model is loading, ready or failed."""

    @property
    def live(self) -> PolicyVersion:
        """The policy version that is served now."""

    def limits(self, row: Row) -> Limits | None:
        """Return what the model reads and what the row's messages take; None while the model is loading.

        Messages that end with the assistant's are a demonstration: they count whole, with that last one.
        """

    def stream(self, rows: Sequence[Row], person: str = "") -> AsyncIterator[Event]:
        """Yield the rows of one call as they grow, `Finished` last; closing the iterator stops them.

        Where there is a line, a person with fewer calls ahead comes first.

        Raises ConfigError for rows that do not fit the model's context, before they stand in line once the model is
        loaded; AdapterError for an adapter that is damaged or gone; AlignmentError if the line is full or the model
        cannot answer.
        """

    def scores(
        self, policy: PolicyVersion, messages: Messages, completions: Sequence[tuple[int, ...]]
    ) -> "Future[list[float]]":
        """Return the scores of completions (token ids) of a conversation by the reward models that go with a policy.

        The future raises AdapterError where no reward model goes with it. That is known without standing in line:
        ask with no completions before any are written.
        """

    def features(self, texts: Sequence[Text]) -> "Future[TextFeatures]":
        """Return the features of texts, the same whatever version is served.

        Without texts it tells how they are grouped, and whether a reward model ships.
        """

    def restrict(self, limits: ServingLimits) -> None:
        """Let other limits hold from now on."""

    def measure(self, texts: Sequence[Text], adapters: Sequence[Adapter | None]) -> "Future[Measured]":
        """Return the log-probability of each token of texts through each adapter; None: the weights as they are.

        The future raises ConfigError for a text that the model cannot read whole, AdapterError for an adapter that is
        damaged or gone.
        """

    def swap(self, policy: PolicyVersion) -> "Future[None]":
        """Ask to serve another version; the future ends when it is live, or with why it cannot be."""

"""The loaded serving model with its adapters: writes rows, scores completions.

One thread alone writes and scores; any thread may count tokens by its tokenizer, which that does not change.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from alignment.errors import AlignmentError
from alignment.models import adapters, loading, templates
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.generation import eos_ids
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.sampling import FinishReason, finish_reason
from alignment.serving.attached import AttachedAdapters
from alignment.serving.engine import PolicyVersion, Row, RowState
from alignment.serving.reward_folders import reward_folders
from alignment.serving.scoring import RewardModels
from alignment.settings import ModelConfig

log = logging.getLogger(__name__)


class LoadedModel:
    """A base model in memory and everything that is attached to it. Loading takes seconds."""

    def __init__(self, config: ModelConfig, live: PolicyVersion) -> None:
        self._config = config
        model, self.tokenizer = loading.load_base(config.model, config.quantize)
        self._model = adapters.attach(model, config.sft, "sft")
        self.context_tokens: int = model.config.max_position_embeddings
        self._end_ids = eos_ids(model, self.tokenizer)
        self._stacked = StackedAdapters(self._model)
        self._attached = AttachedAdapters(self._model)
        self._attached.make_live(live)
        self._reward_models = RewardModels(self._model, self.tokenizer)

    def make_live(self, policy: PolicyVersion) -> None:
        """Keep the adapters of this version attached; raise AdapterError if they cannot be served."""
        self._attached.make_live(policy)

    def begin(self, rows: Sequence[Row]) -> "Answer":
        """Read the prompts of rows and return their completions, which are still to be written.

        Raises AdapterError for an adapter that cannot be attached.
        """
        began = time.monotonic()
        self._attached.ensure_attached([row.adapter for row in rows if row.adapter is not None])
        batch = DecodingBatch(self._model, self.tokenizer.pad_token_id, self._stacked)
        batch.add([self._decoding_row(i, row) for i, row in enumerate(rows)])
        return Answer(batch, self.tokenizer, self._end_ids, rows, began)

    def _decoding_row(self, number: int, row: Row) -> DecodingRow:
        ids = templates.prompt_ids(self.tokenizer, row.messages, templated=row.templated)
        return DecodingRow(number, tuple(ids), row.sampling, row.seed, row.adapter.name if row.adapter else BASE)

    def scores(self, policy: PolicyVersion, prompt: str, completions: Sequence[Sequence[int]]) -> list[float]:
        """Return the scores of completions by the reward models that go with a version."""
        self._attached.ensure_attached([policy.adapter])  # this verifies the whole folder
        folders = reward_folders(self._config.model, policy)
        try:
            return self._reward_models.scores(folders, prompt, completions)
        except AlignmentError:
            raise
        except Exception as error:
            log.exception("completions could not be scored")
            raise AlignmentError(
                f"the reward model failed to score ({type(error).__name__}); see the log, and try again"
            ) from error


class Answer:
    """The completions of one call while they are written."""

    def __init__(
        self, batch: DecodingBatch, tokenizer: Any, end_ids: frozenset[int], rows: Sequence[Row], began: float
    ) -> None:
        self._batch = batch
        self._tokenizer = tokenizer
        self._end_ids = end_ids
        self._began = began
        self._completions = [_Completion(row) for row in rows]

    @property
    def finished(self) -> bool:
        """Whether all completions have ended."""
        return not self._batch

    def step(self) -> None:
        """Write one more token of each completion that has not ended."""
        tokens = self._batch.step()
        elapsed = time.monotonic() - self._began
        for number, token in tokens.items():
            self._completions[number].grow(token, self._end_ids, elapsed)
        self._batch.drop([number for number in tokens if self._completions[number].finish_reason])

    def rows(self, cancelled: bool = False) -> tuple[RowState, ...]:
        """Return how far the completions have come; with `cancelled`, those that have not ended end so."""
        return tuple(completion.state(self._tokenizer, cancelled) for completion in self._completions)


@dataclass
class _Completion:
    row: Row
    token_ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    first_token_seconds: float = 0.0
    seconds: float = 0.0

    def grow(self, token: int, end_ids: frozenset[int], elapsed: float) -> None:
        self.token_ids.append(token)
        self.finish_reason = finish_reason(self.token_ids, self.row.sampling, end_ids)
        self.first_token_seconds = self.first_token_seconds or elapsed
        self.seconds = elapsed

    def state(self, tokenizer: Any, cancelled: bool) -> RowState:
        return RowState(
            templates.decode(tokenizer, self.token_ids),
            tuple(self.token_ids),
            self.finish_reason or ("cancelled" if cancelled else None),
            self.first_token_seconds,
            self.seconds,
        )

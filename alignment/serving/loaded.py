"""The loaded serving model with its adapters: writes rows, scores completions.

One thread alone writes and scores; any thread may count tokens by its tokenizer, which that does not change.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peft import PeftModel

from alignment.errors import AlignmentError, ConfigError
from alignment.models import adapters, loading
from alignment.models.architecture import cached_bytes, context_tokens
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.features import Written, completion_features, feature_groups, written
from alignment.models.model_folder import shipped_reward
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.sampling import FinishReason, finish_reason
from alignment.models.texts import Text
from alignment.serving.attached import AttachedAdapters
from alignment.serving.engine import Limits, PolicyVersion, Row, RowState, TextFeatures
from alignment.serving.reward_folders import reward_folders
from alignment.serving.scoring import RewardModels
from alignment.settings import ModelConfig
from storage.messages import Messages

log = logging.getLogger(__name__)
MOST_HELD_BYTES = 4 * 2**30  # of keys and values of the rows of one call


class LoadedModel:
    """A checkpoint in memory and everything that is attached to it, and the pretrained one beside it, if there is one.

    Loading takes seconds.
    """

    def __init__(self, config: ModelConfig, live: PolicyVersion) -> None:
        self._config = config
        model, self.tokenizer = loading.load_model(config)
        self._pretrained = loading.load_pretrained(config) if config.base else None
        self._context_tokens = context_tokens(model)
        self._attached = AttachedAdapters(adapters.attach(model, config.sft, "sft") if config.sft else model)
        self._attached.make_live(live)
        self._original = "sft" if config.sft else None  # adapter of the instruction-tuned model
        self._reward_models = RewardModels(self.tokenizer, self._original)
        self._stacked: StackedAdapters | None = None

    def make_live(self, policy: PolicyVersion) -> None:
        """Keep the adapters of this version attached; raise AdapterError if they cannot be served."""
        self._attached.make_live(policy)

    def limits(self, row: Row) -> Limits:
        """Return what the model reads and what a row's messages take."""
        if (pretrained := self._pretrained_for(row)) is not None:
            model, tokenizer = pretrained
            return Limits(context_tokens(model), tokenizer.tokens(row.messages, templated=False))
        return Limits(self._context_tokens, self.tokenizer.tokens(row.messages, templated=row.templated))

    def begin(self, rows: Sequence[Row]) -> "Answer":
        """Read the prompts of rows and return their completions, which are still to be written.

        Raises AdapterError for an adapter that cannot be attached.
        """
        began = time.monotonic()
        self._require_room(rows)
        self._attached.ensure_attached([row.adapter for row in rows if row.adapter is not None])
        pretrained = [self._pretrained_for(row) for row in rows]
        own = [number for number, other in enumerate(pretrained) if other is None]
        others = [number for number, other in enumerate(pretrained) if other is not None]
        batches = []
        if own:
            batches.append(_batch(self._attached.model, self.tokenizer, rows, own, self._stacked_adapters()))
        if self._pretrained is not None and others:
            batches.append(_batch(*self._pretrained, rows, others, None))
        tokenizers = [self.tokenizer if other is None else other[1] for other in pretrained]
        completions = [_Completion(*pair) for pair in zip(rows, tokenizers, strict=True)]
        return Answer(batches, completions, began)

    def _require_room(self, rows: Sequence[Row]) -> None:
        """Raise ConfigError for rows whose keys and values might take more than `MOST_HELD_BYTES` together."""
        tokens = sum(self.limits(row).prompt_tokens + row.sampling.max_new_tokens for row in rows)
        if (needed := tokens * cached_bytes(self._attached.model)) > MOST_HELD_BYTES:
            raise ConfigError(
                f"{len(rows)} answers of this length may take {needed / 2**30:.1f} GiB of memory, "
                f"{MOST_HELD_BYTES / 2**30:.0f} are allowed; ask for shorter ones, or for fewer at once"
            )

    def scores(self, policy: PolicyVersion, messages: Messages, completions: Sequence[Sequence[int]]) -> list[float]:
        """Return the scores of completions of a conversation by the reward models that go with a version."""
        self._attached.ensure_attached(policy.adapters)  # this verifies the folder of a version that has any
        folders = reward_folders(self._config.model, policy)
        try:
            self._attached.model = self._reward_models.attach(self._attached.model, folders)
            return self._reward_models.scores(self._attached.model, folders, messages, completions)
        except AlignmentError:
            raise
        except Exception as error:
            log.exception("completions could not be scored")
            raise AlignmentError(
                f"the reward model failed to score ({type(error).__name__}); see the log, and try again"
            ) from error

    def features(self, texts: Sequence[Text]) -> TextFeatures:
        """Return the features of texts by the original instruction-tuned model, and the shipped reward model's scores.

        They are read from the text, as a run reads them: the ids of a pretrained checkpoint may be another
        tokenizer's.
        """
        model, groups = self._attached.model, feature_groups(self._attached.model)
        rows = [written(self.tokenizer, text) for text in texts]
        features = np.zeros((0, sum(groups)), np.float32)
        if rows:
            with adapters.using(model, self._original):
                features = completion_features(model, self.tokenizer, rows)
        return TextFeatures(features, groups, self._shipped_scores(rows))

    def _shipped_scores(self, rows: Sequence[Written]) -> NDArray[np.float32] | None:
        """Return the scores of completions by the reward model that ships with the model, None where none does."""
        if (folder := shipped_reward(self._config.model)) is None:
            return None
        if not rows:
            return np.zeros(0, np.float32)
        self._attached.model = self._reward_models.attach(self._attached.model, [folder])
        return np.array(self._reward_models.scores_of(rows), np.float32)

    def _pretrained_for(self, row: Row) -> tuple[Any, ChatTokenizer] | None:
        """Return the pretrained checkpoint beside the model if it writes a row, else None."""
        return None if row.templated else self._pretrained

    def _stacked_adapters(self) -> StackedAdapters | None:
        """Return what sends rows through adapters of their own, or None while none was ever attached."""
        if self._stacked is None and isinstance(self._attached.model, PeftModel):
            self._stacked = StackedAdapters(self._attached.model)
        return self._stacked


def _batch(
    model: Any, tokenizer: ChatTokenizer, rows: Sequence[Row], numbers: Sequence[int], stacked: StackedAdapters | None
) -> DecodingBatch:
    """Return the rows of these numbers, their prompts read."""
    batch = DecodingBatch(model, tokenizer.pad_id, stacked)
    batch.add([_decoding_row(tokenizer, number, rows[number]) for number in numbers])
    return batch


def _decoding_row(tokenizer: ChatTokenizer, number: int, row: Row) -> DecodingRow:
    return DecodingRow(
        number,
        tuple(tokenizer.prompt_ids(row.messages, templated=row.templated)),
        row.sampling,
        row.seed,
        row.adapter.name if row.adapter else BASE,
        () if row.templated else tokenizer.barred_ids,
    )


class Answer:
    """The completions of one call while they are written."""

    def __init__(self, batches: Sequence[DecodingBatch], completions: Sequence["_Completion"], began: float) -> None:
        self._batches = batches
        self._completions = completions
        self._began = began

    @property
    def finished(self) -> bool:
        """Whether all completions have ended."""
        return not any(self._batches)

    def step(self) -> None:
        """Write one more token of each completion that has not ended."""
        for batch in self._batches:
            tokens = batch.step()
            elapsed = time.monotonic() - self._began
            for number, token in tokens.items():
                self._completions[number].grow(token, elapsed)
            batch.drop([number for number in tokens if self._completions[number].finish_reason])

    def rows(self, cancelled: bool = False) -> tuple[RowState, ...]:
        """Return how far the completions have come; with `cancelled`, those that have not ended end so."""
        return tuple(completion.state(cancelled) for completion in self._completions)


@dataclass
class _Completion:
    row: Row
    tokenizer: ChatTokenizer
    token_ids: list[int] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    first_token_seconds: float = 0.0
    seconds: float = 0.0

    def grow(self, token: int, elapsed: float) -> None:
        ends = self.tokenizer.end_ids if self.row.templated else self.tokenizer.raw_end_ids
        self.token_ids.append(token)
        self.finish_reason = finish_reason(self.token_ids, self.row.sampling, ends)
        self.first_token_seconds = self.first_token_seconds or elapsed
        self.seconds = elapsed

    def state(self, cancelled: bool) -> RowState:
        ids = self.tokenizer.ending(self.token_ids, templated=self.row.templated)
        return RowState(
            self.tokenizer.decode(ids),
            tuple(ids),
            self.finish_reason or ("cancelled" if cancelled else None),
            self.first_token_seconds,
            self.seconds,
        )

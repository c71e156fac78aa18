"""The loaded serving model with its adapters: writes rows, scores completions.

One thread alone writes and scores; any thread may count tokens by its tokenizer, which that does not change.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from peft import PeftModel

from alignment.errors import AlignmentError, ConfigError
from alignment.models import adapters, loading
from alignment.models.architecture import cached_bytes, context_tokens
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.features import Written, completion_features, feature_groups, read_completions, written
from alignment.models.model_folder import shipped_reward
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.texts import Text
from alignment.serving.attached import AttachedAdapters
from alignment.serving.engine import Adapter, Limits, Measured, PolicyVersion, Row, TextFeatures
from alignment.serving.reward_folders import reward_folders
from alignment.serving.scoring import RewardModels
from alignment.serving.settings import USUAL
from alignment.settings import ModelConfig
from storage.messages import Messages

log = logging.getLogger(__name__)


class LoadedModel:
    """A checkpoint in memory and everything that is attached to it, and the pretrained one beside it, if there is one.

    Loading takes seconds.
    """

    def __init__(self, config: ModelConfig, live: PolicyVersion) -> None:
        self._config = config
        self.serving = USUAL  # may be replaced from any thread
        model, self.tokenizer = loading.load_model(config)
        self._pretrained = loading.load_pretrained(config) if config.base else None
        self._context_tokens = context_tokens(model)
        self.attached = AttachedAdapters(adapters.attach(model, config.sft, "sft") if config.sft else model)
        self.attached.make_live(live)
        self._original = "sft" if config.sft else None  # adapter of the instruction-tuned model
        self._reward_models = RewardModels(self.tokenizer, self._original)
        self._stacked: StackedAdapters | None = None

    def make_live(self, policy: PolicyVersion) -> None:
        """Keep the adapters of this version attached; raise AdapterError if they cannot be served."""
        self.attached.make_live(policy)

    def limits(self, row: Row) -> Limits:
        """Return what the model reads and what a row's messages take."""
        if (pretrained := self.pretrained_for(row)) is not None:
            model, tokenizer = pretrained
            return Limits(context_tokens(model), tokenizer.tokens(row.messages, templated=False))
        return Limits(self._context_tokens, self.tokenizer.tokens(row.messages, templated=row.templated))

    def decoding_rows(self, rows: Sequence[Row], ids: Sequence[int]) -> tuple[list[DecodingRow], list[DecodingRow]]:
        """Return rows as they are decoded, by the model and by the pretrained checkpoint beside it."""
        own: list[DecodingRow] = []
        others: list[DecodingRow] = []
        for number, row in zip(ids, rows, strict=True):
            of_pretrained = self.pretrained_for(row) is not None
            (others if of_pretrained else own).append(_decoding_row(self.tokenizer_of(row), number, row))
        return own, others

    def tokenizer_of(self, row: Row) -> ChatTokenizer:
        """Return the tokenizer of the checkpoint that writes a row."""
        pretrained = self.pretrained_for(row)
        return self.tokenizer if pretrained is None else pretrained[1]

    def batches(self) -> tuple[DecodingBatch, DecodingBatch | None]:
        """Return an empty batch for the model's rows, and one for those of the pretrained checkpoint beside it."""
        own = DecodingBatch(self.attached.model, self.tokenizer.pad_id, self.stacked_adapters())
        beside = self._pretrained
        return own, None if beside is None else DecodingBatch(beside[0], beside[1].pad_id)

    def tokens_held(self) -> int:
        """Return for how many tokens keys and values may be held, padding included."""
        return self.serving.held_mib * 2**20 // cached_bytes(self.attached.model)

    def scores(self, policy: PolicyVersion, messages: Messages, completions: Sequence[Sequence[int]]) -> list[float]:
        """Return the scores of completions of a conversation by the reward models that go with a version."""
        self.attached.ensure_attached(policy.adapters)  # this verifies the folder of a version that has any
        folders = reward_folders(self._config.model, policy)
        try:
            self.attached.model = self._reward_models.attach(self.attached.model, folders)
            return self._reward_models.scores(self.attached.model, folders, messages, completions)
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
        model, groups = self.attached.model, feature_groups(self.attached.model)
        rows = [written(self.tokenizer, text) for text in texts]
        features = np.zeros((0, sum(groups)), np.float32)
        if rows:
            with adapters.using(model, self._original):
                features = completion_features(model, self.tokenizer, rows)
        return TextFeatures(features, groups, self._shipped_scores(rows))

    def measure(self, texts: Sequence[Text], through: Sequence[Adapter | None]) -> Measured:
        """Return the log-probability of each token of texts through each adapter; None: the weights as they are."""
        rows = [written(self.tokenizer, text) for text in texts]
        if (longest := max((len(row.sequence) for row in rows), default=0)) > self._context_tokens:
            raise ConfigError(
                f"a text with its prompt has {longest:,} tokens, and the model reads {self._context_tokens:,}; "
                "measure a shorter one"
            )
        self.attached.ensure_attached([adapter for adapter in through if adapter is not None])
        model, found = self.attached.model, []
        for adapter in through:
            with adapters.using(model, adapter.name if adapter else None):
                reading = read_completions(model, self.tokenizer, rows, with_log_probs=True)
            assert reading.log_probs is not None
            found.append(tuple(one.float().cpu().numpy() for one in reading.log_probs))
        return Measured(tuple(tuple(self.tokenizer.pieces(row.completion)) for row in rows), tuple(found))

    def _shipped_scores(self, rows: Sequence[Written]) -> NDArray[np.float32] | None:
        """Return the scores of completions by the reward model that ships with the model, None where none does."""
        if (folder := shipped_reward(self._config.model)) is None:
            return None
        if not rows:
            return np.zeros(0, np.float32)
        self.attached.model = self._reward_models.attach(self.attached.model, [folder])
        return np.array(self._reward_models.scores_of(rows), np.float32)

    def pretrained_for(self, row: Row) -> tuple[Any, ChatTokenizer] | None:
        """Return the pretrained checkpoint beside the model if it writes a row, else None."""
        return None if row.templated else self._pretrained

    def stacked_adapters(self) -> StackedAdapters | None:
        """Return what sends rows through adapters of their own, or None while none was ever attached."""
        if self._stacked is None and isinstance(self.attached.model, PeftModel):
            self._stacked = StackedAdapters(self.attached.model)
        return self._stacked


def _decoding_row(tokenizer: ChatTokenizer, number: int, row: Row) -> DecodingRow:
    return DecodingRow(
        number,
        tuple(tokenizer.prompt_ids(row.messages, templated=row.templated)),
        row.sampling,
        row.seed,
        row.adapter.name if row.adapter else BASE,
        () if row.templated else tokenizer.barred_ids,
    )

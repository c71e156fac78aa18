"""Scores of a version's completions by the reward models that go with it, as best-of-N picks by them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from alignment.errors import AdapterError, ConfigError
from alignment.models.adapters import attach, drop_adapter
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.features import Written
from alignment.models.heads import load_head
from alignment.models.model_folder import SCORED_BY
from alignment.reward.linear_file import LINEAR_FILE, load_linear
from alignment.reward.scorer import Scorer, adapter_scorer, added_scorer, linear_scorer
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import LinearReward
from alignment.validation import with_changes
from storage.messages import Messages

NAMES = ("reward", "shipped")  # adapters that a scorer reads


def scored_by(folder: Path) -> RewardConfig:
    """Return the settings by which the run of a reward adapter scored; the defaults for one that has none stored.

    Raises AdapterError for settings that cannot be read.
    """
    path = folder / SCORED_BY
    if not path.is_file():
        return RewardConfig()
    try:
        return with_changes(RewardConfig(), json.loads(path.read_text(encoding="utf-8")), "settings.reward")
    except (OSError, ValueError, ConfigError) as error:
        raise AdapterError(f"the settings at {path} cannot be read: {error}") from error


class RewardModels:
    """The reward models of one version; the adapters of those used last stay attached to the serving model."""

    def __init__(self, tokenizer: ChatTokenizer, original: str | None) -> None:
        self._tokenizer = tokenizer
        self._original = original  # adapter of the instruction-tuned model, through which features are computed
        self._attached: tuple[tuple[Path, ...], Scorer] | None = None

    @torch.no_grad()
    def scores(
        self, model: PeftModel, folders: Sequence[Path], messages: Messages, completions: Sequence[Sequence[int]]
    ) -> list[float]:
        """Return the score of each completion (token ids) of a conversation.

        It is that by the first reward adapter, plus that by the second if there is one. They score as they did in the
        run that fitted the first one.
        """
        self.attach(model, folders)
        prompt_ids = self._tokenizer.prompt_ids(messages)
        ends = self._tokenizer.end_ids
        return self.scores_of([Written(prompt_ids, ids, bool(ids) and ids[-1] in ends) for ids in completions])

    @torch.no_grad()
    def scores_of(self, completions: Sequence[Written]) -> list[float]:
        """Return the score of each completion by the reward models that were attached last."""
        assert self._attached is not None
        return self._attached[1](completions).means.tolist()

    def attach(self, model: Any, folders: Sequence[Path]) -> PeftModel:
        """Have the reward models of these folders ready and return the model that carries their adapters.

        It is another object than a model that carried no adapter before.
        """
        if self._attached is not None and self._attached[0] == tuple(folders):
            return model
        self._detach(model)
        shipped: nn.Linear | None = None
        try:
            config = scored_by(folders[0])
            bound = config.bound if len(folders) > 1 else None
            if (folders[0] / LINEAR_FILE).is_file():
                fitted: LinearReward | nn.Linear = load_linear(folders[0])
            else:
                model = attach(model, folders[0], "reward")
                fitted = load_head(model, folders[0])
            if len(folders) > 1:
                model = attach(model, folders[1], "shipped")
                shipped = load_head(model, folders[1])
        except AdapterError:
            self._detach(model)
            raise
        pad_id = self._tokenizer.pad_id
        own = (
            linear_scorer(model, self._tokenizer, self._original, fitted, bound)
            if isinstance(fitted, LinearReward)
            else adapter_scorer(model, fitted, pad_id, bound)
        )
        self._attached = tuple(folders), added_scorer(model, own, pad_id, shipped, config)
        return model

    def _detach(self, model: Any) -> None:
        self._attached = None
        for name in NAMES:
            drop_adapter(model, name)

"""Scores of a version's completions by the reward models that go with it, as best-of-N picks by them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from alignment.errors import AdapterError, ConfigError
from alignment.models.adapters import attach, drop_adapter
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.heads import load_head
from alignment.models.model_folder import SCORED_BY
from alignment.reward.scorer import Scorer, added_scorer
from alignment.reward.settings import RewardConfig
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
    """The reward adapters of one version, attached to the serving model; those used last stay attached."""

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer
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
        assert self._attached is not None
        prompt_ids = self._tokenizer.prompt_ids(messages)
        scores, _ = self._attached[1]([[*prompt_ids, *ids] for ids in completions])
        return scores.tolist()

    def attach(self, model: Any, folders: Sequence[Path]) -> PeftModel:
        """Attach the reward adapters of these folders, unless they are, and return the model that carries them.

        It is another object than a model that carried no adapter before.
        """
        if self._attached is not None and self._attached[0] == tuple(folders):
            return model
        self._detach(model)
        heads = []
        try:
            config = scored_by(folders[0])
            for name, folder in zip(NAMES, folders, strict=False):
                model = attach(model, folder, name)
                heads.append(load_head(model, folder))
        except AdapterError:
            self._detach(model)
            raise
        shipped = heads[1] if len(heads) > 1 else None
        self._attached = tuple(folders), added_scorer(model, heads[0], self._tokenizer.pad_id, shipped, config)
        return model

    def _detach(self, model: Any) -> None:
        self._attached = None
        for name in NAMES:
            drop_adapter(model, name)

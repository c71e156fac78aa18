"""Best-of-N: of several completions of one prompt, the one that the reward model scores highest."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from alignment.errors import AdapterError, ConfigError
from alignment.models.adapters import activate, attach_with_head
from alignment.models.model_folder import REWARD, SCORED_BY, shipped_reward
from alignment.models.templates import chat_prompt_ids
from alignment.reward.scorer import added_scorer
from alignment.reward.settings import RewardConfig
from alignment.validation import with_changes

NAMES = ("reward", "shipped")  # adapters that a scorer reads


def reward_folders(base: str | Path, version: int, folder: Path) -> list[Path]:
    """Return the reward adapters that score a version's completions: its run's, if its folder holds one, then the
    shipped one.

    Raises AdapterError where there is neither.
    """
    own, shipped = folder / REWARD, shipped_reward(base)
    folders = [path for path in (own, shipped) if path is not None and path.is_dir()]
    if not folders:
        raise AdapterError(
            f"v{version} has no reward model to pick by: its run fitted none, and none ships with the model; ask with "
            "best_of 1"
        )
    return folders


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


@torch.no_grad()
def pick(
    model: PeftModel, tokenizer: Any, folders: Sequence[Path], prompt: str, completions: Sequence[Sequence[int]]
) -> int:
    """Return the place of the completion with the highest score, by the first reward adapter plus the second one's.

    They score as they did in the run that fitted the first one. The adapters are attached for this alone.
    """
    try:
        heads = [attach_with_head(model, folder, name) for name, folder in zip(NAMES, folders, strict=False)]
        own, shipped = heads[0], heads[1] if len(heads) > 1 else None
        score = added_scorer(model, own, tokenizer.pad_token_id, shipped, scored_by(folders[0]))
        scores, _ = score([[*chat_prompt_ids(tokenizer, prompt), *ids] for ids in completions])
        return int(scores.argmax())
    finally:
        activate(model, "sft")  # an active adapter cannot be dropped
        for name in NAMES:
            if name in model.peft_config:
                model.delete_adapter(name)

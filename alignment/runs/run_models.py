"""The models of a run: one base with the adapters that its stages train, ask and measure against."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from alignment.errors import AdapterError
from alignment.learning import reward_adapter
from alignment.models import adapters, loading, model_folder
from alignment.models.adapter_files import CONFIG_FILE
from alignment.models.heads import mean_head, new_head
from alignment.reward.linear_file import LINEAR_FILE, load_linear, save_linear
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import LinearReward
from alignment.settings import ModelConfig
from storage import run_folder

log = logging.getLogger(__name__)
Fitted = LinearReward | torch.nn.Linear | None  # a linear reward model, heads of the adapter "reward", or nothing
RANK = 16  # of the adapters of a chat checkpoint


def load(config: ModelConfig, parent: Path, seed: int) -> tuple[PeftModel, Any]:
    """Return the checkpoint with its adapters, and its tokenizer.

    "parent" is the version's policy, "policy" a copy of it that is to be trained, and "sft" the reference: the
    version's own SFT adapter if it has one, else the model's. A chat checkpoint is the reference itself, and "sft" an
    adapter, drawn with the seed, that changes nothing. A version that is its SFT unchanged has the policy "sft".
    "original" is the model's own SFT adapter, if it has one: `original` says through which one features are computed.
    """
    model, tokenizer = loading.load_model(config)
    if model.device.type == "cpu" and model.dtype == torch.bfloat16:
        model.set_attn_implementation("eager")  # the fused one's backward pass takes longer there than all else of it
    if sft := model_folder.own_sft(parent) or config.sft:
        model = adapters.attach(model, sft, "sft")
    else:
        model = adapters.attach_new(model, "sft", RANK, seed)
    if (parent / model_folder.UNCHANGED).is_file():
        adapters.copy_adapter(model, "sft", "parent")
    else:
        adapters.attach(model, parent, "parent")
    adapters.copy_adapter(model, "parent", "policy")
    if config.sft:
        adapters.attach(model, config.sft, "original")
    return model, tokenizer


def original(config: ModelConfig) -> str | None:
    """Return the adapter that is the original instruction-tuned model, which no run changes; None: it has none."""
    return "original" if config.sft else None


def attach_first(model: PeftModel, config: ModelConfig, folder: Path) -> str | None:
    """Attach the policy of a version as "first" and return the adapter to ask it through.

    One that is the instruction-tuned model unchanged is asked as that (`original`). Raises AdapterError for one that
    is damaged or gone.
    """
    if (folder / model_folder.UNCHANGED).is_file():
        return original(config)
    adapters.attach(model, folder, "first")
    return "first"


def attach_reward(model: PeftModel) -> torch.nn.Linear:
    """Attach what the adapter "reward" begins as, a copy of "sft"; return its heads, which score everything 0."""
    adapters.copy_adapter(model, "sft", "reward")
    return new_head(model, reward_adapter.HEADS)


def keep_reward(model: PeftModel, fitted: Fitted, inputs: Mapping[str, Any], folder: Path) -> None:
    """Write the fitted reward model into a folder, with what it was made from and what it measured ("fitted")."""
    _save_reward(model, fitted, folder)
    (folder / run_folder.INPUTS).write_text(json.dumps(inputs), encoding="utf-8")


def _save_reward(model: PeftModel, fitted: Fitted, folder: Path) -> None:
    if isinstance(fitted, LinearReward):
        save_linear(fitted, folder)
    elif fitted is not None:
        adapters.save_adapter(model, "reward", folder, fitted)


def attach_kept_reward(
    model: PeftModel, folder: Path, inputs: Mapping[str, Any]
) -> tuple[Fitted, dict[str, Any] | None] | None:
    """Return the reward model that the run has kept and its report, or None where there is none to use.

    `inputs` says what it has to have been made from.
    """
    kept = run_folder.read_inputs(folder)
    if kept is None:
        return None
    if any(kept.get(name) != value for name, value in inputs.items()):
        log.warning("the run starts anew: votes, settings or version are not those that it was started with")
        return None
    place = run_folder.reward_folder(folder)
    fitted: Fitted = None
    try:
        if (place / LINEAR_FILE).is_file():
            fitted = load_linear(place)
        elif (place / CONFIG_FILE).is_file():
            fitted = adapters.attach_with_head(model, place, "reward")
    except AdapterError as error:
        log.warning("the run starts anew: %s", error)
        adapters.drop_adapter(model, "reward")
        return None
    return fitted, kept["fitted"]


def attach_shipped(model: PeftModel, config: ModelConfig) -> torch.nn.Linear | None:
    """Attach the reward adapter that ships with the model as "shipped"; return its heads, or None without one."""
    shipped = model_folder.shipped_reward(config.model)
    return None if shipped is None else adapters.attach_with_head(model, shipped, "shipped")


def attach_critic(
    model: PeftModel, config: ModelConfig, reward_heads: torch.nn.Linear | None, samples: int
) -> torch.nn.Linear:
    """Attach the critic's adapter "value" and return its head.

    It begins as the critic that the shipped policy was trained with; without one, as the reward adapter, which has
    never judged half a completion, or else as "sft" with a head at 0. Where several `samples` of a prompt are scored
    against each other, the head begins at 0, which is what they are worth on average.
    """
    shipped = model_folder.shipped_critic(config.model)
    if shipped is not None:
        head = adapters.attach_with_head(model, shipped, "value")
    else:
        adapters.copy_adapter(model, "sft" if reward_heads is None else "reward", "value")
        head = new_head(model) if reward_heads is None else mean_head(reward_heads)
    return head if samples == 1 else new_head(model)


def save_version(model: PeftModel, fitted: Fitted, scored_by: RewardConfig, *, with_sft: bool, target: Path) -> None:
    """Write the policy, the reward model that it was trained on and how that scores, for best-of-N, and its SFT adapter
    if it has one.
    """
    adapters.save_adapter(model, "policy", target)
    if fitted is not None:
        reward = target / model_folder.REWARD
        reward.mkdir()
        _save_reward(model, fitted, reward)
        scoring = {name: getattr(scored_by, name) for name in ("bound", "shipped_weight", "uncertainty_penalty")}
        (reward / model_folder.SCORED_BY).write_text(json.dumps(scoring, indent=2) + "\n", encoding="utf-8")
    if with_sft:
        (target / model_folder.SFT).mkdir()
        adapters.save_adapter(model, "sft", target / model_folder.SFT)

"""What the stages of the recipe share: their folders, and how models and lines are read and written."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from alignment.models import adapters, loading

COMPARISONS = "comparisons.jsonl"
FIRST = "first"  # folder of the first round's comparisons, reward adapter and policy
WARMED_UP = "warm-up policy"  # folder of the policy that PPO begins with
STEADY = "steady policy weights"  # folders of the policies whose mean is trained on with contrast
VARIED = "varied policy weights"
CONTRASTED = "contrasted policy weights"  # folder of what they become
VERIFIED = "verified policies"  # folders of those whose mean ships, and of the checkpoints of their stage


def loaded(target: Path) -> tuple[Any, Any]:
    """Return the base and its tokenizer; in fp32 on a GPU too, so that the recipe is the same one there."""
    return loading.load_checkpoint(target, dtype=torch.float32)


def loaded_with_reward(target: Path, reward: Path) -> tuple[PeftModel, Any, torch.nn.Linear]:
    """Return a model with the adapters "sft" and "reward", its tokenizer, and the heads of the latter."""
    model, tokenizer = loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    return model, tokenizer, adapters.attach_with_head(model, reward, "reward")


def save(model: Any, name: str, folder: Path, head: torch.nn.Linear | None = None) -> None:
    """Write an adapter, and its head if given, into a new folder in bf16; it stays fp32 in memory, rounded alike."""
    for parameter in adapters.adapter_parameters(model, name):
        parameter.data = parameter.data.to(torch.bfloat16)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    adapters.save_adapter(model, name, folder, head)
    for parameter in adapters.adapter_parameters(model, name):
        parameter.data = parameter.data.float()


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

"""An adapter's folder, read without torch: whether it holds plain LoRA, which is all that is applied as trained."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from alignment.errors import AdapterError
from alignment.models.weight_files import tensor_shapes

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
MATRIX = re.compile(r"(?:base_model\.model\.)?(?P<layer>.+)\.lora_(?P<which>[AB])\.weight")

# Fields of a configuration that say which matrices there are and how they are scaled.
APPLIED = {
    *("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "lora_dropout", "fan_in_fan_out"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
}
# Fields that change nothing about what a trained adapter adds: where it comes from, and how training began.
WITHOUT_EFFECT = {
    *("task_type", "peft_version", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode"),
    *("megatron_core", "qalora_group_size", "runtime_config"),
    *("eva_config", "loftq_config", "corda_config", "lora_ga_config"),
}
CHECKED = {"peft_type", "bias", "init_lora_weights"}
HARMLESS_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")  # others change the base's weights


@dataclass(frozen=True)
class AdapterFile:
    """A plain LoRA adapter on disk."""

    folder: Path
    config: dict[str, Any]  # the fields of APPLIED that the file sets
    matrices: dict[tuple[str, str], tuple[int, ...]]  # shapes by (layer, "A" or "B")
    keys: dict[tuple[str, str], str]  # the names of the matrices in the file
    others: tuple[str, ...]  # names of whole weights beside the matrices: copies of the base's, or of changed ones


def read_adapter(folder: str | Path) -> AdapterFile:
    """Return what a folder says of its adapter.

    Raises AdapterError unless it holds LoRA matrices of linear layers, all of them and nothing else that would have to
    be applied.
    """
    folder = Path(folder)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise AdapterError(f"no adapter at {folder} ({name} is missing); give --sft the folder of a LoRA adapter")
    config = _plain_config(folder)
    try:
        shapes = tensor_shapes(folder / WEIGHTS_FILE)
    except (OSError, ValueError) as error:
        raise AdapterError(
            f"the adapter at {folder} does not fit any base: {WEIGHTS_FILE} cannot be read, {error}; copy it anew"
        ) from error
    found = {key: match for key in shapes if (match := MATRIX.fullmatch(key))}
    keys = {(match["layer"], match["which"]): key for key, match in found.items()}
    others = tuple(key for key in shapes if key not in found)
    if strange := [key for key in others if "lora_" in key or not key.endswith((".weight", ".bias"))]:
        raise AdapterError(
            f"the adapter at {folder} holds {examples(strange, shapes)}, and only matrices of linear layers can "
            "answer side by side on one base; train it on linear layers only"
        )
    if not keys:
        raise AdapterError(f"the adapter at {folder} holds no LoRA matrices; give --sft the folder of a LoRA adapter")
    matrices = {place: shapes[key] for place, key in keys.items()}
    alone = [keys[place] for place in keys if (place[0], "B" if place[1] == "A" else "A") not in keys]
    if alone:
        raise AdapterError(
            f"the adapter at {folder} lacks the other half of {examples(alone, shapes)}; it was saved in part, so "
            "save it anew"
        )
    return AdapterFile(folder, config, matrices, keys, others)


def _plain_config(folder: Path) -> dict[str, Any]:
    """Return the fields of a configuration that are applied; raise AdapterError if others would have to be."""
    path = folder / CONFIG_FILE
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise AdapterError(f"{path} is not a JSON object ({error}); copy the adapter anew") from error
    if str(values.get("peft_type", "LORA")).upper() != "LORA":
        raise AdapterError(
            f"the adapter at {folder} is of the kind {values['peft_type']!r}, and only LoRA can answer side by side on "
            "one base; train it as plain LoRA"
        )
    start = values.get("init_lora_weights", True)
    if start not in HARMLESS_STARTS:
        raise AdapterError(
            f"the adapter at {folder} has init_lora_weights {start!r} in its configuration: it belongs to a base whose "
            "weights were changed when its training began, and on any other it says something else. Save it with "
            "PEFT's path_initial_model_for_weight_conversion, so that it becomes plain LoRA"
        )
    known = APPLIED | WITHOUT_EFFECT | CHECKED
    unlike = {name: value for name, value in values.items() if value and name not in known}
    if (bias := values.get("bias") or "none") != "none":
        unlike["bias"] = bias
    if unlike:
        named = ", ".join(f"{name} = {brief(value)}" for name, value in sorted(unlike.items()))
        raise AdapterError(
            f"the adapter at {folder} is more than LoRA matrices ({named} in its configuration), and such adapters "
            "cannot answer side by side on one base; train it as plain LoRA"
        )
    return _well_formed({name: values[name] for name in APPLIED if values.get(name) is not None}, path)


def _well_formed(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the applied fields; raise AdapterError for one that is of another kind than PEFT writes."""
    wanted: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(("target_modules", "exclude_modules", "layers_pattern"), (str, list)),
        **dict.fromkeys(("rank_pattern", "alpha_pattern"), (dict,)),
        **{"r": (int,), "lora_alpha": (int, float), "lora_dropout": (int, float), "layers_to_transform": (int, list)},
    }
    for name, kinds in wanted.items():
        if name in config and not isinstance(config[name], kinds):
            raise AdapterError(f"{path} is broken: {name} must not be {brief(config[name])}; save the adapter anew")
    if config.get("target_modules") in (None, "", [], "all-linear"):
        raise AdapterError(
            f"{path} does not name its layers: target_modules is {config.get('target_modules')!r}; write the names of "
            "the layers that the adapter was trained on there"
        )
    return config


def examples(keys: Sequence[str], shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the first few of some names of matrices, with their shapes, for a message."""
    named = ", ".join(f"{key} {list(shapes[key])}" for key in keys[:3])
    return named if len(keys) <= 3 else f"{named} and {len(keys) - 3} more"

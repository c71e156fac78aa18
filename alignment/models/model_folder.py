"""What lies in a model's folder and beside its weights: adapters, measurements. Reads files, needs no torch."""

import hashlib
import json
from pathlib import Path
from typing import Any

from alignment.errors import AdapterError, ModelLoadError
from alignment.settings import ModelConfig

REWARD = "reward"  # folder of a reward adapter with its heads: beside a model, in a version, in a run
SCORED_BY = "settings.json"  # in a version's, the fields of RewardConfig by which its run scored
SFT = "sft"  # folder of an SFT adapter: beside a model, and in a version whose run went on with instruction tuning
UNCHANGED = "unchanged.json"  # in a version that is the instruction-tuned model itself, in place of an adapter
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def check_base(folder: str | Path) -> Path:
    """Return the folder if it holds a causal LM, else raise ModelLoadError; nothing is looked up elsewhere."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"no model at {folder} (config.json is missing); give --model a folder with a causal LM in the "
            "Hugging Face layout, or leave it out for the bundled one"
        )
    return folder


def check_adapter(folder: str | Path) -> Path:
    """Return the folder if it holds a plain LoRA adapter, else raise AdapterError."""
    folder = Path(folder)
    for name in ADAPTER_FILES:
        if not (folder / name).is_file():
            raise AdapterError(f"no adapter at {folder} ({name} is missing); give --sft the folder of a LoRA adapter")
    try:
        config = dict(json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise AdapterError(f"{folder / ADAPTER_FILES[0]} is not a JSON object: {error}") from error
    unlike = [name for name in ("use_dora", "lora_bias", "modules_to_save") if config.get(name)]
    if config.get("bias", "none") != "none":
        unlike.append("bias")
    if unlike:
        raise AdapterError(
            f"the adapter at {folder} is more than LoRA matrices ({', '.join(unlike)} in its configuration), and such "
            "adapters cannot answer side by side on one base; train it as plain LoRA"
        )
    return folder


def fingerprint(config: ModelConfig) -> str:
    """Return what policies belong to: a SHA-256 over the model's files."""
    parts = [
        config.gguf and str(Path(config.gguf).stat().st_size),
        config.sft and older_fingerprint(config.model, config.sft),
    ]
    if not config.gguf:
        parts += [(path.name, path.stat().st_size) for path in sorted(Path(config.model).glob("*.safetensors"))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def older_fingerprint(base: str | Path, sft: str | Path) -> str:
    """Return a SHA-256 over the base's configuration, its weights' sizes and the SFT adapter: what policies belong to.

    The weights themselves would take minutes to read where they are large.
    """
    config = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
    sizes = sorted((path.name, path.stat().st_size) for path in Path(base).glob("*.safetensors"))
    digest = hashlib.sha256(json.dumps([config, sizes], sort_keys=True).encode())
    for name in ADAPTER_FILES:
        digest.update((Path(sft) / name).read_bytes())
    return digest.hexdigest()


def first_policy(base: str | Path, sft: str | Path) -> Path:
    """Return the adapter that version 1 is a copy of: the model's own policy if it ships one, else the SFT adapter."""
    shipped = Path(base) / "policy"
    return check_adapter(shipped if shipped.is_dir() else sft)


def own_sft(version: str | Path) -> Path | None:
    """Return the SFT adapter of a published version, or None for one that goes with the model's."""
    return _shipped(version, SFT)


def shipped_reward(base: str | Path) -> Path | None:
    """Return the reward adapter that ships with the model, or None."""
    return _shipped(base, REWARD)


def shipped_critic(base: str | Path) -> Path | None:
    """Return the value adapter that ships with the model, the critic of its policy, or None."""
    return _shipped(base, "value")


def _shipped(base: str | Path, name: str) -> Path | None:
    shipped = Path(base) / name
    return check_adapter(shipped) if shipped.is_dir() else None


def shipped_evaluation(base: str | Path) -> dict[str, Any]:
    """Return what the shipped policy measured on the checks when it was built (`policy-evaluation.json`), or {}."""
    path = Path(base) / "policy-evaluation.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

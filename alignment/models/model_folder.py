"""What lies in a model's folder and beside its weights: adapters, measurements. Reads files, needs no torch."""

import hashlib
import json
from pathlib import Path
from typing import Any

from alignment.errors import ModelLoadError
from alignment.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from alignment.models.checkpoint_facts import TEMPLATE_FILES, json_object
from alignment.models.weight_files import samples
from alignment.settings import ModelConfig

REWARD = "reward"  # folder of a reward adapter with its heads: beside a model, in a version, in a run
SCORED_BY = "settings.json"  # in a version's, the fields of RewardConfig by which its run scored
SFT = "sft"  # folder of an SFT adapter: beside a model, and in a version whose run went on with instruction tuning
UNCHANGED = "unchanged.json"  # in a version that is the instruction-tuned model itself, in place of an adapter
ADAPTER_FILES = (CONFIG_FILE, WEIGHTS_FILE)


def check_base(folder: str | Path) -> Path:
    """Return the folder if it holds a causal LM, else raise ModelLoadError; nothing is looked up elsewhere."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"no model at {folder} (config.json is missing); --model takes a preset, a folder with a causal LM in the "
            "Hugging Face layout, a hub name or a .gguf file"
        )
    return folder


def check_adapter(folder: str | Path) -> Path:
    """Return the folder if it holds a plain LoRA adapter, else raise AdapterError."""
    return read_adapter(folder).folder


def fingerprint(config: ModelConfig) -> str:
    """Return a SHA-256 over what policies belong to: the model's weights, its template and its SFT adapter.

    Of large weights it is taken over samples. Where files lie, how weights are quantized and the pretrained checkpoint
    of the first panel play no part. A model that comes as a GGUF file is told by that, converted or not.
    """
    digest = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)

    if config.gguf:
        add(str(Path(config.gguf).stat().st_size).encode(), *samples(Path(config.gguf)))
    else:
        add(_lasting_config(Path(config.model)), *_template(Path(config.model)))
        for path in _weight_files(Path(config.model)):
            add(path.name.encode(), str(path.stat().st_size).encode(), *samples(path))
    if config.sft:
        add(*((Path(config.sft) / name).read_bytes() for name in ADAPTER_FILES), *_template(Path(config.sft)))
    return digest.hexdigest()


def features_owner(config: ModelConfig) -> str:
    """Return under which name features of texts are kept: the fingerprint, with the chat template's arguments if any.

    The template decides what a conversation looks like to the model, so that its arguments change the features.
    """
    return f"{fingerprint(config)} {config.template}".rstrip()


def _lasting_config(folder: Path) -> bytes:
    """Return a model's configuration without what another copy of the same model may say otherwise."""
    values = json_object(folder / "config.json")
    kept = {name: value for name, value in values.items() if name not in ("_name_or_path", "transformers_version")}
    return json.dumps(kept, sort_keys=True).encode()


def _template(folder: Path) -> list[bytes]:
    """Return the chat template in a folder, from each place where it may be."""
    found = [path.read_bytes() for name in TEMPLATE_FILES if (path := folder / name).is_file()]
    if (path := folder / "tokenizer_config.json").is_file():
        found.append(json.dumps(json_object(path).get("chat_template")).encode())
    return found


def _weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def older_fingerprint(base: str | Path, sft: str | Path) -> str:
    """Return what `fingerprint` was before it told models of equal shape apart: data folders of then hold it."""
    config = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
    sizes = sorted((path.name, path.stat().st_size) for path in Path(base).glob("*.safetensors"))
    digest = hashlib.sha256(json.dumps([config, sizes], sort_keys=True).encode())
    for name in ADAPTER_FILES:
        digest.update((Path(sft) / name).read_bytes())
    return digest.hexdigest()


def first_policy(config: ModelConfig) -> Path | None:
    """Return the adapter that version 1 is a copy of: the model's own policy if it ships one, else its SFT adapter.

    None for a chat checkpoint: its version 1 is the checkpoint itself, unchanged.
    """
    if (shipped := _shipped(config.beside, "policy")) is not None:
        return shipped
    return check_adapter(config.sft) if config.sft else None


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


def shipped_evaluation(config: ModelConfig) -> dict[str, Any]:
    """Return what the shipped policy measured on the checks when it was built (`policy-evaluation.json`), or {}.

    Raises ModelLoadError for a file that is no JSON object.
    """
    path = Path(config.beside) / "policy-evaluation.json"
    return json_object(path) if path.is_file() else {}

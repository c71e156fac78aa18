"""Models by name: a preset, a folder, a name on the hub or a GGUF file becomes what is loaded. Needs no torch."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from alignment.errors import AdapterError, ConfigError, ModelLoadError
from alignment.models import checkpoint_facts, gguf_file, hub, model_folder
from alignment.models.checkpoint_facts import CheckpointFacts
from alignment.models.presets import POCKET_PRESET, Preset, preset_of, presets
from alignment.models.sampling import Sampling
from alignment.settings import ASSETS, POCKET, ModelConfig, Quantize

Shape = Literal["adapter", "chat", "chat and base"]
MODELS = "models"  # folder of converted checkpoints in a data folder


@dataclass(frozen=True)
class ModelChoice:
    """A model as people name it: what the command line says, and what a data folder remembers."""

    model: str  # a preset, a folder, a name on the hub or a .gguf file
    base: str = ""  # its pretrained checkpoint: a folder or a name on the hub
    sft: str = ""  # an instruction-tuned adapter on it: a folder or a name on the hub
    quantize: str = ""  # "none", "nf4" or "int8"; empty: as the preset has it
    thinking: str = ""  # "on" or "off": whether it thinks before it answers; empty: as preset or template have it


@dataclass(frozen=True)
class Resolved:
    """A model that was found, with all that is known of it before it is loaded."""

    choice: ModelChoice  # with whole paths, so that it means the same from any folder
    config: ModelConfig
    name: str  # what people see, such as "SmolLM2-135M-Instruct"
    base_name: str  # of the pretrained checkpoint that it was made from, "" where that is not known
    sampling: Sampling  # the model's own, with the default length of an answer
    context_tokens: int  # that it reads: prompt and completion together
    own_template: bool  # whether it ships a chat template

    @property
    def shape(self) -> Shape:
        """Which of the three shapes of models it has; `ModelConfig` explains them."""
        if self.config.sft:
            return "adapter"
        return "chat and base" if self.config.base else "chat"


def resolve(choice: ModelChoice, data_dir: Path, *, online: bool = True) -> Resolved:
    """Return the model that people mean, fetched from the hub if it is named so and is not there yet.

    A folder with an adapter in its `sft/` is used with that adapter. A GGUF file is not converted here: the config
    says where to. Raises ModelLoadError, AdapterError or ConfigError in words for what cannot be had or does not fit.
    """
    preset = _preset(choice.model)
    place = _place(choice.model, preset, online)
    gguf = place if place.is_file() else None
    folder = place if gguf is None else gguf_file.folder_for(place, data_dir / MODELS)
    sft = _folder(choice.sft, "--sft", online) if choice.sft else _own_adapter(place)
    base = _folder(choice.base, "--base", online) if choice.base else None
    _require_one_base(choice, sft, base)
    if gguf is None:
        _require_checkpoint(folder, "--model")
    if base is not None:
        _require_checkpoint(base, "--base")
    if sft is not None:
        model_folder.check_adapter(sft)
    facts = checkpoint_facts.facts_of_folder(folder) if gguf is None else checkpoint_facts.facts_of_gguf(gguf)
    config = ModelConfig(
        model=str(folder),
        sft=str(sft or ""),
        quantize=cast(Quantize, choice.quantize or (preset.quantize if preset else "none")),
        base=str(base or ""),
        gguf=str(gguf or ""),
        rollout_tokens=preset.rollout_tokens if preset else facts.rollout_tokens,
        ships="" if sft is not None else _ships(preset, place),
        template=_template_arguments(choice, preset, facts),
    )
    if gguf is not None:
        _remove_leftovers(folder)
    return _described(choice, config, preset, facts)


def _template_arguments(choice: ModelChoice, preset: Preset | None, facts: CheckpointFacts) -> str:
    """Return what the chat template is called with, as `ModelConfig.template`; raise ConfigError where it can't be."""
    arguments = dict(preset.template) if preset else {}
    if choice.thinking:
        if not facts.switches_thinking and checkpoint_facts.THINKING not in arguments:
            raise ConfigError(
                f"--thinking {choice.thinking} does not go with {choice.model}: its chat template does not ask for "
                f"{checkpoint_facts.THINKING}, so it thinks always or never; leave the option out"
            )
        arguments[checkpoint_facts.THINKING] = choice.thinking == "on"
    return json.dumps(arguments) if arguments else ""


def _described(choice: ModelChoice, config: ModelConfig, preset: Preset | None, facts: CheckpointFacts) -> Resolved:
    """Return what is known of a model that was found."""
    title = preset.title if preset else _title(choice.model)
    if choice.base or config.sft:
        base_name = _title(choice.base) if choice.base else title
    else:
        base_name = preset.base if preset else ""
    return Resolved(
        choice=ModelChoice(
            _whole(choice.model), _whole(choice.base), _whole(choice.sft), config.quantize, choice.thinking
        ),
        config=config,
        name=f"{title} with {_title(choice.sft)}" if choice.sft else title,
        base_name=base_name,
        sampling=preset.sampling if preset else facts.sampling,
        context_tokens=facts.context_tokens,
        own_template=facts.own_template or bool(config.sft and checkpoint_facts.has_template(Path(config.sft))),
    )


def _preset(name: str) -> Preset | None:
    """Return the preset that is meant: by its name, by that of its chat model, or by the pocket model's folder."""
    if name and Path(name).expanduser().resolve() == POCKET.resolve():
        return presets()[POCKET_PRESET]
    return preset_of(name)


def _place(name: str, preset: Preset | None, online: bool) -> Path:
    """Return the folder or the GGUF file that holds a model."""
    if preset is None:
        return _found(name, "--model", online)
    if preset.name == POCKET_PRESET:
        return POCKET
    if name == preset.chat:
        return _found(name, "--model", online)
    return preset.packaged_file() or hub.fetch(preset.chat, online=online)


def _ships(preset: Preset | None, place: Path) -> str:
    """Return the folder of what ships with a preset, "" unless the weights are those that it was trained on."""
    if preset is None or not preset.ships or place != preset.packaged_file():
        return ""
    return str(ASSETS / preset.ships)


def _found(name: str, option: str, online: bool) -> Path:
    """Return where a folder, a GGUF file or a model of the hub lies."""
    path = Path(name).expanduser()
    is_gguf = path.suffix.lower() == ".gguf"
    if path.is_dir() or (is_gguf and path.is_file()):
        return path.resolve()
    if is_gguf:
        raise ModelLoadError(f"there is no file {path}; give {option} a GGUF file that is there")
    if path.is_file():
        raise ModelLoadError(f"{path} is a file; give {option} the folder that it lies in, or a .gguf file")
    if hub.HUB_NAME.fullmatch(name):
        return hub.fetch(name, online=online)
    if option != "--model":
        raise ModelLoadError(f"there is no folder {path}; give {option} a folder that is there, or a name on the hub")
    raise ModelLoadError(
        f"there is no folder {path}; give --model a folder, a .gguf file, a name on the hub such as "
        f"{presets()['qwen3-0.6b'].chat}, or one of {', '.join(presets())}"
    )


def _folder(name: str, option: str, online: bool) -> Path:
    """Return the folder of a pretrained checkpoint or an adapter."""
    place = _found(name, option, online)
    if place.is_file():
        raise ConfigError(f"{option} takes a folder or a name on the hub, got the file {place}")
    return place


def _own_adapter(place: Path) -> Path | None:
    """Return the instruction-tuned adapter in a model's folder, or None."""
    folder = place / model_folder.SFT
    return folder if folder.is_dir() else None


def _require_one_base(choice: ModelChoice, sft: Path | None, base: Path | None) -> None:
    """Raise ConfigError for a model that would have two bases."""
    if sft is None or base is None:
        return
    adapter = f"the adapter of --sft {choice.sft}" if choice.sft else f"{choice.model} holds an adapter in sft/, which"
    raise ConfigError(
        f"{adapter} lies on the model itself, so that one is the base; leave out --base {choice.base}"
        + (", or leave out --sft and give --model a chat model" if choice.sft else "")
    )


def _require_checkpoint(folder: Path, option: str) -> None:
    """Raise AdapterError for an adapter that is taken for a model, ModelLoadError for a folder without any."""
    if (folder / "config.json").is_file():
        return
    if (folder / "adapter_config.json").is_file():
        on = checkpoint_facts.json_object(folder / "adapter_config.json").get("base_model_name_or_path") or "its base"
        raise AdapterError(f"{folder} holds a LoRA adapter, not a model; give --model {on} --sft {folder}")
    raise ModelLoadError(
        f"no model at {folder} (config.json is missing); give {option} a folder with a causal LM in the Hugging Face "
        "layout, or a name on the hub"
    )


def _title(name: str) -> str:
    """Return what people see for a folder, a file or a name on the hub."""
    path = Path(name).expanduser()
    return path.stem if path.suffix.lower() == ".gguf" else path.resolve().name if path.is_dir() else path.name


def _whole(name: str) -> str:
    """Return a path as one from the root; any other name as it is."""
    if (preset := _preset(name)) is not None and preset.name == POCKET_PRESET:
        return POCKET_PRESET
    path = Path(name).expanduser()
    return str(path.resolve()) if name and path.exists() else name


def _remove_leftovers(folder: Path) -> None:
    """Remove what conversions left that were killed. Only one app uses a data folder, and none is at work yet."""
    for leftover in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)

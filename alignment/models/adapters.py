"""Named LoRA adapters on one base model: attach, copy, switch, save.

All adapters are found through PEFT's layers. `using` is the one way to choose what a forward pass goes through.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn

from alignment.errors import AdapterError
from alignment.models.heads import load_head, save_head
from alignment.models.loading import UNREADABLE
from alignment.models.model_folder import check_adapter
from alignment.models.routing import fuse


def attach(model: Any, folder: str | Path, name: str) -> PeftModel:
    """Load the adapter in `folder` under `name` and return the model that carries it, frozen."""
    folder = check_adapter(folder)
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(folder), adapter_name=name, is_trainable=False, autocast_adapter_dtype=True)
        else:
            model = PeftModel.from_pretrained(
                model, str(folder), adapter_name=name, is_trainable=False, autocast_adapter_dtype=True
            )
    except UNREADABLE as error:
        raise AdapterError(f"the adapter at {folder} does not fit this base: {error}") from error
    if not all(_is_linear(layer, name) for layer in model.modules() if isinstance(layer, LoraLayer)):
        model.delete_adapter(name)
        raise AdapterError(
            f"the adapter at {folder} has matrices on layers that are not linear, and such adapters cannot answer side "
            "by side on one base; train it on linear layers only"
        )
    fuse(model)
    model.eval()
    return model


def _is_linear(layer: Any, name: str) -> bool:
    linear = isinstance(layer.get_base_layer(), nn.Linear)
    return name not in layer.lora_embedding_A and (linear or name not in layer.lora_A)


def copy_adapter(model: PeftModel, source: str, target: str) -> None:
    """Add an adapter `target` with the weights of `source`."""
    config = model.peft_config[source]
    assert isinstance(config, LoraConfig)
    model.add_adapter(target, config)
    take_weights(adapter_parameters(model, target), adapter_parameters(model, source))
    model.eval()


def drop_adapter(model: Any, name: str) -> None:
    """Remove an adapter, if it is there. PEFT warns of dropping an active one, so another one is made active first."""
    if name in getattr(model, "peft_config", ()):
        if model.active_adapter == name and (others := [other for other in model.peft_config if other != name]):
            _route(model, others[0])
        model.delete_adapter(name)


@torch.no_grad()
def move_adapter(model: PeftModel, name: str, origin: str, share: float) -> None:
    """Put an adapter to `share` of the way from another one, of the same shape, to where it is."""
    start = adapter_parameters(model, origin)
    for weight, other in zip(adapter_parameters(model, name), start, strict=True):
        weight.lerp_(other, 1 - share)


@torch.no_grad()
def take_weights(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Set weights in place, one by one, to values of the same shapes."""
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)


@contextmanager
def using(model: PeftModel, name: str, *, train: bool = False) -> Iterator[None]:
    """Send every row through the adapter `name` until the context is left; then the one before is active again.

    With `train`, its weights take gradients meanwhile; no others do. Contexts may be nested, also between a forward
    pass and its backward pass: no `requires_grad` is flipped but that of the adapter which trains. (PEFT's own
    `set_adapter` flips it for all adapters and so drops gradients, silently.)

    Raises AdapterError for a name that is not loaded.
    """
    if name not in model.peft_config:
        raise AdapterError(f"no adapter {name!r} is loaded; there are {sorted(model.peft_config)}")
    before, weights = model.active_adapter, adapter_parameters(model, name) if train else []
    trained_before = [weight.requires_grad for weight in weights]
    _route(model, name)
    try:
        for weight in weights:
            weight.requires_grad_(True)
        yield
    finally:
        for weight, trained in zip(weights, trained_before, strict=True):
            weight.requires_grad_(trained)
        if before in model.peft_config:
            _route(model, before)


def _route(model: PeftModel, name: str) -> None:
    """Make `name` the active adapter of the model and all of its layers, and touch nothing else."""
    for layer in lora_layers(model):
        layer._active_adapter = [name]
    model.base_model.active_adapter = name
    model.active_adapter = name


def lora_layers(model: nn.Module) -> list[Any]:
    """Return the layers of a model that carry adapters, in the order of its modules."""
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def adapter_parameters(model: nn.Module, name: str) -> list[nn.Parameter]:
    """Return the weights of one adapter, A then B of each layer, in the order of the model's layers."""
    return [
        matrices[name].weight
        for layer in lora_layers(model)
        for matrices in (layer.lora_A, layer.lora_B)
        if name in matrices
    ]


def attach_with_head(model: PeftModel, folder: str | Path, name: str) -> nn.Linear:
    """Attach the adapter in a folder under a name; return the head or heads stored beside it."""
    attach(model, folder, name)
    return load_head(model, folder)


def save_adapter(model: PeftModel, name: str, folder: Path, head: nn.Linear | None = None) -> None:
    """Write one adapter, and its head if given, into a folder as safetensors, in the precision they are held in."""
    state = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    weights = {key: value.contiguous().cpu() for key, value in state.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config[name].to_dict()
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    config |= {"base_model_name_or_path": None, "inference_mode": True}  # no path of the machine that trained it
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n")
    if head is not None:
        save_head(head, folder)

"""Named LoRA adapters on one base model: attach, copy, switch, save.

All adapters are found through PEFT's layers. `using` is the one way to choose what a forward pass goes through.
"""

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.utils import transformers_weight_conversion
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from alignment.errors import AdapterError
from alignment.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE, AdapterFile, read_adapter
from alignment.models.adapter_layers import base_layers, is_copy, placed, trained_layers
from alignment.models.heads import load_head, save_head
from alignment.models.loading import UNREADABLE
from alignment.models.routing import fuse

SHARED = ("use_rslora", "lora_dropout")  # fields of a configuration that hold for all of its layers


def attach(model: Any, folder: str | Path, name: str) -> PeftModel:
    """Load the adapter in `folder` under `name` and return the model that carries it, frozen.

    Raises AdapterError for an adapter that would not be applied exactly as it was trained; the model is then as it was.
    """
    file = read_adapter(folder)
    placement = placed(model, file)
    try:
        weights = load_file(file.folder / WEIGHTS_FILE)
    except UNREADABLE as error:
        raise AdapterError(f"the adapter at {folder} does not fit this base: {error}") from error
    _refuse_changed_weights(model, file, weights)
    config = _config_of(
        model, placement.ranks, placement.alphas, **{key: file.config[key] for key in SHARED if key in file.config}
    )
    model = _with_adapter(model, config, name)
    for layer in placement.layers:
        lora = model.get_base_model().get_submodule(layer)
        for which, matrices in (("A", lora.lora_A), ("B", lora.lora_B)):
            take_weights([matrices[name].weight], [weights[file.keys[placement.layers[layer], which]]])
    return model


def attach_new(model: Any, name: str, rank: int, seed: int) -> PeftModel:
    """Add an adapter that changes nothing yet, on each linear layer of the transformer; return the model, frozen.

    Of its two matrices B is zero, and A is drawn with the seed, as uniformly as PEFT draws it. `trained_layers` says
    which layers they are.
    """
    layers = trained_layers(model)
    config = _config_of(model, dict.fromkeys(layers, rank), dict.fromkeys(layers, 2 * rank))
    model = _with_adapter(model, config, name)
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        lora = model.get_base_model().get_submodule(layer)
        down, up = lora.lora_A[name].weight, lora.lora_B[name].weight
        bound = down.shape[1] ** -0.5
        drawn = torch.rand(down.shape, generator=generator) * 2 * bound - bound
        take_weights([down, up], [drawn, torch.zeros_like(up)])
    return model


def _refuse_changed_weights(model: Any, file: AdapterFile, weights: dict[str, Tensor]) -> None:
    """Raise AdapterError if a file holds whole weights that are not the base's own.

    PEFT saves copies of embeddings and output layer beside an adapter of them; a vocabulary that grew is saved so too.
    """
    layers = base_layers(model)
    for key in file.others:
        layer, _, kind = key.removeprefix("base_model.model.").rpartition(".")
        held = getattr(layers.get(layer.removesuffix(".base_layer")), kind, None)
        if not is_copy(weights[key], held):
            raise AdapterError(
                f"the adapter at {file.folder} holds {key} {list(weights[key].shape)}, a weight that is not this "
                "base's; such adapters cannot answer side by side on one base. Give the base that it was trained on, "
                "or train it as plain LoRA"
            )


def _config_of(model: Any, ranks: dict[str, int], alphas: dict[str, float], **shared: Any) -> LoraConfig:
    """Return the configuration of an adapter on some layers, each with its rank and alpha.

    PEFT sets no weights by it: they are set afterwards.
    """
    layers = base_layers(model)
    rank, alpha = (Counter(held.values()).most_common(1)[0][0] for held in (ranks, alphas))
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,  # PEFT divides by it, whole or not
        rank_pattern={re.escape(name): other for name, other in ranks.items() if other != rank},
        alpha_pattern={re.escape(name): other for name, other in alphas.items() if other != alpha},
        target_modules=list(ranks),
        fan_in_fan_out=all(isinstance(layers[name], Conv1D) for name in ranks),
        init_lora_weights=False,
        inference_mode=True,
        task_type="CAUSAL_LM",
        **shared,
    )


def _with_adapter(model: Any, config: LoraConfig, name: str) -> PeftModel:
    """Return a model with an adapter on exactly the layers that a configuration lists, its weights still to be set."""
    wanted = set(config.target_modules or ())
    with _names_as_they_are():
        if isinstance(model, PeftModel):
            model.add_adapter(name, config)
        else:
            model = PeftModelForCausalLM(model, config, name)
    got = {layer for layer, module in model.get_base_model().named_modules() if name in getattr(module, "lora_A", ())}
    if got != wanted:
        drop_adapter(model, name)
        raise AdapterError(f"PEFT put {name!r} on other layers than asked for: {sorted(got ^ wanted)[:3]}")
    for weight in adapter_parameters(model, name):
        weight.requires_grad_(False)
    fuse(model)
    model.eval()
    return model


@contextmanager
def _names_as_they_are() -> Iterator[None]:
    """Keep PEFT from reading names of layers as those of experts: `gate_proj` of a shared expert is a layer of its own.

    It also warns of each layer whose weight lies transposed (`Conv1D`) where not all do, and sets that right.
    """
    own = transformers_weight_conversion.convert_peft_config_for_transformers
    transformers_weight_conversion.convert_peft_config_for_transformers = lambda *_, **__: None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
            yield
    finally:
        transformers_weight_conversion.convert_peft_config_for_transformers = own


def copy_adapter(model: PeftModel, source: str, target: str) -> None:
    """Add an adapter `target` with the weights of `source`."""
    config = model.peft_config[source]
    assert isinstance(config, LoraConfig)
    with _names_as_they_are():
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
def using(model: PeftModel, name: str | None, *, train: bool = False) -> Iterator[None]:
    """Send every row through the adapter `name` until the context is left; then the one before is active again.

    Without a name, rows go through the weights as they are; so they do in a model that carries no adapter.

    With `train`, its weights take gradients meanwhile; no others do. Contexts may be nested, also between a forward
    pass and its backward pass: no `requires_grad` is flipped but that of the adapter which trains. (PEFT's own
    `set_adapter` flips it for all adapters and so drops gradients, silently.)

    Raises AdapterError for a name that is not loaded.
    """
    if name is None and not isinstance(model, PeftModel):
        yield
        return
    if name is not None and name not in model.peft_config:
        raise AdapterError(f"no adapter {name!r} is loaded; there are {sorted(model.peft_config)}")
    before, weights = _routed(model), adapter_parameters(model, name) if train and name else []
    trained_before = [weight.requires_grad for weight in weights]
    _route(model, name)
    try:
        for weight in weights:
            weight.requires_grad_(True)
        yield
    finally:
        for weight, trained in zip(weights, trained_before, strict=True):
            weight.requires_grad_(trained)
        if before is None or before in model.peft_config:
            _route(model, before)


def _route(model: PeftModel, name: str | None) -> None:
    """Make `name` the active adapter of the model and all of its layers, or of no layer, and touch nothing else."""
    for layer in lora_layers(model):
        layer._active_adapter = [] if name is None else [name]
    if name is not None:  # the model itself has to name one
        model.base_model.active_adapter = name
        model.active_adapter = name


def _routed(model: PeftModel) -> str | None:
    """Return the adapter that rows go through, None for no adapter."""
    active: list[str] = next((layer._active_adapter for layer in lora_layers(model)), [model.active_adapter])
    return active[0] if active else None


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
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = model.peft_config[name].to_dict()
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    config |= {"base_model_name_or_path": None, "inference_mode": True}  # no path of the machine that trained it
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True, default=str) + "\n")
    if head is not None:
        save_head(head, folder)

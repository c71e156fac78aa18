"""Which layers of a model an adapter goes on: those that its file names, or all that a fresh one is to train."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from alignment.errors import AdapterError
from alignment.models.adapter_files import AdapterFile, examples
from alignment.models.architecture import causal_lm, text_config

# Parts of a name that only say how deep a language model lies within another: text models and multimodal ones differ.
WRAPPERS = ("model", "language_model", "base_model", "text_model")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True)
class Placement:
    """Where the matrices of an adapter go, and how each layer's are scaled."""

    layers: dict[str, str]  # the layer that the file speaks of, by the model's name for it
    ranks: dict[str, int]  # by the model's names
    alphas: dict[str, float]


def is_linear(layer: nn.Module) -> bool:
    """Return whether a layer is a matrix product: torch's, a quantized one of its kind, or GPT-2's `Conv1D`."""
    return isinstance(layer, nn.Linear | Conv1D)


def layer_features(layer: Any) -> tuple[int, int]:
    """Return how many numbers a linear layer takes and gives."""
    if isinstance(layer, Conv1D):
        return int(layer.weight.shape[0]), int(layer.weight.shape[1])
    return int(layer.in_features), int(layer.out_features)


def base_layers(model: Any) -> dict[str, nn.Module]:
    """Return all modules of a model by name, as if it carried no adapters."""
    return dict(_walked(causal_lm(model), ""))


def _walked(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(module, LoraLayer):
        yield name, module.get_base_layer()
        return
    yield name, module
    for child, inner in module.named_children():
        yield from _walked(inner, f"{name}.{child}" if name else child)


def placed(model: Any, file: AdapterFile) -> Placement:
    """Return where an adapter's matrices go in a model.

    Raises AdapterError unless each has a linear layer of its shape, and each layer of the configuration a matrix.
    """
    layers = base_layers(model)
    named = dict.fromkeys(layer for layer, _ in file.keys)
    to_model = _model_names(named, layers)
    shapes = {file.keys[place]: shape for place, shape in file.matrices.items()}
    if unknown := [key for (layer, _), key in file.keys.items() if layer not in to_model]:
        linear = next((name for name, layer in reversed(layers.items()) if is_linear(layer)), "none")
        raise AdapterError(
            f"the adapter at {file.folder} does not fit this base: the base has no layer for "
            f"{examples(unknown, shapes)}; a linear layer of it is {linear}. Give the base that it was trained on"
        )
    config = _lora_config(file)
    own = {name: layer for layer, name in to_model.items()}
    _require_all(file, config, own, model, layers)
    ranks, alphas = {}, {}
    for name, layer in own.items():
        if not is_linear(layers[name]) or _passed_by(model, name):
            raise AdapterError(
                f"the adapter at {file.folder} has matrices on {layer}, a {type(layers[name]).__name__}, through which "
                "this model does not go as a linear layer; train it on linear layers only, and not on this one"
            )
        ranks[name] = rank = config.rank_pattern.get(get_pattern_key(config.rank_pattern, layer), config.r)
        alphas[name] = config.alpha_pattern.get(get_pattern_key(config.alpha_pattern, layer), config.lora_alpha)
        inputs, outputs = layer_features(layers[name])
        for which, fitting in (("A", (rank, inputs)), ("B", (outputs, rank))):
            if file.matrices[layer, which] != fitting:
                raise AdapterError(
                    f"the adapter at {file.folder} does not fit this base: "
                    f"{examples([file.keys[layer, which]], shapes)} should be {list(fitting)} by its configuration "
                    "and the base's layer. Give the base that it was trained on"
                )
    return Placement(own, ranks, alphas)


def _model_names(named: Iterable[str], layers: dict[str, nn.Module]) -> dict[str, str]:
    """Return the model's names of the layers that a file names: the same, or the same below another wrapper."""
    if all(name in layers for name in named):
        return {name: name for name in named}
    inner: dict[str, list[str]] = {}
    for name in layers:
        inner.setdefault(_unwrapped(name), []).append(name)
    found = {name: inner.get(_unwrapped(name), []) for name in named}
    return {name: candidates[0] for name, candidates in found.items() if len(candidates) == 1}


def _unwrapped(name: str) -> str:
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in WRAPPERS:
        parts.pop(0)
    return ".".join(parts)


def _lora_config(file: AdapterFile) -> LoraConfig:
    try:
        return LoraConfig(**file.config)
    except (TypeError, ValueError) as error:
        raise AdapterError(f"the configuration of the adapter at {file.folder} is broken: {error}") from error


def _require_all(
    file: AdapterFile, config: LoraConfig, own: dict[str, str], model: Any, layers: dict[str, nn.Module]
) -> None:
    """Raise AdapterError for layers that the configuration asks for and the file holds no matrices of.

    Below another wrapper than it was trained in, the adapter cannot have meant layers beside the language model.
    """
    heads = {_head(name): _head(layer) for name, layer in own.items()}
    renamed = any(model_head != head for model_head, head in heads.items())
    beside = set() if not renamed else layers.keys() - _language_layers(model)
    missing = []
    for name in layers.keys() - own.keys() - beside:
        head = _head(name)
        if name and check_target_module_exists(config, heads.get(head, head) + name.removeprefix(head)):
            missing.append(name)
    if missing:
        raise AdapterError(
            f"the adapter at {file.folder} holds no matrices for {', '.join(sorted(missing)[:3])}"
            f"{'' if len(missing) <= 3 else f' and {len(missing) - 3} more layers'}, which its configuration asks for; "
            "it was saved in part or trained on another base, so save it anew or give that base"
        )


def _head(name: str) -> str:
    return name.removesuffix(_unwrapped(name))


def _language_layers(model: Any) -> set[str]:
    """Return the names of the modules of the language model, without what a multimodal one has beside it."""
    inner = causal_lm(model)
    decoder, output = inner.get_decoder(), inner.get_output_embeddings()
    names = {module: name for name, module in inner.named_modules()}
    within = f"{names[decoder]}."
    return {name for name in base_layers(model) if name.startswith(within)} | {names[output]}


def trained_layers(model: Any) -> list[str]:
    """Return the names of the layers that a fresh adapter goes on: all linear ones of the language model's transformer.

    The output layer is not among them, nor what a multimodal model sees and hears with, nor the routers and experts of
    a mixture: an adapter on a router would change who answers, and one on each expert would be larger than the rest.
    """
    layers, config = base_layers(model), text_config(model)
    below = _language_layers(model) - {name for name, layer in layers.items() if layer is _output_layer(model)}
    gates = {1, *(int(getattr(config, field, None) or 1) for field in EXPERTS)}
    return [
        name
        for name, layer in layers.items()
        if name in below
        and is_linear(layer)
        and layer_features(layer)[1] not in gates
        and "experts" not in name.split(".")
        and not _passed_by(model, name)
    ]


def _output_layer(model: Any) -> Any:
    output = causal_lm(model).get_output_embeddings()
    return output.get_base_layer() if isinstance(output, LoraLayer) else output


def _passed_by(model: Any, name: str) -> bool:
    """Return whether a model's own kernels read a layer's weight past its forward pass (Mamba's last projection)."""
    kind = str(getattr(causal_lm(model).config, "model_type", ""))
    return name.endswith(".out_proj") and ("mamba" in kind or kind in ("falcon_h1", "nemotron_h"))


def is_copy(tensor: Tensor, weight: Tensor | None) -> bool:
    """Return whether a tensor of an adapter's file is the base's own weight."""
    if weight is None or weight.shape != tensor.shape or not weight.is_floating_point():
        return False
    return bool((tensor.to(weight.device, weight.dtype) == weight).all())

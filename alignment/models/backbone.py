"""One base model, possibly quantized, with named LoRA adapters and scalar heads on it."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from alignment.errors import AdapterError, ModelLoadError
from alignment.models.model_folder import check_adapter, check_base
from alignment.settings import Quantize

log = logging.getLogger(__name__)

BASE = "__base__"  # PEFT's own name for a row without any adapter
HEAD_FILE = "head.safetensors"
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)  # what loading a broken file raises


def best_device() -> torch.device:
    """Return the first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device has bf16 instructions; without them, autocast to bf16 is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def load_base(folder: str | Path, quantize: Quantize = "none", dtype: torch.dtype | None = None) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a local checkpoint, frozen and in eval mode; unless a dtype is given, fp32 on CPU
    and bf16 on CUDA.

    Raises ModelLoadError at once for a folder that is missing or holds no checkpoint; nothing is looked up elsewhere.
    """
    folder = check_base(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = best_device()
    dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            dtype=dtype,
            quantization_config=_quantization(quantize, dtype),
            device_map={"": device} if quantize != "none" or device.type == "cuda" else None,
        )
    except UNREADABLE as error:
        raise ModelLoadError(f"the model at {folder} could not be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    _keep_nf4_trainable(model)
    model.requires_grad_(False)
    model.eval()
    return model, tokenizer


def _quantization(quantize: Quantize, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if quantize == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def _keep_nf4_trainable(model: nn.Module) -> None:
    """Forbid bitsandbytes to repack NF4 weights on AVX512-BF16 processors: that cuts later gradients, silently."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010


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
    _fuse(model)
    model.eval()
    return model


def _is_linear(layer: Any, name: str) -> bool:
    linear = isinstance(layer.get_base_layer(), nn.Linear)
    return name not in layer.lora_embedding_A and (linear or name not in layer.lora_A)


def _fuse(model: PeftModel) -> None:
    """Let the layers add what an adapter adds within its second product: PEFT scales it and adds it in two passes of
    their own over all outputs, which take a seventh of a training step of a small model.
    """
    for layer in model.modules():
        if isinstance(layer, LoraLayer) and "forward" not in layer.__dict__:
            layer.forward = _fused(layer)


def _fused(layer: Any) -> Callable[..., Tensor]:
    """Return a forward pass of a layer: x W + scaling (x A) B; all but one adapter without dropout is left to PEFT."""
    own, base = layer.forward, layer.get_base_layer()

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        names = layer.active_adapters
        alone = len(names) == 1 and names[0] in layer.lora_A
        if not alone or kwargs or layer.training or layer.disable_adapters or layer.merged:
            return own(x, *args, **kwargs)  # type: ignore[no-any-return]
        name = names[0]
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        result: Tensor = base(x, *args)
        added_to = result.flatten(0, -2).to(up.dtype)
        inner = nn.functional.linear(x.flatten(0, -2).to(down.dtype), down)
        return torch.addmm(added_to, inner, up.T, alpha=layer.scaling[name]).view(result.shape).to(result.dtype)

    return forward


def copy_adapter(model: PeftModel, source: str, target: str) -> None:
    """Add an adapter `target` with the weights of `source`."""
    config = model.peft_config[source]
    assert isinstance(config, LoraConfig)
    model.add_adapter(target, config)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            if f".{target}." in name:
                parameter.copy_(parameters[name.replace(f".{target}.", f".{source}.")])
    model.eval()


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


def activate(model: PeftModel, name: str, *, train: bool = False) -> None:
    """Make `name` the adapter that every row goes through; only if `train` do its weights take gradients.

    Finish a backward pass before switching: PEFT flips `requires_grad` and would drop its gradients silently.
    """
    model.set_adapter(name)
    for parameter in adapter_parameters(model, name):
        parameter.requires_grad_(train)


def adapter_parameters(model: PeftModel, name: str) -> list[nn.Parameter]:
    """Return the weights of one adapter, in a fixed order."""
    return [parameter for key, parameter in model.named_parameters() if f".{name}." in key]


@contextmanager
def mixed_adapters(model: PeftModel, names: Sequence[str]) -> Iterator[None]:
    """Send row i of every batch through adapter `names[i]` (`BASE` for none) until the context is left.

    The adapters of a layer are stacked, so that all rows go through it in two batched products: PEFT's own mixed
    batches loop over the adapters in every layer, which takes nearly twice as long where a step is one small token.
    """
    known = set(model.peft_config) | {BASE}
    if unknown := set(names) - known:
        raise AdapterError(f"no adapter {sorted(unknown)} is loaded; there are {sorted(known)}")
    with _going_through(model, lambda layer: _stacked(layer, names)):
        yield


@contextmanager
def _going_through(model: Any, forward_of: Callable[[Any], Callable[..., Tensor] | None]) -> Iterator[None]:
    """Let every layer with adapters pass through `forward_of` it, if that is not None, until the context is left."""
    replaced = []
    try:
        for layer in (module for module in model.modules() if isinstance(module, LoraLayer)):
            if (forward := forward_of(layer)) is not None:
                replaced.append((layer, layer.__dict__.get("forward")))
                layer.forward = forward
        yield
    finally:
        for layer, before in replaced:
            if before is None:
                del layer.forward  # the class's own is found again
            else:
                layer.forward = before


def _stacked(layer: Any, names: Sequence[str]) -> Callable[..., Tensor]:
    """Return a forward pass of a layer that adds to row i what adapter `names[i]` adds: B (A x) * scaling."""
    base = layer.get_base_layer()
    carried = [layer.lora_A[name].weight for name in names if name in layer.lora_A]
    if not carried:
        return base.__call__  # type: ignore[no-any-return]
    rank, dtype, device = max(len(weight) for weight in carried), carried[0].dtype, carried[0].device
    down = torch.zeros(len(names), layer.in_features, rank, device=device, dtype=dtype)
    up = torch.zeros(len(names), rank, layer.out_features, device=device, dtype=dtype)
    with torch.no_grad():
        for row, name in enumerate(names):
            if name in layer.lora_A:
                down[row, :, : layer.r[name]] = layer.lora_A[name].weight.T
                up[row, : layer.r[name]] = layer.lora_B[name].weight.T * layer.scaling[name]

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = base(x, *args, **kwargs)
        return (result + torch.bmm(torch.bmm(x.to(dtype), down), up)).to(result.dtype)

    return forward


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Go through weights that hold the active adapter already until the context is left, for passes without gradients.

    Where a step is one small token, two thirds of the products are the adapter's. Layers that are quantized or in half
    precision could not hold the sum as exactly and go on as they are; so does a model without an adapter.
    """
    with _going_through(model, _with_adapter):
        yield


@torch.no_grad()
def _with_adapter(layer: Any) -> Callable[..., Tensor] | None:
    """Return a forward pass through one matrix, the base's plus what the adapter adds to it, or None if it is not to be
    added up.
    """
    base, name = layer.get_base_layer(), layer.active_adapters[0]
    if type(base) is not nn.Linear or base.weight.dtype != torch.float32 or layer.disable_adapters:
        return None
    weight = base.weight + layer.get_delta_weight(name) if name in layer.lora_A else base.weight
    return lambda x, *args, **kwargs: nn.functional.linear(x, weight, base.bias)


def trunk(model: PeftModel) -> nn.Module:
    """Return the transformer below the output layer; its first output is the hidden states (B, T, H)."""
    causal_lm: Any = model.get_base_model()
    return getattr(causal_lm, causal_lm.base_model_prefix)  # type: ignore[no-any-return]


def hidden_states(model: PeftModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the last hidden states (B, T, H) of rows (B, T), padded where the mask is 0, by the active adapter."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    states: Tensor = trunk(model)(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)[0]
    return states


def new_head(model: PeftModel, outputs: int = 1) -> nn.Linear:
    """Return a linear head from hidden states to `outputs` scalars, starting at zero."""
    causal_lm: Any = model.get_base_model()
    head = nn.Linear(causal_lm.config.hidden_size, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head.to(causal_lm.device)


def mean_head(heads: nn.Linear) -> nn.Linear:
    """Return a head of its own to the mean of all outputs."""
    head = nn.Linear(heads.in_features, 1, device=heads.weight.device)
    with torch.no_grad():
        head.weight.copy_(heads.weight.mean(0, keepdim=True))
        head.bias.copy_(heads.bias.mean(0, keepdim=True))
    return head


def load_head(model: PeftModel, folder: str | Path) -> nn.Linear:
    """Return the head stored beside an adapter, with as many outputs as are stored, or raise AdapterError."""
    path = Path(folder) / HEAD_FILE
    if not path.is_file():
        raise AdapterError(f"no scalar head at {path}")
    try:
        stored = {key: value.float() for key, value in load_file(path).items()}
        head = new_head(model, len(stored["bias"]))
        head.load_state_dict(stored)
    except UNREADABLE as error:
        raise AdapterError(f"the head at {path} does not fit this base: {error}") from error
    return head


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
        save_file({key: value.contiguous().cpu() for key, value in head.state_dict().items()}, folder / HEAD_FILE)

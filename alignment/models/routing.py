"""Forward passes through adapters: one adapter for all rows, another one for each row, or added into the weights."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from alignment.errors import AdapterError

BASE = "__base__"  # PEFT's own name for a row without any adapter


def fuse(model: PeftModel) -> None:
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

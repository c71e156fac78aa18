"""Forward passes through adapters: one adapter for all rows, another one for each row, or added into the weights."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from alignment.errors import AdapterError

BASE = "__base__"  # PEFT's own name for a row without any adapter
STACKS_KEPT = 4  # sets of adapters
Forwards = list[tuple[Any, Callable[..., Tensor]]]  # layers, and what they pass through instead of their own


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


class StackedAdapters:
    """Sends each row of a batch through an adapter of its own, and keeps what it needs for that.

    In each layer the A of all adapters of a batch are put side by side, and so are their B, so that all rows go
    through two products (after Punica, Chen et al. 2023, and S-LoRA, Sheng et al. 2023); in between, each row keeps
    what is of its own adapter. PEFT's own mixed batches loop over the adapters in every layer, which takes nearly
    twice as long where a step is one small token.

    The stacks of the last few sets of adapters are kept, until one of their adapters is dropped from the model. They
    are copies: adapters that train meanwhile would go unseen.
    """

    def __init__(self, model: PeftModel) -> None:
        self._model = model
        self._stacks: OrderedDict[tuple[str, ...], _Stack] = OrderedDict()  # by names, the last used one last
        self._configs: dict[str, Any] = {}  # of the model's adapters when the stacks were looked through last
        self._layers: list[Any] = []

    @contextmanager
    def rows(self, names: Sequence[str]) -> Iterator[None]:
        """Send row i of every batch through adapter `names[i]` (`BASE` for none) until the context is left.

        Raises AdapterError for a name that is not loaded.
        """
        self._drop_outdated()
        known = self._configs.keys() | {BASE}
        if unknown := set(names) - known:
            raise AdapterError(f"no adapter {sorted(unknown)} is loaded; there are {sorted(known)}")
        stack = self._stack_of(tuple(sorted(set(names) - {BASE})))
        stack.assign(names)
        with going_through(stack.forwards):
            yield

    def _stack_of(self, names: tuple[str, ...]) -> "_Stack":
        if names not in self._stacks:
            self._stacks[names] = _Stack(self._layers, names)
        self._stacks.move_to_end(names)
        while len(self._stacks) > STACKS_KEPT:
            self._stacks.popitem(last=False)
        return self._stacks[names]

    def _drop_outdated(self) -> None:
        """Drop the stacks of adapters that were dropped or replaced, and all of them if other layers carry adapters."""
        configs, before = self._model.peft_config, self._configs
        if len(configs) == len(before) and all(configs.get(name) is config for name, config in before.items()):
            return
        changed = {name for name in configs.keys() | before.keys() if configs.get(name) is not before.get(name)}
        layers = [module for module in self._model.modules() if isinstance(module, LoraLayer)]
        for key in list(self._stacks):
            if changed & set(key) or len(layers) != len(self._layers):
                del self._stacks[key]
        self._configs, self._layers = dict(configs), layers


class _Stack:
    """Some adapters, their matrices side by side in each layer, and which of them each row goes through."""

    def __init__(self, layers: Sequence[Any], names: tuple[str, ...]) -> None:
        self._names = names
        self._rows: tuple[str, ...] = ()
        self._masks: dict[tuple[int, ...], Tensor | None] = {}  # (B, 1, R) by the ranks, which may differ by layer
        weights = (layer.lora_A[name].weight for layer in layers for name in names if name in layer.lora_A)
        self._like: Tensor | None = next(weights, None)  # a tensor of the device and type that masks are to have
        self.forwards: Forwards = [(layer, self._forward_of(layer)) for layer in layers]

    def assign(self, rows: Sequence[str]) -> None:
        """Send row i through adapter `rows[i]`."""
        if tuple(rows) == self._rows:
            return
        self._rows = tuple(rows)
        for ranks in self._masks:
            assert self._like is not None
            columns = [name for name, rank in zip(self._names, ranks, strict=True) for _ in range(rank)]
            kept = [[float(name == column) for column in columns] for name in rows]
            mixed = not all(map(all, kept))
            self._masks[ranks] = self._like.new_tensor(kept).unsqueeze(1) if mixed else None

    @torch.no_grad()
    def _forward_of(self, layer: Any) -> Callable[..., Tensor]:
        """Return a forward pass of a layer that adds to each row what its adapter adds: scaling B (A x)."""
        base = layer.get_base_layer()
        names = [name for name in self._names if name in layer.lora_A]
        if not names:
            return base.__call__  # type: ignore[no-any-return]
        ranks = tuple(layer.r[name] if name in names else 0 for name in self._names)
        self._masks[ranks] = None
        down = torch.cat([layer.lora_A[name].weight for name in names])  # (R, in)
        up = torch.cat([layer.lora_B[name].weight.T * layer.scaling[name] for name in names])  # (R, out)
        masks = self._masks

        def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            result: Tensor = base(x, *args, **kwargs)
            inner = nn.functional.linear(x if x.dtype is down.dtype else x.to(down.dtype), down)  # (B, T, R)
            if (mask := masks[ranks]) is not None:
                inner.mul_(mask)
            added = inner @ up
            return result + added if result.dtype is added.dtype else (result + added).to(result.dtype)

        return forward


@contextmanager
def going_through(forwards: Forwards) -> Iterator[None]:
    """Let layers pass through other forward functions until the context is left.

    They are put in and taken out for every step of decoding, so past the setter of `nn.Module`, which takes longer.
    """
    before = [(layer.__dict__, layer.__dict__.get("forward")) for layer, _ in forwards]
    try:
        for layer, forward in forwards:
            layer.__dict__["forward"] = forward
        yield
    finally:
        for attributes, own in before:
            if own is None:
                attributes.pop("forward", None)  # the class's own is found again
            else:
                attributes["forward"] = own


@contextmanager
def merged(model: Any) -> Iterator[None]:
    """Go through weights that hold the active adapter already until the context is left, for passes without gradients.

    Where a step is one small token, two thirds of the products are the adapter's. Layers that are quantized or in half
    precision could not hold the sum as exactly and go on as they are; so does a model without an adapter.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    forwards = [(layer, forward) for layer in layers if (forward := _with_adapter(layer)) is not None]
    with going_through(forwards):
        yield


@torch.no_grad()
def _with_adapter(layer: Any) -> Callable[..., Tensor] | None:
    """Return a forward pass through one matrix, the base's plus what the adapter adds to it.

    None for a layer that is quantized, in half precision or has its adapters switched off: it is not added up.
    """
    base, name = layer.get_base_layer(), next(iter(layer.active_adapters), None)
    if type(base) not in (nn.Linear, Conv1D) or base.weight.dtype != torch.float32 or layer.disable_adapters:
        return None
    weight = base.weight + layer.get_delta_weight(name) if name in layer.lora_A else base.weight
    matrix = weight.T if isinstance(base, Conv1D) else weight
    return lambda x, *args, **kwargs: nn.functional.linear(x, matrix, base.bias)

"""Several processes that train one model together. Each holds it whole, does its share, and is told the others'.

One process is the rule, and then nothing here does anything. All of a group go through the same code: whatever depends
on a clock, a file or the database is decided by the first one, and told (`told`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed
from torch.nn import Parameter

from alignment.errors import LostWorkerError

T = TypeVar("T")
U = TypeVar("U")
PATIENCE = timedelta(days=1)  # for the others; who starts a group ends it as soon as one of them is gone
_apart = 0  # how many contexts of `alone` are open


def join() -> None:
    """Become one of the group that torchrun started; it has set in the environment which one of how many.

    Ray has joined its workers already.
    """
    if distributed.is_initialized():
        return
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(distributed.get_node_local_rank())
    with _noticing_who_is_gone():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=PATIENCE)


def leave() -> None:
    """Leave the group, if there is one of torchrun's; Ray's is Ray's to end."""
    if distributed.is_initialized() and distributed.is_torchelastic_launched():
        distributed.destroy_process_group()


def count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() and not _apart else 1


def number() -> int:
    """Return which one of them this is, from 0."""
    return distributed.get_rank() if count() > 1 else 0


def first() -> bool:
    """Return whether this process is the one that writes files and rows: always, where it is the only one."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work as if it were the only one until the context is left: the others do not do this."""
    global _apart
    _apart += 1
    try:
        yield
    finally:
        _apart -= 1


def share(items: int) -> int:
    """Return how many of some items are a process's share, at least one."""
    return max(1, math.ceil(items / count()))


def mine(items: Sequence[T]) -> Sequence[T]:
    """Return the items that are this process's to do."""
    return items[number() :: count()]


def divided(items: Sequence[T], act: Callable[[Sequence[T]], Sequence[U]]) -> list[U]:
    """Return what `act` makes of all items, one each; every process acts on its share and is told the rest."""
    if count() == 1:
        return list(act(items))
    own = mine(items)
    made: list[U | None] = [None] * len(items)
    for place, results in enumerate(_gathered(list(act(own)) if own else [])):
        made[place :: count()] = results
    return made  # type: ignore[return-value]


def told(find: Callable[[], T]) -> T:
    """Return what the first process finds; the others do not look. What it raises, it alone raises."""
    if count() == 1:
        return find()
    found: list[T | None] = [find() if number() == 0 else None]
    with _noticing_who_is_gone():
        distributed.broadcast_object_list(found)
    return found[0]  # type: ignore[return-value]


def wait() -> None:
    """Wait until all processes of the group have come here."""
    if count() > 1:
        _gathered(None)


def add_up(parameters: Sequence[Parameter], metrics: dict[str, float]) -> dict[str, float]:
    """Replace the gradients of parameters by their sum over all processes and return the sums of the metrics.

    Sums are formed in one order everywhere, so that all processes take the same step.
    """
    if count() == 1:
        return metrics
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    with _noticing_who_is_gone():
        distributed.all_reduce(flat)
    for parameter, summed in zip(parameters, flat.split([one.numel() for one in parameters]), strict=True):
        parameter.grad = summed.view_as(parameter)
    total: dict[str, float] = {}
    for own in _gathered(metrics):
        total |= {name: total.get(name, 0.0) + value for name, value in own.items()}
    return total


def _gathered(own: T) -> list[T]:
    """Return what every process has, in the order of their numbers."""
    held: list[T | None] = [None] * count()
    with _noticing_who_is_gone():
        distributed.all_gather_object(held, own)
    return held  # type: ignore[return-value]


@contextmanager
def _noticing_who_is_gone() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo's: connection closed by peer
        raise LostWorkerError(f"another process of this run is gone: {error}") from error

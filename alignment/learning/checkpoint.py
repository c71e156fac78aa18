"""Where a training loop stands, on disk: written whole or not at all, so that a killed run can go on."""

import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alignment.errors import TrainingError
from alignment.models import workers
from storage.version_folders import fsync


@dataclass
class LoopState:
    """All that changes while a policy is trained, and so all that a resumed run needs besides its settings."""

    trained: list[Tensor]  # weights of adapters and heads, and means of such, in a fixed order
    optimizers: tuple[torch.optim.Optimizer, ...]
    order: random.Random  # which prompts come next and the seeds of their completions
    shuffle: torch.Generator  # the order of the minibatches
    updates: int = 0  # done so far
    numbers: dict[str, float] = field(default_factory=dict)  # what was measured once or is steered on the way

    def save(self, path: Path | None) -> None:
        """Replace the checkpoint at `path`, durably; a process killed meanwhile leaves the one before it.

        Without a path, nothing is kept. Where several processes train, all hold the same, and the first one writes it.
        """
        if path is None or not workers.first():
            return
        state = {
            "trained": [parameter.detach() for parameter in self.trained],
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "order": self.order.getstate(),
            "shuffle": self.shuffle.get_state(),
            "updates": self.updates,
            "numbers": self.numbers,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.name}.new")
        try:
            with scratch.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)  # on a full disk, others need the room
            raise
        fsync(path.parent)

    def restore(self, path: Path | None) -> None:
        """Take everything from the checkpoint at `path`; without one, stay at the beginning.

        Raises TrainingError for a file that cannot be read or belongs to adapters of another shape; it is set aside, so
        that the next try does not come upon it again.
        """
        if path is None or not path.is_file():
            return
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
            with torch.no_grad():
                for parameter, value in zip(self.trained, state["trained"], strict=True):
                    if parameter.shape != value.shape:
                        raise ValueError(f"weights of shape {list(value.shape)} for {list(parameter.shape)}")
                    parameter.copy_(value)
            for optimizer, value in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(value)
            self.order.setstate(state["order"])
            self.shuffle.set_state(state["shuffle"])
            self.updates, self.numbers = state["updates"], state["numbers"]
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise  # the file is not to blame, and is needed yet
        except Exception as error:  # a broken file makes torch raise nearly anything
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            aside = path.replace(path.with_name(f"{path.name}.unusable"))
            raise TrainingError(
                f"the checkpoint {path} cannot be taken up ({why}) and was set aside as {aside.name}; resume the "
                "run to go on without it, or start a new one: votes and demonstrations are kept"
            ) from error

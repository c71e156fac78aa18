"""Hidden states of a model, and linear heads on them: reward and value."""

from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from alignment.errors import AdapterError
from alignment.models.architecture import hidden_size, trunk
from alignment.models.loading import UNREADABLE

HEAD_FILE = "head.safetensors"


def hidden_states(model: PeftModel, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the last hidden states (B, T, H) of rows (B, T), padded where the mask is 0, by the active adapter."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    states: Tensor = trunk(model)(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)[0]
    return states


def new_head(model: PeftModel, outputs: int = 1) -> nn.Linear:
    """Return a linear head from hidden states to `outputs` scalars, starting at zero."""
    head = nn.Linear(hidden_size(model), outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head.to(model.device)


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


def save_head(head: nn.Linear, folder: Path) -> None:
    """Write a head beside an adapter as safetensors, in the precision it is held in."""
    save_file({key: value.contiguous().cpu() for key, value in head.state_dict().items()}, folder / HEAD_FILE)

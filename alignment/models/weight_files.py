"""Weights on disk, looked at without loading them: names and shapes of tensors, and samples that tell files apart."""

import json
from pathlib import Path
from typing import Any

SAMPLED_BYTES = 64 * 1024
SAMPLES = 512  # of a file, spread evenly; smaller files are read whole, and one of 16 GB takes a second


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors in a safetensors file, by name.

    Raises ValueError for a file that is none or that ends before its last tensor does.
    """
    header, start = _header(path)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    tensors: dict[str, Any] = {name: held for name, held in header.items() if name != "__metadata__"}
    try:
        shapes = {name: tuple(int(size) for size in held["shape"]) for name, held in tensors.items()}
        end = start + max((int(held["data_offsets"][1]) for held in tensors.values()), default=0)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"its header describes no tensors ({error!r})") from error
    if (size := path.stat().st_size) != end:
        raise ValueError(f"it has {size} bytes, and its tensors end at {end}: it was cut off or changed")
    return shapes


def _header(path: Path) -> tuple[Any, int]:
    """Return the header of a safetensors file and where the tensors begin; raise ValueError if there is none."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("it is no safetensors file, or it was cut off")
        try:
            return json.loads(file.read(size)), 8 + size
        except ValueError as error:
            raise ValueError(f"its header is not JSON ({error})") from error


def samples(path: Path) -> list[bytes]:
    """Return the whole content of a small file, and of a large one blocks spread evenly, first and last among them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= SAMPLES * SAMPLED_BYTES:
            return [file.read()]
        blocks = []
        for number in range(SAMPLES):
            file.seek((size - SAMPLED_BYTES) * number // (SAMPLES - 1))
            blocks.append(file.read(SAMPLED_BYTES))
        return blocks

"""Converting a GGUF file into a checkpoint's folder that everything else reads: `python -m alignment.models.gguf`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from alignment.errors import ModelLoadError
from alignment.models.loading import best_device, computes_bf16
from storage.version_folders import write_folder

BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, NotImplementedError, ImportError)


def convert(file: Path, target: Path) -> None:
    """Write the checkpoint in a GGUF file, with tokenizer and template, into a new folder.

    Its values are those of bf16. Where it will be computed in fp32 they are stored so: then the file itself is the
    memory of the weights, one copy of it for all processes, as nothing has to be converted at load.

    The folder gets its name when everything in it is on the disk, so one that is there is whole. If another process
    was quicker, its folder stays. Raises ModelLoadError, and leaves nothing, if it fails.
    """
    try:
        with _each_part_read_once():
            model, tokenizer = _read(file)

        def write(folder: Path) -> None:
            (model if computes_bf16(best_device()) else in_fp32(model)).save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        write_folder(target, write)
    except BROKEN as error:
        if not target.is_dir():
            raise ModelLoadError(f"{file} could not be converted into {target}: {error}") from error


def in_fp32(model: Any) -> Any:
    """Return a model with its weights in fp32, embeddings and output layer tied as they were."""
    wide = model.float()
    wide.config.dtype = torch.float32
    wide.tie_weights()
    return wide


class PlainReader(gguf.GGUFReader):  # type: ignore[misc]
    """Reads a file as an array: of a memory map, each of the vocabulary's entries would take several times as long."""

    @property
    def data(self) -> Any:
        """The bytes of the file."""
        return self._bytes

    @data.setter
    def data(self, mapped: Any) -> None:
        self._bytes = np.asarray(mapped)


@contextmanager
def _each_part_read_once() -> Iterator[None]:
    """Let transformers read a file once: it reads the header for the configuration, the tokenizer and the weights, and
    makes its table of names for every module anew, which takes three quarters of the time.
    """
    before = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    gguf.GGUFReader, gguf.get_tensor_name_map = cache(PlainReader), cache(gguf.get_tensor_name_map)
    try:
        yield
    finally:
        for name, own in before.items():
            setattr(gguf, name, own)


def _read(file: Path) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a GGUF file as plain ones, which can be saved."""
    place: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **place)
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.bfloat16, **place)
    config = loaded.config
    if hasattr(config, "quantization_config"):  # no module is quantized any more, but nothing is saved while it says so
        del config.quantization_config
    with torch.device("meta"):
        model = type(loaded)(config)
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    model.generation_config = GenerationConfig.from_model_config(config)
    return model, tokenizer


def main() -> None:
    """Convert the file named first into the folder named second; say in the last line why, if it cannot be."""
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except ModelLoadError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()

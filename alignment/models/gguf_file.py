"""What a GGUF file says about itself, read in milliseconds without its weights. Needs no torch.

The package `gguf` takes seconds for the same, because it keeps each of the vocabulary's entries.
"""

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from alignment.errors import ModelLoadError
from alignment.models.weight_files import samples

MAGIC = b"GGUF"
# The numbers that stand for types of values, with their forms for `struct`.
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


def header(file: Path) -> dict[str, Any]:
    """Return the names and values in a GGUF file's header, without lists such as the vocabulary.

    Example: `{"general.architecture": "llama", "llama.context_length": 8192, "tokenizer.chat_template": "…", …}`.
    Raises ModelLoadError for another kind of file, and for one part of several.
    """
    values: dict[str, Any] = {}
    try:
        with file.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise ModelLoadError(f"{file} is no GGUF file; give --model a folder, a hub name or a .gguf file")
            _, _, count = _numbers(stream, "IQQ")  # version, tensors, values
            for _ in range(count):
                name = _text(stream)
                (kind,) = _numbers(stream, "I")
                value = _value(stream, kind)
                if kind != ARRAY:
                    values[name] = value
    except (OSError, struct.error, UnicodeDecodeError, KeyError, MemoryError, OverflowError) as error:
        raise ModelLoadError(f"{file} is damaged or was cut off ({error}); fetch the GGUF file anew") from error
    if values.get("split.count", 0) > 1:
        raise ModelLoadError(f"{file} is one of {values['split.count']} parts; join them with llama-gguf-split --merge")
    return values


def folder_for(file: Path, models: Path) -> Path:
    """Return the folder, in one for models, that a GGUF file is converted into: equal files have the same."""
    digest = hashlib.sha256(str(file.stat().st_size).encode())
    for sample in samples(file):
        digest.update(sample)
    return models / f"{file.stem}-{digest.hexdigest()[:8]}"


def context_length(values: Mapping[str, Any]) -> int | None:
    """Return how many tokens the model reads by a header, or None if it does not say."""
    found = values.get(f"{values.get('general.architecture')}.context_length")
    return int(found) if found else None


def _numbers(stream: BinaryIO, form: str) -> tuple[Any, ...]:
    form = f"<{form}"
    return struct.unpack(form, stream.read(struct.calcsize(form)))


def _text(stream: BinaryIO) -> str:
    (length,) = _numbers(stream, "Q")
    return stream.read(length).decode("utf-8")


def _value(stream: BinaryIO, kind: int) -> Any:
    """Return the value that comes next; None for a list, which is passed over."""
    if kind == TEXT:
        return _text(stream)
    if kind != ARRAY:
        return _numbers(stream, NUMBERS[kind])[0]
    inner, length = _numbers(stream, "IQ")
    if inner == TEXT:
        for _ in range(length):
            stream.read(_numbers(stream, "Q")[0])
    elif inner == ARRAY:
        for _ in range(length):
            _value(stream, inner)
    else:
        stream.seek(length * struct.calcsize(f"<{NUMBERS[inner]}"), 1)
    return None

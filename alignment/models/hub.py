"""Models by their names on the Hugging Face hub: found in its cache, or fetched into it. Needs no torch."""

import errno
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alignment.errors import ModelLoadError

log = logging.getLogger(__name__)
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
SMALL_FILES = ["*.json", "*.jinja", "*.model", "tokenizer*", "merges.txt", "vocab.txt"]
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")
WEIGHTS = ["*.safetensors"]
# Folders hold other forms of the same weights. Pickled weights and Python files could run code here, so none are taken.
UNWANTED = ["*/*", "consolidated*", "*.bin", "*.py", "*.gguf"]


def fetch(name: str, *, online: bool = True) -> Path:
    """Return the folder of a model or adapter of the hub: as it is in the hub's cache, else fetched with progress bars.

    What the cache holds whole is used without asking the hub, so votes and versions stay with the weights that they
    began with; `hf cache rm` makes room for newer ones. Raises ModelLoadError in words if it cannot be had.
    """
    cached, complete = _cached(name)
    usable = cached is not None and not missing_file(cached)
    if cached is not None and usable and (complete or not online):
        return cached
    if not online:
        raise ModelLoadError(
            f"{name} is not in the hub's cache{' as a whole' if cached else ''}, and the hub is not to be asked "
            "(HF_HUB_OFFLINE is set); unset it to fetch the model, or give --model a folder"
        )
    try:
        with _asking_the_hub(name):
            _snapshot(name, SMALL_FILES)  # first, so that weights that are there have everything beside them
            folder = _snapshot(name, [*SMALL_FILES, *WEIGHTS])
    except ModelLoadError as error:
        if cached is None or not usable:
            raise
        log.warning("%s; its files in the hub's cache are used", error)
        return cached
    if missing := missing_file(folder):
        raise ModelLoadError(
            f"{name} on the hub has no {missing}; Triptych reads causal language models, or LoRA adapters, "
            "whose weights are .safetensors files"
        )
    return folder


def missing_file(folder: Path) -> str:
    """Return the first file that a checkpoint or an adapter in a folder lacks, "" for one that is whole."""
    if (folder / "adapter_config.json").is_file():
        return "" if (folder / "adapter_model.safetensors").is_file() else "adapter_model.safetensors"
    if not (folder / "config.json").is_file():
        return "config.json"
    if not any((folder / tokenizer).is_file() for tokenizer in TOKENIZERS):
        return TOKENIZERS[0]
    if (index := folder / "model.safetensors.index.json").is_file():
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        return next((shard for shard in shards if not (folder / shard).is_file()), "")
    return "" if (folder / "model.safetensors").is_file() else "model.safetensors"


def _cached(name: str) -> tuple[Path | None, bool]:
    """Return the folder in the hub's cache, None if there is none, and whether it holds all that the hub listed."""
    from huggingface_hub import errors

    try:
        return _snapshot(name, [*SMALL_FILES, *WEIGHTS], local_files_only=True), True
    except errors.IncompleteSnapshotError as error:
        return Path(error.snapshot_path), False
    except errors.LocalEntryNotFoundError:
        return None, False
    except ValueError as error:
        raise ModelLoadError(f"{name} is no name of a model on the hub: {error}") from error


def _snapshot(name: str, patterns: list[str], **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(name, allow_patterns=patterns, ignore_patterns=UNWANTED, **options)
    return Path(folder)


@contextmanager
def _asking_the_hub(name: str) -> Iterator[None]:
    """Let the hub be asked inside, though the app is offline otherwise; raise ModelLoadError for what comes of it."""
    from httpx2 import HTTPError
    from huggingface_hub import constants, errors

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = False
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelLoadError(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, make a token at "
            "https://huggingface.co/settings/tokens, run `hf auth login` with it, and start again"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelLoadError(
            f"there is no folder {name} here, and no model of that name on the hub (or it is private: then run "
            "`hf auth login` first)"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise ModelLoadError(
            f"{name} is not in the hub's cache, and the hub cannot be reached ({_cause(error)}); "
            "try again with a network, or give --model a folder"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            words = f"{name} does not fit on the disk of the hub's cache, {constants.HF_HUB_CACHE}; make room there, "
            raise ModelLoadError(f"{words}or let HF_HOME name a folder on another disk") from error
        raise ModelLoadError(f"{name} could not be fetched from the hub: {_cause(error)}") from error
    except (HTTPError, ImportError, ValueError) as error:  # a proxy that fails, or of an unknown kind
        raise ModelLoadError(f"{name} could not be fetched from the hub: {_cause(error)}") from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _cause(error: BaseException) -> str:
    """Return the first line of what lies at the bottom of an error."""
    bottom = error
    while isinstance(bottom.__cause__, BaseException):
        bottom = bottom.__cause__
    return str(bottom).strip().partition("\n")[0] or type(bottom).__name__

"""Versions taken away: as a PEFT folder, as a whole checkpoint, as a GGUF file; and those whose files are removed."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import AdapterError, ConfigError, ModelLoadError
from alignment.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from alignment.models.model_folder import UNCHANGED
from alignment.settings import ModelConfig
from service import audit
from service.context import Services
from service.model_card import card, known_base
from service.requests import number
from storage import policies
from storage.errors import StorageError
from storage.events import ADMIN
from storage.records import Policy
from storage.runs import RunOpenError
from storage.version_folders import verify

Form = Literal["peft", "merged", "gguf"]
ROOT = Path(__file__).parents[1]
PREFIX = "triptych-version-"
KEPT_SECONDS = 24 * 3600.0  # after which a file that was made is removed
MOST_MERGED = 8 * 2**30  # bytes of weights; merging holds them in memory, and twice on the disk
CONVERTERS = ("convert_hf_to_gguf.py", "llama-convert-hf-to-gguf")  # what llama.cpp calls its own, by who installs it


@checked_dataclass(frozen=True)
class ExportVersionRequest:
    """Which version is taken away, and in which form."""

    version: Annotated[int, number(1, 2**53, whole=True)]
    form: Form = "peft"


@checked_dataclass(frozen=True)
class PruneRequest:
    """How many of the versions that do not answer keep their files."""

    keep: Annotated[int, number(0, 100_000, whole=True)] = 10


@dataclass(frozen=True)
class Pruned:
    """Whose files were removed, and how much room that made."""

    versions: tuple[int, ...]
    freed: int  # bytes


def export_version(services: Services, token: str | None, request: ExportVersionRequest) -> Path:
    """Write a zip file with a version in a folder of its own and return it.

    Raises AccessError without the admin's token; ConfigError for a version that is the model itself or was pruned, and
    for a form that cannot be had here; AdapterError for files that are not whole; ModelLoadError where merging fails.
    """
    services.admin.require(token)
    policy = policies.get_policy(services.db, request.version)
    adapter, model = _whole(services, policy), services.supervisor.model
    if request.form != "peft":
        _require_small(model)
    converter = _converter() if request.form == "gguf" else ""
    _remove_old()
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    name = f"v{policy.version}-{request.form}"
    folder = place / name
    folder.mkdir()
    try:
        if request.form == "peft":
            _write_adapter(services, adapter, folder)
        else:
            merged = folder if request.form == "merged" else place / "merged"
            _merge(model, adapter, merged)
            if converter:
                _convert(converter, merged, folder / f"v{policy.version}.gguf")
                shutil.rmtree(merged)
        (folder / "README.md").write_text(card(services, policy, request.form), encoding="utf-8")
        _zip(folder, place / f"{name}.zip")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(folder)
    audit.record(services, "export version", f"v{policy.version} as {request.form}")
    return place / f"{name}.zip"


def _whole(services: Services, policy: Policy) -> Path:
    """Return the folder of a version's adapter."""
    folder = services.data_dir / policy.path
    if policy.pruned:
        raise ConfigError(f"the files of v{policy.version} were removed to save room; choose another version")
    if (folder / UNCHANGED).is_file():
        raise ConfigError(f"v{policy.version} is the model itself without an adapter, so there is nothing to take away")
    try:
        verify(folder, policy.sha256)
    except StorageError as error:
        raise AdapterError(str(error)) from error
    return folder


def _write_adapter(services: Services, adapter: Path, folder: Path) -> None:
    """Copy an adapter as it is, with the name of the checkpoint that it belongs on."""
    shutil.copy2(adapter / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    config = json.loads((adapter / CONFIG_FILE).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = known_base(services).hub_name or None
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _require_small(model: ModelConfig) -> None:
    size = sum(path.stat().st_size for path in Path(model.model).glob("*.safetensors"))
    if size > MOST_MERGED:
        raise ConfigError(
            f"the model's weights take {size / 2**30:.1f} GiB, and at most {MOST_MERGED / 2**30:.0f} GiB are merged "
            'here; take "peft" and merge it with PEFT\'s merge_and_unload on a machine with room'
        )
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < 3 * size:
        raise ConfigError(
            f"a merged copy needs {3 * size / 2**30:.1f} GiB in {tempfile.gettempdir()}, and {free / 2**30:.1f} GiB "
            'are free; make room, or take "peft"'
        )


def _merge(model: ModelConfig, adapter: Path, target: Path) -> None:
    """Have a process of its own fold the adapter in, which gives its memory back by ending."""
    own = bool(model.sft) and (Path(model.sft) / "tokenizer_config.json").is_file()
    places = {"model": model.model, "tokenizer": model.sft if own else model.model}
    job = json.dumps(places | {"adapter": str(adapter), "target": str(target)})
    _run([sys.executable, "-m", "alignment.models.merging", job], "the adapter could not be folded into the model")


def _converter() -> str:
    found = (path for name in CONVERTERS if (path := shutil.which(name)))
    if converter := next(found, None):
        return converter
    raise ConfigError(
        f"no converter to GGUF is installed; put {CONVERTERS[0]} of llama.cpp, which needs its package gguf, on the "
        'PATH (Homebrew\'s llama.cpp does), or take "merged" and convert that elsewhere'
    )


def _convert(converter: str, merged: Path, file: Path) -> None:
    _run([converter, str(merged), "--outfile", str(file), "--outtype", "auto"], "the converter to GGUF failed")
    if not file.is_file():
        raise ModelLoadError(f"{converter} ended without writing {file.name}; try it by hand on the merged form")


def _run(command: Sequence[str], failed: str) -> None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ModelLoadError(f"{failed}: {error}") from error
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2] or f"the process ended with code {done.returncode}"
        raise ModelLoadError(f"{failed}: {last}")


def _zip(folder: Path, file: Path) -> None:
    """Write a folder, under its name, into a zip file; weights do not shrink, so nothing is compressed."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))


def _remove_old() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def prune(services: Services, token: str | None, request: PruneRequest) -> Pruned:
    """Remove the files of versions that do not answer, all but the newest `keep`, and return whose.

    Version 1, the live one and those that may yet go live keep theirs, and so does what any of these and of the newest
    was made from. The row stays, with its evaluation. Raises AccessError without the admin's token, ConfigError
    while a run is under way, which has its parent's files open.
    """
    services.admin.require(token)
    try:
        marked = policies.mark_pruned(services.db, partial(prunable, keep=request.keep), ADMIN)
    except RunOpenError as run:
        raise ConfigError(
            f"run {run.run_id} is under way and reads the version it began from; prune once it has ended"
        ) from None
    known = policies.list_policies(services.db)
    freed, places = 0, {policy.version: services.data_dir / policy.path for policy in known}
    for version in [policy.version for policy in known if policy.pruned]:  # an app that was killed may have left some
        freed += _remove(places[version])
    services.status.expire()
    return Pruned(tuple(sorted(marked)), freed)


def prunable(known: Sequence[Policy], keep: int) -> list[int]:
    """Return the versions whose files may go, the oldest first."""
    by_age = sorted((one for one in known if not one.pruned), key=lambda one: one.version)
    aside = [one for one in by_age if one.status in ("retired", "rejected") and one.version != 1]
    going = {one.version for one in aside[: max(0, len(aside) - keep)]}
    needed = {one.parent for one in by_age if one.version not in going}
    return [one.version for one in by_age if one.version in going - needed]


def _remove(folder: Path) -> int:
    """Remove a folder and return how many bytes it had."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder, ignore_errors=True)
    return size

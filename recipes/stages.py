"""Stages of a recipe: each is built when what it is made from has changed, and taken up where it was interrupted."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch

from alignment.models import model_folder

ROOT = Path(__file__).parents[1]
STAMPS = "built.json"  # ships with the model, so that a fresh clone need not build what it has


class Config(Protocol):
    """The settings of a recipe."""

    @property
    def seed(self) -> int: ...  # noqa: D102


C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Stage(Generic[C]):
    """A part of the recipe: what builds it, from what besides the stages before it, and the files that it writes."""

    name: str
    run: Callable[[C, Path, Path], None]
    inputs: Callable[[C], Iterable[object]]  # settings and a good part of the data
    sources: tuple[str, ...]  # the code that turns them into the outputs
    outputs: tuple[str, ...]
    draft: bool = False  # only later stages read the outputs, which stay in the folder of checkpoints


def adapter_files(folder: str) -> tuple[str, ...]:
    """Return the files of an adapter in a folder."""
    return tuple(f"{folder}/{name}" for name in model_folder.ADAPTER_FILES)


def fingerprints(config: C, stages: Sequence[Stage[C]]) -> dict[str, str]:
    """Return a hash a stage over its settings, its data, its sources and every stage before it."""
    digest = hashlib.sha256(str(config.seed).encode())
    result = {}
    for stage in stages:
        for item in stage.inputs(config):
            digest.update(repr(item).encode())
        for source in stage.sources:
            digest.update((ROOT / source).read_bytes())
        result[stage.name] = digest.hexdigest()
    return result


def build(config: C, target: Path, work: Path, stages: Sequence[Stage[C]]) -> None:
    """Run every stage whose inputs have changed since it was last built, or whose files are not as it wrote them.

    What an interrupted stage left in its folder in `work` is taken up again only if its inputs are still the same.
    """
    target.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    wanted_stamps = fingerprints(config, stages)

    def folder(stage: Stage[C]) -> Path:
        return work if stage.draft else target

    def is_built(stage: Stage[C]) -> bool:
        return stamps(folder(stage)).get(stage.name) == stamp(wanted_stamps[stage.name], folder(stage), stage)

    for number, stage in enumerate(stages):
        # A draft is needed until what is made of it is there.
        if is_built(next((one for one in stages[number:] if not one.draft), stage)) or is_built(stage):
            print(f"{stage.name}: up to date")
            continue
        print(f"{stage.name}: building")
        started, wanted = work / f"{stage.name}.started", wanted_stamps[stage.name]
        if not started.exists() or started.read_text() != wanted:
            shutil.rmtree(work / stage.name, ignore_errors=True)
            started.write_text(wanted)
        torch.manual_seed(config.seed)
        stage.run(config, target, work)
        built = stamps(folder(stage)) | {stage.name: stamp(wanted, folder(stage), stage)}
        (folder(stage) / STAMPS).write_text(json.dumps(built, indent=2) + "\n")
        started.unlink()


def renew_stamps(config: C, target: Path, stages: Sequence[Stage[C]]) -> list[str]:
    """Record the files in `target` as what the recipe makes by now, without building; return the renewed stages.

    For after a change of the code that does not change what it makes: stamps are over the bytes of the sources, so
    moving a function would have everything built anew. Raises FileNotFoundError if a stage lacks a file.
    """
    lacking = [name for stage in stages if not stage.draft for name in stage.outputs if not (target / name).is_file()]
    if lacking:
        raise FileNotFoundError(f"{target} lacks {', '.join(lacking)}; build the model first")
    wanted, before = fingerprints(config, stages), stamps(target)
    renewed = {stage.name: stamp(wanted[stage.name], target, stage) for stage in stages if not stage.draft}
    (target / STAMPS).write_text(json.dumps(renewed, indent=2) + "\n")
    return [name for name, value in renewed.items() if before.get(name) != value]


def stamps(folder: Path) -> dict[str, str]:
    """Return what each stage's files in a folder were built from and hold; nothing for a folder without any."""
    path = folder / STAMPS
    return dict(json.loads(path.read_text())) if path.exists() else {}


def stamp(wanted: str, folder: Path, stage: Stage[C]) -> str:
    """Return a hash over what a stage is built from and the files that it wrote; missing files count as empty."""
    digest = hashlib.sha256(wanted.encode())
    for path in (folder / name for name in stage.outputs):
        digest.update(hashlib.sha256(path.read_bytes() if path.exists() else b"").digest())
    return digest.hexdigest()

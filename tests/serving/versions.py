"""Published versions of the tiny model's adapters, rows through them, and what an engine writes for rows."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from alignment.models.sampling import Sampling
from alignment.serving.engine import Adapter, Engine, Event, Finished, PolicyVersion, Row, RowState, policy_version_at
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig
from storage.messages import Message
from storage.version_folders import folder_hash


def version(source: Path, root: Path, number: int) -> PolicyVersion:
    """Publish the adapter in a folder as a version."""
    folder = root / f"policy-{number:06d}"
    shutil.copytree(source, folder)
    return rehashed(number, folder)


def version_with_sft(tiny_folder: Path, root: Path, number: int) -> PolicyVersion:
    """Publish a version whose SFT adapter is its own: "other" in the place of the model's."""
    folder = root / f"policy-{number:06d}"
    shutil.copytree(tiny_folder / "sft", folder)
    shutil.copytree(tiny_folder / "other", folder / "sft")
    return rehashed(number, folder)


def rehashed(number: int, folder: Path) -> PolicyVersion:
    """Return a version as if its folder had been published as it is now."""
    return policy_version_at(number, folder, folder_hash(folder))


def new_engine(tiny_folder: Path, live: PolicyVersion) -> LocalEngine:
    return LocalEngine(ModelConfig(str(tiny_folder), str(tiny_folder / "sft")), live, threads=1)


def row(adapter: Adapter | None, seed: int, prompt: str = "Hi", length: int = 12) -> Row:
    """Return a row: raw without an adapter, else through the chat template."""
    return Row((Message("user", prompt),), adapter, adapter is not None, Sampling(1.0, length), seed)


def model_sft(tiny_folder: Path) -> Adapter:
    return Adapter("sft", tiny_folder / "sft")


def events(engine: Engine, rows: Sequence[Row]) -> list[Event]:
    """Return everything that a call yields."""

    async def collect() -> list[Event]:
        return [event async for event in engine.stream(rows)]

    return asyncio.run(collect())


def written(engine: Engine, *rows: Row) -> tuple[RowState, ...]:
    """Return the rows of one call when they have ended."""
    last = events(engine, rows)[-1]
    assert isinstance(last, Finished)
    return last.rows


def tokens(engine: Engine, *rows: Row) -> list[tuple[int, ...]]:
    return [state.token_ids for state in written(engine, *rows)]

"""A local engine around the tiny model, with its SFT adapter live as v1."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alignment.serving.local import LocalEngine
from tests.serving.versions import new_engine, version


@pytest.fixture
def engine(tiny_folder: Path, tmp_path: Path) -> Iterator[LocalEngine]:
    engine = new_engine(tiny_folder, version(tiny_folder / "sft", tmp_path, 1))
    engine.start()
    yield engine
    engine.stop()

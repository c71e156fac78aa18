"""Services around the scripted engine."""

from pathlib import Path

import pytest

from tests.harness.scripted import Backstage, backstage


@pytest.fixture
def behind(tmp_path: Path) -> Backstage:
    return backstage(tmp_path)

"""The database as sqlite-utils and Datasette open it, while the app writes to it."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from storage import database, preferences
from tests.storage.test_preferences import ROOT, comparison


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    preferences.save_comparison(path, comparison("one", ("a", "b", "c")))
    preferences.save_preference(
        path, comparison_id="one", annotator_id="ann", tiers=[["B"], ["A", "C"]], kind="choice", source="human"
    )
    return path


def told(*command: str) -> Any:
    """Return the JSON that a program prints while somebody writes to its database."""
    path = Path(next(part for part in command if part.endswith(".db")))
    with database.write(path) as writing:
        writing.execute("UPDATE annotators SET name = 'Ann'")
        ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_sqlite_utils_reads_every_table_and_the_pairs(db: Path) -> None:
    counts = {one["table"]: one["count"] for one in told("sqlite_utils", "tables", str(db), "--counts")}
    assert (counts["comparisons"], counts["completions"], counts["preferences"]) == (1, 3, 1)
    pairs = told("sqlite_utils", "rows", str(db), "pairs")
    assert [(one["chosen"], one["rejected"]) for one in pairs] == [("b", "a"), ("b", "c")]


@pytest.mark.skipif(find_spec("datasette") is None, reason="Datasette is not installed; make test installs it")
def test_datasette_serves_every_table_and_the_pairs(db: Path) -> None:
    served = told("datasette", str(db), "--get", "/triptych.json")
    counts = {one["name"]: one["count"] for one in served["tables"]}
    assert (counts["comparisons"], counts["completions"], counts["preferences"]) == (1, 3, 1)
    assert [view["name"] for view in served["views"]] == ["pairs"]
    pairs = told("datasette", str(db), "--get", "/triptych/pairs.json?_shape=array")
    assert [(one["chosen"], one["rejected"]) for one in pairs] == [("b", "a"), ("b", "c")]

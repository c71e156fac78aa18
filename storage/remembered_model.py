"""The model that a data folder was opened with last: one row of the table `settings`."""

import json
from collections.abc import Mapping
from pathlib import Path

from storage.database import read, write

NAME = "model"


def remember_model(path: Path, names: Mapping[str, str]) -> None:
    """Store how people named the model, as fields and values, in place of what was stored before."""
    with write(path) as db:
        db["settings"].upsert({"name": NAME, "value": json.dumps(dict(names))}, pk="name")


def remembered_model(path: Path) -> dict[str, str] | None:
    """Return what `remember_model` stored, or None for a folder that remembers none."""
    with read(path) as db:
        stored = next(db["settings"].rows_where("name = ?", [NAME]), None)
    return dict(json.loads(stored["value"])) if stored else None

"""What the app keeps from one start to the next, by name: rows of the table `settings`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.database import read, write
from storage.events import ADMIN, add_event


def keep_settings(path: Path, name: str, values: Mapping[str, Any], event: str = "") -> None:
    """Store fields and values under a name, in place of what was stored before; `event` names an admin's act."""
    stored = json.dumps(dict(values))
    with write(path) as db:
        db["settings"].upsert({"name": name, "value": stored}, pk="name")
        if event:
            add_event(db, event, stored, ADMIN)


def kept_settings(path: Path, name: str) -> dict[str, Any] | None:
    """Return what is stored under a name, or None where nothing is."""
    with read(path) as db:
        stored = next(db["settings"].rows_where("name = ?", [name]), None)
    return dict(json.loads(stored["value"])) if stored else None

"""What the app keeps by name."""

from pathlib import Path

from storage import database
from storage.kept_settings import keep_settings, kept_settings


def test_what_was_kept_last_under_a_name_is_found_beside_other_names(tmp_path: Path) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    assert kept_settings(db, "model") is None
    keep_settings(db, "model", {"model": "pocket", "base": ""})
    keep_settings(db, "limits", {"rows": 3}, event="limits")
    keep_settings(db, "model", {"model": "/models/mine", "base": "org/base"})
    database.prepare(db)
    assert kept_settings(db, "model") == {"model": "/models/mine", "base": "org/base"}
    assert kept_settings(db, "limits") == {"rows": 3}

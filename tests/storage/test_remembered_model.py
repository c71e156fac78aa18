"""The model that a data folder remembers."""

from pathlib import Path

from storage import database
from storage.remembered_model import remember_model, remembered_model


def test_the_last_model_is_remembered_beside_other_settings(tmp_path: Path) -> None:
    db = tmp_path / "triptych.db"
    database.prepare(db)
    assert remembered_model(db) is None
    remember_model(db, {"model": "pocket", "base": ""})
    remember_model(db, {"model": "/models/mine", "base": "org/base"})
    database.prepare(db)
    assert remembered_model(db) == {"model": "/models/mine", "base": "org/base"}

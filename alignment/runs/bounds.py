"""The gate's bounds as an admin set them: kept in the database, they are part of every run's settings from then on."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from alignment.runs.settings import GateConfig, RunSettings, run_settings
from alignment.validation import with_changes
from storage.kept_settings import keep_settings, kept_settings

GATE = "gate"  # under which they are kept


def with_bounds(db: Path, defaults: RunSettings) -> RunSettings:
    """Return the settings of a run with the bounds that hold now."""
    return run_settings({"gate": kept_settings(db, GATE) or {}}, defaults)


def change_bounds(db: Path, defaults: RunSettings, changes: dict[str, Any]) -> GateConfig:
    """Change some of the bounds for all runs to come and return all; raise ConfigError for what does not fit."""
    wanted = with_changes(with_bounds(db, defaults).gate, changes, "settings")
    keep_settings(db, GATE, asdict(wanted), event="gate")
    return wanted

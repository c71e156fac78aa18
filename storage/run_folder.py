"""What a run keeps in its folder until it has made its version, so that it can be resumed."""

import json
import shutil
from pathlib import Path
from typing import Any

from storage.older_versions import renamed_settings

INPUTS = "inputs.json"  # beside the fitted reward model: what that and the checkpoint were made from
INPUTS_OF_0_1 = "begun.json"  # what version 0.1 called it
ROOT = "runs"
REWARD = "reward"  # folder of the fitted reward model


def folder_of(data_dir: Path, run_id: int) -> Path:
    """Return the folder of a run."""
    return data_dir / ROOT / f"run-{run_id:06d}"


def log_of(folder: Path) -> Path:
    """Return the file with what a run's process prints."""
    return folder / "log.txt"


def waiting_log(data_dir: Path) -> Path:
    """Return the file with what a process prints that still waits for its run."""
    return data_dir / ROOT / "waiting-log.txt"


def reward_folder(folder: Path) -> Path:
    """Return where a run keeps its fitted reward model."""
    return folder / REWARD


def checkpoint(folder: Path) -> Path:
    """Return the file in which a run keeps where its policy stands."""
    return folder / "checkpoint.pt"


def raft_checkpoint(folder: Path) -> Path:
    """Return the file in which a run by PPO keeps where it stands in the rounds of RAFT that go before."""
    return folder / "raft.pt"


def read_inputs(folder: Path) -> dict[str, Any] | None:
    """Return what a run's reward model and checkpoint were made from, or None without one that can be read.

    Example: `{"parent": 2, "method": "ppo", "settings": {…}, "votes": "<sha256>", "fitted": {…}, …}`. What version 0.1
    wrote is returned with the settings by the names of now.
    """
    inputs = _json_object(reward_folder(folder) / INPUTS)
    if inputs is not None:
        return inputs
    inputs = _json_object(reward_folder(folder) / INPUTS_OF_0_1)
    if inputs is not None and isinstance(settings := inputs.get("settings"), dict):
        return inputs | {"settings": renamed_settings(str(inputs.get("method")), settings)}
    return inputs


def _json_object(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def pace(folder: Path) -> Path:
    """Return the file in which a run keeps how long its model took, so that a resumed one has as many prompts."""
    return folder / "pace.json"


def forget_all(folder: Path) -> None:
    """Remove all that a run keeps for being resumed; its log stays."""
    forget(folder)
    pace(folder).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove what a run has learned so far, what was left half written or was set aside; its log stays."""
    for path in (reward_folder(folder), *folder.glob(".reward.*")):
        shutil.rmtree(path, ignore_errors=True)
    for path in (checkpoint(folder), raft_checkpoint(folder), *folder.glob("*.pt.*")):
        path.unlink(missing_ok=True)


def forget_outdated(data_dir: Path, live: int) -> None:
    """Remove what runs keep that began from another version than the live one: they can no longer go on."""
    for folder in (data_dir / ROOT).glob("run-*"):
        inputs = read_inputs(folder)
        if inputs is not None and inputs.get("parent") != live:
            forget_all(folder)

"""What a run keeps in its folder until it has made its version, so that it can be resumed: no model in here."""

import json
import shutil
from pathlib import Path
from typing import Any

BEGUN = "begun.json"  # in the folder of the reward model: what that and the checkpoint were made from
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


def read_begun(folder: Path) -> dict[str, Any] | None:
    """Return what a run wrote beside its reward model, or None if it has come to none that can be read."""
    try:
        begun = json.loads((reward_folder(folder) / BEGUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return begun if isinstance(begun, dict) else None


def forget(folder: Path) -> None:
    """Remove what a run keeps for being resumed, what was left half written or was set aside; its log stays."""
    for path in (reward_folder(folder), *folder.glob(".reward.*")):
        shutil.rmtree(path, ignore_errors=True)
    for path in (checkpoint(folder), raft_checkpoint(folder), *folder.glob("*.pt.*")):
        path.unlink(missing_ok=True)


def forget_outdated(data_dir: Path, live: int) -> None:
    """Remove what runs keep that began from another version than the live one: they can no longer go on."""
    for folder in (data_dir / ROOT).glob("run-*"):
        begun = read_begun(folder)
        if begun is not None and begun.get("parent") != live:
            forget(folder)

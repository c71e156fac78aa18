"""Which reward models go with a version. Reads folders, needs no torch."""

from pathlib import Path

from alignment.errors import AdapterError
from alignment.models.model_folder import REWARD, shipped_reward
from alignment.serving.engine import PolicyVersion


def reward_folders(base: str | Path, policy: PolicyVersion) -> list[Path]:
    """Return the reward adapters that score a version's completions: its run's, if its folder holds one, then the
    shipped one.

    Raises AdapterError where there is neither.
    """
    own, shipped = policy.folder / REWARD, shipped_reward(base)
    folders = [path for path in (own, shipped) if path is not None and path.is_dir()]
    if not folders:
        raise AdapterError(
            f"v{policy.version} has no reward model to pick by: its run fitted none, and none ships with the model; "
            "ask with best_of 1"
        )
    return folders

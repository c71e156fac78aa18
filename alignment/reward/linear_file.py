"""The file of a linear reward model."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from alignment.errors import AdapterError
from alignment.reward.linear import Posterior, Scaling
from alignment.reward.vote_fit import LinearReward

LINEAR_FILE = "linear.safetensors"


def save_linear(reward: LinearReward, folder: Path) -> None:
    """Write a linear reward model into a folder as safetensors."""
    posterior, scaling = reward.posterior, reward.scaling
    arrays = {
        "centre": scaling.centre,
        "scale": scaling.scale,
        "mean": posterior.mean,
        "variances": posterior.variances,
        "rows": posterior.rows,
        "root": posterior.root,
        "curvature": posterior.curvature,
        "evidence": np.array([posterior.evidence]),
        "share": np.array([reward.share]),
    }
    save_file({name: np.ascontiguousarray(array, np.float64) for name, array in arrays.items()}, folder / LINEAR_FILE)


def load_linear(folder: Path) -> LinearReward:
    """Return the linear reward model stored in a folder, or raise AdapterError for one that cannot be read."""
    path = folder / LINEAR_FILE
    try:
        held = {name: array.astype(np.float64) for name, array in load_file(path).items()}
        posterior = Posterior(
            held["mean"], held["variances"], held["rows"], held["root"], held["curvature"], float(held["evidence"][0])
        )
        share = float(held["share"][0]) if "share" in held else 1.0  # files before 2026-11-30 have none
        return LinearReward(Scaling(held["centre"], held["scale"]), posterior, share)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise AdapterError(f"the reward model at {path} cannot be read: {error}") from error

"""Errors a user may see: each names the problem, the value seen and the next step."""

import math
from collections.abc import Mapping


class AlignmentError(Exception):
    """Anything that went wrong with models, training or settings, in words for the person who asked."""


class ConfigError(AlignmentError, ValueError):
    """A setting or an argument that cannot be used."""


class ModelLoadError(AlignmentError, RuntimeError):
    """A base model that is missing, incomplete or not loaded yet."""


class AdapterError(AlignmentError, RuntimeError):
    """An adapter folder that is missing, changed or does not fit the base."""


class TrainingError(AlignmentError, RuntimeError):
    """A run that cannot start or go on."""


class LostWorkerError(AlignmentError, RuntimeError):
    """One of the processes that train a run together is gone: the others start again from the last checkpoint."""


class UnconvincingVotesError(AlignmentError, RuntimeError):
    """Votes that a reward model probably predicts no better than a coin: nothing is trained on them."""


def require_finite(what: str, step: int, metrics: Mapping[str, float]) -> None:
    """Raise TrainingError if a metric is infinite or not a number: weights that follow from it are worth nothing."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{what}, step {step}: {name} is {value}, so training has gone astray; try a lower learning rate"
            )


class AccessError(AlignmentError, PermissionError):
    """A call that needs the admin's token, made without it."""

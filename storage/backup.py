"""A consistent copy of a data folder while the app runs, in one file, and a folder made out of it again."""

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from storage import database
from storage.errors import StorageError
from storage.policies import list_policies
from storage.version_folders import fsync, verify

PARTS = ("policies", "runs")  # folders that are copied; converted checkpoints are made again
KEY = "cookie.key"


class BackupError(StorageError, RuntimeError):
    """A backup that cannot be made, read or restored."""


def back_up(data_dir: Path, target: Path) -> int:
    """Write a copy of a data folder to a file, which must not exist, and return how many bytes it has.

    Votes may come in meanwhile: the database is copied first, as it stands at one moment, and what it names lies in its
    place before it is recorded. Raises BackupError where there is nothing to copy or the file cannot be written.
    """
    db = database.file_in(data_dir)
    if not db.is_file():
        raise BackupError(f"{data_dir} holds no triptych.db; let --data-dir name the folder that is to be copied")
    if target.exists():
        raise BackupError(f"{target} exists; give another file, nothing is written over")
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with tarfile.open(scratch, "w:gz", compresslevel=1) as archive:
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                copy = Path(folder) / db.name
                _copy_database(db, copy)
                archive.add(copy, db.name)
            for path in _files(data_dir):
                _add(archive, path, str(path.relative_to(data_dir)))
        scratch.chmod(0o600)  # it holds people's words and keys
        fsync(scratch)
        scratch.rename(target)
    except OSError as error:
        where = f"{target} cannot be written ({error.strerror or error})"
        raise BackupError(f"{where}; name a file in a folder that is there, with room on its disk") from error
    finally:
        with suppress(OSError):  # as where its folder is none
            scratch.unlink(missing_ok=True)
    fsync(target.parent)
    return target.stat().st_size


def restore(source: Path, data_dir: Path) -> int:
    """Make a data folder out of a backup and return how many versions it holds, each as it was published.

    Raises BackupError for a folder that holds anything, and for a file that is no backup or damaged; OSError while an
    app uses the folder. What is refused changes nothing.
    """
    if not source.is_file():
        raise BackupError(f"there is no file {source}; name one that backup wrote")
    lock = database.hold(data_dir)
    try:
        if any(path.name != ".lock" for path in data_dir.iterdir()):
            raise BackupError(f"{data_dir} is not empty; give --data-dir a new folder, or move this one away first")
        with tempfile.TemporaryDirectory(dir=data_dir.parent, prefix=".restore-") as folder:
            found = _unpack(source, Path(folder))
            _move_into(Path(folder), data_dir)
        fsync(data_dir)
        return found
    finally:
        lock.release()


def _move_into(folder: Path, data_dir: Path) -> None:
    """Move all that is in a folder into a data folder; if that is broken off, nothing stays there."""
    names = [path.name for path in folder.iterdir()]
    try:
        for name in names:
            shutil.move(folder / name, data_dir / name)
    except BaseException:
        for path in (data_dir / name for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _unpack(source: Path, folder: Path) -> int:
    """Unpack a backup, look whether it is whole, and return how many versions it holds."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{source} is no backup of Triptych, or damaged ({error})") from error
    db = database.file_in(folder)
    if not db.is_file():
        raise BackupError(f"{source} is no backup of Triptych: it holds no triptych.db")
    try:
        with closing(sqlite3.connect(db)) as connection:
            (state,) = connection.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.DatabaseError as error:
        state = str(error)
    if state != "ok":
        raise BackupError(f"the database in {source} is damaged ({state}); take an older backup")
    recorded = [policy for policy in list_policies(db) if not policy.pruned]
    for policy in recorded:
        verify(folder / policy.path, policy.sha256)
    return len(recorded)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database as it stands at one moment, while others write to it."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def _files(data_dir: Path) -> Iterator[Path]:
    """Yield what is copied beside the database, without what is half written."""
    if (key := data_dir / KEY).is_file():
        yield key
    for part in PARTS:
        for path in sorted((data_dir / part).rglob("*")):
            hidden = any(name.startswith(".") for name in path.relative_to(data_dir).parts)
            if path.is_file() and not hidden:
                yield path


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file as it is now, whole: a run may write its log on, or forget a checkpoint."""
    try:
        info, content = archive.gettarinfo(path, name), path.read_bytes()
    except FileNotFoundError:
        return
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))

"""Publishing an adapter as an immutable version folder, and verifying one."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from storage.errors import VersionFolderError

WINDOWS = os.name == "nt"


def folder_hash(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def next_version(policies: Path, recorded: list[int]) -> int:
    """Return the first version that neither the database nor a folder has used."""
    on_disk = [int(p.name.removeprefix("policy-")) for p in policies.glob("policy-" + "[0-9]" * 6)]
    return max([0, *recorded, *on_disk]) + 1


def publish(policies: Path, version: int, write_files: Callable[[Path], None]) -> tuple[Path, str]:
    """Write an adapter beside its place, make it durable, rename it to `policy-NNNNNN`; return (folder, hash).

    A half-written version is never visible under its final name, and a path is never written twice.
    """
    final = policies / f"policy-{version:06d}"
    if final.exists():
        raise VersionFolderError(f"{final} exists; a version is never written twice")
    write_folder(final, write_files)
    return final, folder_hash(final)


def write_folder(final: Path, write_files: Callable[[Path], None]) -> None:
    """Write a folder's files beside its place, make them durable, then rename it to `final`, which must not exist."""
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch = final.parent / f".{final.name}.{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        write_files(scratch)
        for path in scratch.rglob("*"):
            fsync(path)
        fsync(scratch)
        scratch.rename(final)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    fsync(final.parent)


def verify(folder: Path, sha256: str) -> None:
    """Raise VersionFolderError unless the folder still holds exactly what was published."""
    if not folder.is_dir():
        raise VersionFolderError(f"the adapter folder {folder} is gone; restore it from a backup of the data folder")
    if (found := folder_hash(folder)) != sha256:
        raise VersionFolderError(
            f"the adapter at {folder} has changed since it was published (sha256 {found[:12]}…, recorded "
            f"{sha256[:12]}…); restore it from a backup of the data folder"
        )


def fsync(path: Path) -> None:
    """Make a file's contents, or the names in a folder, survive a loss of power, as far as the system can.

    Windows opens no folders, and flushes a file only through a handle that may write.
    """
    try:
        handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
    except PermissionError:
        if WINDOWS or path.is_dir():
            return
        raise
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""A cache folder in the layout of the Hugging Face hub, written without the hub."""

import hashlib
import os
import shutil
from pathlib import Path

REVISION = "0123456789abcdef0123456789abcdef01234567"


def put_into_cache(cache: Path, name: str, source: Path, leave_out: str = "") -> Path:
    """Put a folder's files into a cache as a model of some name; return its snapshot: links to blobs."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / REVISION
    for file in sorted(path for path in source.iterdir() if path.is_file() and path.name != leave_out):
        blob = repository / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in (blob.parent, snapshot):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return snapshot

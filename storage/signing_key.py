"""The secret of a data folder: it signs cookies, and makes ids of people and comparisons unrecognisable outside."""

import secrets
from pathlib import Path


def signing_key(data_dir: Path) -> str:
    """Return the key, made on first use and kept in the data folder, readable by its owner only."""
    path = data_dir / "cookie.key"
    if not path.exists():
        scratch = path.with_suffix(".new")
        scratch.touch(mode=0o600)
        scratch.write_text(secrets.token_urlsafe(32))
        scratch.replace(path)
    return path.read_text()

"""Features of completions, computed once and kept: what the linear reward model is refitted to after every vote."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from storage.database import read, write
from storage.messages import Messages, messages_to_json

AT_ONCE = 500  # keys in one query

Features = NDArray[np.float32]  # (F,)


def text_key(messages: Messages, completion: str, *, ended: bool) -> str:
    """Return what a completion of a conversation is found by: a SHA-256 over all of it."""
    whole = json.dumps([messages_to_json(messages), completion, ended], ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def read_features(path: Path, model: str, keys: Sequence[str]) -> dict[str, Features]:
    """Return those features of texts that are stored, by key; `model` is the fingerprint of what made them."""
    found: dict[str, Features] = {}
    with read(path) as db:
        for start in range(0, len(keys), AT_ONCE):
            some = list(keys[start : start + AT_ONCE])
            places = ", ".join("?" * len(some))
            rows = db.query(
                f"SELECT text, numbers FROM features WHERE model = ? AND text IN ({places})", [model, *some]
            )
            found |= {row["text"]: np.frombuffer(row["numbers"], np.float32) for row in rows}
    return found


def save_features(path: Path, model: str, features: Mapping[str, Features]) -> None:
    """Store features by key; what is stored already stays."""
    with write(path) as db:
        db["features"].insert_all(
            [
                {"model": model, "text": key, "numbers": values.astype(np.float32).tobytes()}
                for key, values in features.items()
            ],
            ignore=True,
        )

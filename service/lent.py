"""LoRA adapters that another app lends to this one while it runs, as vLLM takes them: by a name, out of a folder.

Off unless the app was started with `--lend-adapters`: whoever may call it has folders of this machine read.
"""

import hashlib
import threading
from pathlib import Path

from alignment.errors import AccessError, ConfigError
from alignment.models.model_folder import ADAPTER_FILES
from alignment.serving.engine import Adapter

MOST = 32


class LentAdapters:
    """Adapters by the names that they were lent under. From any thread."""

    def __init__(self, *, allowed: bool = False) -> None:
        """Hold none yet; without `allowed` none is ever taken."""
        self._allowed = allowed
        self._lock = threading.Lock()
        self._held: dict[str, Adapter] = {}

    @property
    def names(self) -> list[str]:
        """The names in the order of lending."""
        return list(self._held)

    def get(self, name: str) -> Adapter | None:
        """Return the adapter of a name, None where there is none."""
        return self._held.get(name)

    def take(self, name: str, folder: str, taken: list[str]) -> None:
        """Hold the adapter in a folder under a name that is not `taken`; a second time is the same as once.

        Raises AccessError where none is taken, ConfigError for a name that is in use or a folder without an adapter.
        """
        self._require_allowed()
        place = Path(folder)
        if not name.strip() or name in taken:
            raise ConfigError(f"lora_name {name!r} is in use here or empty; choose another one")
        if missing := [one for one in ADAPTER_FILES if not (place / one).is_file()]:
            raise ConfigError(f"lora_path {folder!r} has no {missing[0]} that this machine can read")
        digest = hashlib.sha256(str(place.resolve()).encode()).hexdigest()[:12]
        adapter = Adapter(f"lent-{digest}", place)
        with self._lock:
            if self._held.get(name, adapter) != adapter:
                raise ConfigError(f"{name} is lent already, from another folder; unload it first")
            if len(self._held) >= MOST and name not in self._held:
                raise ConfigError(f"{MOST} adapters are lent already; unload one first")
            self._held[name] = adapter

    def drop(self, name: str) -> None:
        """Forget an adapter; what is being written through it goes on. Raises ConfigError for an unknown name."""
        self._require_allowed()
        with self._lock:
            if self._held.pop(name, None) is None:
                raise ConfigError(f"no adapter {name!r} is lent; there are {', '.join(self._held) or 'none'}")

    def _require_allowed(self) -> None:
        if not self._allowed:
            raise AccessError("this app takes no adapters while it runs; start it with --lend-adapters")

"""Which adapters the serving model carries: its own, those of the live version, and those of a few others."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from alignment.errors import AdapterError
from alignment.models.adapters import attach, drop_adapter
from alignment.serving.engine import Adapter, PolicyVersion
from storage.errors import VersionFolderError
from storage.version_folders import verify

OTHERS_KEPT = 4  # versions besides the live one


class AttachedAdapters:
    """An LRU cache of attached adapters: those of the live version and of the few most recently used other versions.

    The folder of a version is verified once, before the first of its adapters is attached, and when it goes live.
    What rows are being written through stays, however many versions that are.
    """

    def __init__(self, model: Any) -> None:
        self.model = model  # a PeftModel once an adapter was attached
        self._live: Path | None = None  # folder of the live version
        self._versions: OrderedDict[Path, set[str]] = OrderedDict()  # names; least recently used first
        self._in_use: Counter[Path] = Counter()  # by how many calls that are under way

    def make_live(self, policy: PolicyVersion) -> None:
        """Attach all adapters of a version and keep them; the version before counts as most recently used.

        Raises AdapterError, and changes nothing, if they are not whole or do not fit.
        """
        if policy.folder in self._versions or not policy.adapters:  # else it is verified before they are attached
            _verify(policy.folder, policy.sha256)
        self.ensure_attached(policy.adapters)
        if self._live is not None and self._live in self._versions:
            self._versions.move_to_end(self._live)
        self._live = policy.folder
        self._drop_unused()

    def ensure_attached(self, adapters: Sequence[Adapter]) -> None:
        """Attach these adapters, if they are not, and drop what is more than is kept beside them.

        Raises AdapterError for a version that is not what was published and an adapter that does not fit the base;
        the versions attached before stay.
        """
        for adapter in adapters:
            self._attach(adapter)
        self._drop_unused({adapter.version_folder for adapter in adapters})

    def hold(self, adapters: Iterable[Adapter]) -> None:
        """Keep the versions of these adapters until `release` is called with the same ones."""
        self._in_use.update(_folders(adapters))

    def release(self, adapters: Iterable[Adapter]) -> None:
        """Let go of what was held; what is more than is kept is dropped."""
        self._in_use.subtract(_folders(adapters))
        self._in_use = +self._in_use
        self._drop_unused()

    def _attach(self, adapter: Adapter) -> None:
        if (folder := adapter.version_folder) is not None and folder in self._versions:
            self._versions.move_to_end(folder)
        if adapter.name in getattr(self.model, "peft_config", ()):
            return
        if folder is not None and folder not in self._versions:
            _verify(folder, adapter.sha256 or "")
        try:
            self.model = attach(self.model, adapter.folder, adapter.name)
        except AdapterError:
            if folder is not None and folder != self._live:
                self._drop(folder)  # no version is served in part
            raise
        if folder is not None:
            self._versions.setdefault(folder, set()).add(adapter.name)

    def _drop_unused(self, needed: Iterable[Path | None] = ()) -> None:
        others = [folder for folder in self._versions if folder != self._live]
        kept = {*needed, *self._in_use}
        for folder in others[: max(0, len(others) - OTHERS_KEPT)]:
            if folder not in kept:
                self._drop(folder)

    def _drop(self, version_folder: Path) -> None:
        for name in self._versions.pop(version_folder, set()):
            drop_adapter(self.model, name)


def _folders(adapters: Iterable[Adapter]) -> set[Path]:
    return {adapter.version_folder for adapter in adapters if adapter.version_folder is not None}


def _verify(folder: Path, sha256: str) -> None:
    try:
        verify(folder, sha256)
    except VersionFolderError as error:
        raise AdapterError(str(error)) from error

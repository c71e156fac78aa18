"""The servers that a remote engine has its rows written by: which are well, and which adapters each of them holds."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from alignment.errors import AdapterError, AlignmentError, ConfigError
from alignment.serving.engine import Adapter
from alignment.serving.likeness import Likeness, likeness
from alignment.serving.openai_server import ANSWER_SECONDS, Listed, Server, UnreachableError
from alignment.settings import ModelConfig
from storage.errors import StorageError
from storage.version_folders import verify

log = logging.getLogger(__name__)
SPARE = 4  # adapters that a server keeps although nothing asks for them now: versions asked for by name come again
BASE, SFT = "base", "sft"  # names under which Triptych itself serves them


def lent_as(adapter: Adapter) -> str:
    """Return the name that an adapter has on servers: of a version, with the beginning of its hash.

    So a server never takes one data folder's version for another's of the same number.
    """
    return adapter.name if adapter.sha256 is None else f"{adapter.name}-{adapter.sha256[:8]}"


@dataclass
class Replica:
    """One server as it was found last."""

    server: Server
    listed: tuple[Listed, ...] = ()
    why: str | None = None  # it is not well; "" for one that is, None before the first look at it has ended
    compared: tuple[Listed, Likeness] | None = None  # its model with the app's, since it answers
    open_rows: dict[str, int] = field(default_factory=dict)  # by the model's name
    loaded: list[str] = field(default_factory=list)  # adapters that were put in, the latest last
    giving: threading.Lock = field(default_factory=threading.Lock)  # held while its adapters change or are listed
    look: threading.Thread | None = None  # the latest, which may still be on its way

    @property
    def well(self) -> bool:
        """Whether rows may be sent there."""
        return self.why == ""

    @property
    def names(self) -> frozenset[str]:
        """The names that it serves."""
        return frozenset(one.name for one in self.listed)

    @property
    def triptych(self) -> bool:
        """Whether another Triptych answers there."""
        return {BASE, SFT} <= self.names

    def version(self, adapter: Adapter) -> str | None:
        """Return the name of the same version, or of its instruction tuning, among a Triptych's own; None for none."""
        tuning = adapter.folder != adapter.version_folder
        same = [one for one in self.listed if one.sha256 and one.sha256 == adapter.sha256]
        return next((one.name for one in reversed(same) if (one.name == SFT) == tuning), None)

    def require_untuned(self) -> None:
        """Raise AdapterError where a Triptych's instruction-tuned panel is not the one that came with the model."""
        if any(one.name == SFT and one.sha256 for one in self.listed):
            raise AdapterError(
                f"{self.server.url} has gone on with instruction tuning and does not serve the model's own any more; "
                "name a Triptych whose live version came without it"
            )

    @property
    def main(self) -> Listed:
        """The model that adapters are put on, the first that is none itself."""
        return next((one for one in self.listed if one.parent is None), self.listed[0])


class Replicas:
    """All servers. Any thread may ask; one thread alone has them looked at, each by a thread of its own."""

    def __init__(self, servers: Sequence[Server], model: ModelConfig, *, publishes: bool) -> None:
        """Have rows written by servers of a model; with `publishes` they take adapters while they run, as vLLM does."""
        self.all = [Replica(server) for server in servers]
        self.publishes = publishes
        self.looked_at = False  # whether it is known which are well: one was, or all have been looked at
        self._model = model
        self._lock = threading.Lock()  # guards open rows

    def look(self, wanted: Callable[[], Sequence[Adapter]]) -> None:
        """Ask all servers side by side how they are; give those that are well the adapters that they lack.

        `wanted` returns those that are needed now, which may change while one is given. A server that takes long over
        it, as one that loads an adapter or counts tokens slowly, is not waited for.
        """
        begun = []
        for replica in self.all:
            if replica.look is None or not replica.look.is_alive():
                replica.look = threading.Thread(target=self._look_at, args=(replica, wanted), daemon=True)
                replica.look.start()
                begun.append(replica.look)
        until = time.monotonic() + ANSWER_SECONDS
        for look in begun:
            look.join(max(0.0, until - time.monotonic()))

    def _look_at(self, replica: Replica, wanted: Callable[[], Sequence[Adapter]]) -> None:
        try:
            self._bring_up_to_date(replica, wanted)
            why = ""  # only now: until it holds what is live, no row is sent there
        except (AlignmentError, StorageError) as error:
            why = str(error)
            if isinstance(error, UnreachableError):  # it may come back with another model
                replica.compared = None
        except Exception as error:  # the next look may go well
            log.exception("%s could not be looked at", replica.server.url)
            why = f"{replica.server.url} could not be looked at ({type(error).__name__}); see the log"
        if why != replica.why:
            log.warning("%s", why or f"{replica.server.url} is well")
        replica.why = why
        if replica.well or all(one.why is not None for one in self.all):
            self.looked_at = True  # never False again, whatever another look has seen meanwhile

    def _bring_up_to_date(self, replica: Replica, wanted: Callable[[], Sequence[Adapter]]) -> None:
        """Ask a server what it serves; give it the adapters that it lacks, if it takes any.

        Raises UnreachableError for one that does not answer or serves nothing, ConfigError for a Triptych that asks
        another server itself, OtherModelError for one that serves another model, else as `hold` does.
        """
        with replica.giving:
            replica.listed = replica.server.models()
        if not replica.listed:
            raise UnreachableError(f"{replica.server.url} serves no model")
        if replica.main.elsewhere:  # maybe here: two apps that name each other would ask without end
            raise ConfigError(
                f"{replica.server.url} has its answers written by another server itself; name that one as --engine"
            )
        if replica.compared is None or replica.compared[0] != replica.main:
            found = likeness(replica.server, replica.listed, replica.main, self._model)
            replica.compared = (replica.main, found)
        if self.publishes:
            replica.loaded = [name for name in replica.loaded if name in replica.names]
            held: list[Adapter] | None = None
            while (now := list(wanted())) != held:  # another version may have become live in the meantime
                for adapter in now:
                    self.hold(replica, adapter)
                self._let_go(replica, {lent_as(adapter) for adapter in now})
                held = now

    def hold_all(self, adapters: Sequence[Adapter]) -> None:
        """Have all servers that are well hold adapters; all are given them at once, so the slowest alone is waited for.

        One that does not answer meanwhile is not well any more, and is given them when it is back. Raises what the
        first one raises that refuses, UnreachableError where none is well.
        """
        well, refused = [replica for replica in self.all if replica.well], []

        def give(replica: Replica) -> None:
            try:
                for adapter in adapters:
                    self.hold(replica, adapter)
            except UnreachableError as error:
                replica.why = str(error)
            except Exception as error:
                refused.append(error)

        giving = [threading.Thread(target=give, args=(replica,), daemon=True) for replica in well]
        for thread in giving:
            thread.start()
        for thread in giving:
            thread.join()
        if refused:
            raise refused[0]
        if not any(replica.well for replica in well):
            raise UnreachableError(self.why_none)

    def hold(self, replica: Replica, adapter: Adapter) -> None:
        """Have a server hold an adapter, if it does not yet; of two callers at once, only one gives it.

        Raises AdapterError where it refuses it or cannot be given any, StorageError for a version that was changed.
        """
        if lent_as(adapter) in replica.names:  # without waiting for another one that is being given
            return
        try:
            with replica.giving:
                if lent_as(adapter) not in replica.names:
                    self._give(replica, adapter)
        except (AlignmentError, StorageError) as error:  # everybody is told: no paths
            folder = str(adapter.version_folder or adapter.folder)
            raise type(error)(str(error).replace(folder, adapter.name)) from error

    def _give(self, replica: Replica, adapter: Adapter) -> None:
        name = lent_as(adapter)
        if not self.publishes:
            raise AdapterError(
                f"{replica.server.url} does not serve {name} and takes no adapters while it runs; "
                "name a server that does as --engine vllm:URL"
            )
        if adapter.version_folder is not None and adapter.sha256 is not None:
            verify(adapter.version_folder, adapter.sha256)
        replica.server.load(name, adapter.folder)
        replica.loaded.append(name)
        replica.listed = replica.server.models()
        if name not in replica.names:
            raise AdapterError(f"{replica.server.url} took {name}, but does not list it")

    def _let_go(self, replica: Replica, wanted: set[str]) -> None:
        """Have a server forget adapters that nobody has asked for lately, and that none of its rows needs."""
        with replica.giving:
            with self._lock:
                busy = {name for name, rows in replica.open_rows.items() if rows}
                free = [name for name in replica.loaded if name not in wanted | busy]
                going = free[: max(0, len(free) - SPARE)]
                # At once, so that a row that counts from now on has its adapter given anew.
                replica.listed = tuple(one for one in replica.listed if one.name not in going)
            for name in going:
                replica.loaded.remove(name)
                try:
                    replica.server.unload(name)
                except AdapterError as error:  # it stays there, which takes the server's memory and nothing else
                    log.warning("%s", error)

    def choose(self, avoiding: Replica | None = None) -> Replica:
        """Return the server with the fewest rows, another one than `avoiding` if there is one that is well.

        Raises UnreachableError where none is well.
        """
        well = [replica for replica in self.all if replica.well]
        if not well:
            raise UnreachableError(self.why_none)
        others = [replica for replica in well if replica is not avoiding] or well
        with self._lock:
            return min(others, key=lambda replica: sum(replica.open_rows.values()))

    @property
    def why_none(self) -> str:
        """Why no server is well, in words."""
        whys = [replica.why or f"{replica.server.url} has not answered yet" for replica in self.all]
        return f"{'; '.join(whys)}; asked again every few seconds"

    @contextmanager
    def writing(self, replica: Replica, name: str) -> Iterator[None]:
        """Count a row of a server's from before its adapter is given until it is written: so long the adapter stays."""
        with self._lock:
            replica.open_rows[name] = replica.open_rows.get(name, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                replica.open_rows[name] -= 1

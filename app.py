"""Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."""

import argparse
import logging
import os
import random
import secrets
import signal
import socket
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any

# Read before torch is imported: threads that wait spin only briefly, or chat and a run beside it starve each other.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from alignment.errors import AlignmentError
from alignment.models import catalogue, presets, shipped_files
from alignment.models.catalogue import ModelChoice, Resolved
from alignment.models.conversion import ensure_converted
from alignment.models.model_folder import fingerprint
from alignment.models.shipped_files import Example
from alignment.processors import usable_processors
from alignment.quick_imports import leave_out_bitsandbytes, no_stubs_of_gradio
from alignment.runs.settings import RunSettings, settings_of
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter, PolicyVersion
from alignment.serving.local import LocalEngine
from alignment.settings import GENERAL, ModelConfig
from service import chosen_model
from service.admin import AdminSessions
from service.context import ServedModel, Services
from service.policies import ensure_live_version, untrained_versions
from service.preview import Preview
from service.status import status_of
from storage import database
from storage.errors import StorageError


@dataclass(frozen=True)
class Opened:
    """A data folder that this process alone uses, and the model that it is opened with."""

    data_dir: Path
    db: Path
    lock: Any
    model: Resolved
    live: PolicyVersion
    examples: Sequence[Example]


def port_number(text: str) -> int:
    """Return a TCP port, or raise ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {brief(text)}")
    return int(text)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="app.py",
        description=__doc__,
        epilog="The admin password is read from TRIPTYCH_ADMIN_PASSWORD; without it one is made up and printed.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (default: %(default)s)")
    add("--port", type=port_number, default=7860, help="port to listen on (default: %(default)s)")
    add("--root-path", default="", help="where a proxy shows the page, such as /triptych (default: at the top)")
    add("--data-dir", type=Path, default=Path("data"), help="database, policies and runs (default: ./%(default)s)")
    add("--model", default="", help="preset, folder, name on the hub or .gguf file (default: the data folder's)")
    add("--base", default="", help="pretrained checkpoint for the first panel: a folder or a name on the hub")
    add("--sft", default="", help="instruction-tuned LoRA adapter on the model: a folder or a name on the hub")
    add("--quantize", choices=["none", "nf4", "int8"], default="", help="how weights are held in memory")
    add("--seed", type=int, help="makes comparisons repeatable and sets the seed of runs (default: drawn anew, runs 0)")
    add("--list-models", action="store_true", help="print the presets and leave")
    return parser.parse_args(arguments)


def require_free(host: str, port: int) -> None:
    """Raise OSError at once, before anything is loaded, if the address cannot be listened on."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise OSError(f"http://{host}:{port} cannot be served ({error}); give --port another number") from error


def admin_password() -> str:
    """Return the password from the environment, else make one up and print it once."""
    if given := os.environ.get("TRIPTYCH_ADMIN_PASSWORD"):
        return given
    password = secrets.token_urlsafe(9)
    print(f"\nAdmin password (for the Training tab): {password}\nSet TRIPTYCH_ADMIN_PASSWORD to choose your own.\n")
    return password


def open_data_folder(arguments: argparse.Namespace) -> Opened:
    """Return the data folder, opened with the model that is meant; exit with one sentence if that cannot be."""
    data_dir = arguments.data_dir.resolve()
    db = database.file_in(data_dir)
    offline = stay_offline()
    given = ModelChoice(arguments.model, arguments.base, arguments.sft, arguments.quantize)
    try:
        require_free(arguments.host, arguments.port)
        lock = database.hold(data_dir)
        database.prepare(db)
        model = catalogue.resolve(chosen_model.choose(db, given), data_dir, online=not offline)
        shipped_files.check_files(model.config.model)
        live = ensure_live_version(db, data_dir, model.config)
        examples = shipped_files.examples(model.config.model) or shipped_files.examples(GENERAL)
        chosen_model.remember(db, model.choice)
    except sqlite3.Error as error:
        raise SystemExit(
            f"Triptych cannot start: the database {db} cannot be read or written ({error}); make room on its disk, or "
            "let --data-dir name a folder that you may write to"
        ) from error
    except (AlignmentError, StorageError, OSError, ValueError) as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    return Opened(data_dir, db, lock, model, live, examples)


def stay_offline() -> bool:
    """Let no library ask the hub by itself; return whether even a model that is named so is not to be fetched."""
    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported; models/hub.py lifts it for a while
    return asked


def forget_proxies() -> None:
    """Use no proxy from here on, be it set in the environment or in the system: this process asks only itself.

    Gradio asks its own page whether it is there, through whatever proxy is set, and a proxy does not know it.
    """
    os.environ["no_proxy"] = "*"


def convert(config: ModelConfig) -> None:
    """Have the model converted, if it comes from a GGUF file; the engine waits for it, and says why if it fails."""
    with suppress(AlignmentError, OSError):
        ensure_converted(config)


def services_of(opened: Opened, seed: int | None) -> Services:
    """Return what the page works with; nothing is started yet."""
    model, processors = opened.model, usable_processors()
    engine = LocalEngine(model.config, opened.live, threads=processors)
    defaults = settings_of(model.config.model, RunSettings(seed=seed or 0, threads=processors))
    return Services(
        data_dir=opened.data_dir,
        db=opened.db,
        engine=engine,
        model=ServedModel(
            name=model.name,
            base_name=model.base_name,
            shape=model.shape,
            sampling=model.sampling,
            max_tokens=model.context_tokens,
            own_template=model.own_template,
            untrained=untrained_versions(opened.db, model.config),
        ),
        sft=Adapter("sft", Path(model.config.sft)) if model.config.sft else None,
        supervisor=Supervisor(opened.data_dir, engine, model.config, defaults),
        admin=AdminSessions(admin_password()),
        examples=opened.examples,
        seeds=random.Random(seed) if seed is not None else random.SystemRandom(),
        status=status_of(opened.db, engine),
        preview=Preview(opened.db, engine, fingerprint(model.config)),
    )


def main() -> None:
    """Wire settings, database, engine, supervisor and page; serve until Ctrl-C."""
    arguments = parse_arguments()
    if arguments.list_models:
        print(presets.table())
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel that only 4-bit bases would use
    opened = open_data_folder(arguments)
    forget_proxies()
    services = services_of(opened, arguments.seed)
    threading.Thread(target=convert, args=[opened.model.config], daemon=True).start()  # beside the imports that follow
    engine, supervisor = services.engine, services.supervisor
    assert isinstance(engine, LocalEngine)

    if opened.model.config.quantize == "none":
        leave_out_bitsandbytes()
    with no_stubs_of_gradio():
        from ui.annotator import signing_key
        from ui.layout import serve

    stopping = threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        page = serve(services, arguments.host, arguments.port, signing_key(opened.data_dir), arguments.root_path)
        engine.start()  # not before: its imports and the page's hold each other up, and the page is what people see
        supervisor.start()
        services.preview.start()
        stopping.wait()
        print("Stopping …")
        page.close()
    except OSError as error:
        raise SystemExit(f"Triptych cannot serve http://{arguments.host}:{arguments.port}: {error}") from error
    finally:
        supervisor.stop()
        engine.stop()
        services.preview.stop()
        opened.lock.release()


if __name__ == "__main__":
    main()

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
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as brief
from typing import Any

from filelock import FileLock

from alignment.errors import AlignmentError
from alignment.models import catalogue, presets, shipped_files
from alignment.models.catalogue import ModelChoice, Resolved
from alignment.models.shipped_files import Example
from alignment.processors import usable_processors
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter, PolicyVersion
from alignment.serving.local import LocalEngine
from service.admin import AdminSessions
from service.chosen_model import choose, remember
from service.context import ServedModel, Services
from service.policies import ensure_live_version
from service.status import status_of
from storage import database
from storage.errors import StorageError

REFUSED = (AlignmentError, StorageError, OSError, ValueError, sqlite3.Error)  # said in one sentence at the start


@dataclass(frozen=True)
class Opened:
    """A data folder that this process holds, with the model that it is opened with."""

    data_dir: Path
    lock: FileLock
    found: Resolved
    live: PolicyVersion
    examples: list[Example]


def set_environment() -> bool:
    """Set what libraries read when they are imported, which is later; return whether the hub may be asked.

    It is asked for a model that is given by its name there, and for nothing else: libraries are told to stay offline.
    """
    online = os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE")
    # Threads that wait spin only briefly, or chat and a run beside it starve each other.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    return online


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
    add("--data-dir", type=Path, default=Path("data"), help="database, policies and runs (default: ./%(default)s)")
    add(
        "--model",
        default="",
        help="a name of --list-models, a folder, a name on the Hugging Face hub or a .gguf file "
        "(default: the one that the data folder remembers, else SmolLM2-135M-Instruct)",
    )
    add("--base", default="", help="folder or hub name of the chat model's pretrained checkpoint, for the first panel")
    add(
        "--sft",
        default="",
        help="folder or hub name of an instruction-tuned LoRA adapter on a pretrained --model "
        "(default: 'sft' in the model's folder, if there is one)",
    )
    add("--quantize", choices=["none", "nf4", "int8"], default="", help="how the weights are held in memory")
    add("--list-models", action="store_true", help="print the models that have short names, and end")
    add("--root-path", default="", help="where a proxy serves the page, such as /triptych (default: at the top)")
    add("--seed", type=int, help="makes comparisons repeatable and sets the seed of runs (default: drawn anew, runs 0)")
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


def open_folder(arguments: argparse.Namespace, online: bool) -> Opened:
    """Return the data folder, held by this process, with its model and the version to serve.

    Raises one of `REFUSED`, with what is wrong and what to do.
    """
    data_dir = arguments.data_dir.expanduser().resolve()
    db = database.file_in(data_dir)
    require_free(arguments.host, arguments.port)
    try:
        lock = database.hold(data_dir)
        database.prepare(db)
    except PermissionError as error:
        raise OSError(f"{data_dir} cannot be written ({error}); give --data-dir a folder that can") from error
    given = ModelChoice(arguments.model, arguments.base, arguments.sft, arguments.quantize)
    found = catalogue.resolve(choose(db, given), data_dir, online=online)
    shipped_files.check_files(found.config.model)
    live = ensure_live_version(db, data_dir, found.config)
    remember(db, found.choice)
    return Opened(data_dir, lock, found, live, shipped_files.examples(found.config.model))


def main() -> None:
    """Wire settings, database, engine, supervisor and page; serve until Ctrl-C."""
    arguments, online = parse_arguments(), set_environment()
    if arguments.list_models:
        print(presets.table())
        return
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel that only 4-bit bases would use
    try:
        opened = open_folder(arguments, online)
    except REFUSED as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    # From here on, this process asks only itself: Gradio does at its start, and a proxy would stand in between.
    os.environ["no_proxy"] = "*"
    try:
        serve_until_stopped(arguments, opened)
    finally:
        opened.lock.release()


def served_model(found: Resolved) -> ServedModel:
    """Return what people are told of a model."""
    return ServedModel(
        found.name, found.base_name, found.shape, found.sampling, found.context_tokens, found.own_template
    )


def serve_until_stopped(arguments: argparse.Namespace, opened: Opened) -> None:
    """Load the model, serve the page and start the supervisor; return after Ctrl-C."""
    model, data_dir, processors = opened.found.config, opened.data_dir, usable_processors()
    # Torch sees to the rest by itself, but not to a container's share of the processors' time.
    engine = LocalEngine(model, opened.live, threads=processors if processors < (os.cpu_count() or 1) else 0)
    supervisor = Supervisor(data_dir, engine, model, RunSettings(seed=arguments.seed or 0, threads=processors))

    from ui.annotator import signing_key
    from ui.layout import serve

    engine.start()  # not before Gradio is imported: the two imports hold each other up
    db = database.file_in(data_dir)
    services = Services(
        data_dir=data_dir,
        db=db,
        engine=engine,
        model=served_model(opened.found),
        sft=Adapter("sft", Path(model.sft)) if model.sft else None,
        supervisor=supervisor,
        admin=AdminSessions(admin_password()),
        examples=opened.examples,
        seeds=random.Random(arguments.seed) if arguments.seed is not None else random.SystemRandom(),
        status=status_of(db, engine),
    )
    stopping = threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        page = serve(services, arguments.host, arguments.port, signing_key(data_dir), arguments.root_path)
        supervisor.start()
        stopping.wait()
        print("Stopping …")
        page.close()
    except OSError as error:
        raise SystemExit(f"Triptych cannot serve http://{arguments.host}:{arguments.port}: {error}") from error
    finally:
        supervisor.stop()
        engine.stop()


if __name__ == "__main__":
    main()

"""Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."""

import argparse
import logging
import os
import random
import secrets
import signal
import socket
import threading
from pathlib import Path
from reprlib import repr as brief
from typing import Any

# Read before torch is imported: threads that wait spin only briefly, or chat and a run beside it starve each other.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from alignment.errors import AlignmentError
from alignment.models import model_folder, shipped_files
from alignment.models.sampling import Sampling
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter
from alignment.serving.local import LocalEngine
from alignment.settings import POCKET, ModelConfig
from service.admin import AdminSessions
from service.context import ServedModel, Services
from service.policies import ensure_live_version
from service.status import status_of
from storage import database
from storage.errors import StorageError


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
    add("--model", default=str(POCKET), help="folder of the base model (default: the bundled pocket model)")
    add("--sft", help="folder of the instruction-tuned LoRA adapter (default: 'sft' in the model's folder)")
    add("--quantize", choices=["none", "nf4", "int8"], default="none", help="how the base is held in memory")
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


def main() -> None:
    """Wire settings, database, engine, supervisor and page; serve until Ctrl-C."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel that only 4-bit bases would use
    sft = arguments.sft or str(Path(arguments.model) / "sft")
    model = ModelConfig(str(Path(arguments.model).resolve()), str(Path(sft).resolve()), arguments.quantize)
    data_dir = arguments.data_dir.resolve()
    db = database.file_in(data_dir)
    try:
        model_folder.check_base(model.model)
        model_folder.check_adapter(model.sft)
        require_free(arguments.host, arguments.port)
        lock = database.hold(data_dir)
        database.prepare(db)
        live = ensure_live_version(db, data_dir, model)
        examples = shipped_files.examples(model.model)
    except (AlignmentError, StorageError, OSError, ValueError) as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    engine = LocalEngine(model, live)
    defaults = RunSettings(seed=arguments.seed or 0, threads=os.cpu_count() or 1)
    supervisor = Supervisor(data_dir, engine, model, defaults)

    from ui.annotator import signing_key
    from ui.layout import serve

    engine.start()  # not before Gradio is imported: the two imports hold each other up
    services = Services(
        data_dir=data_dir,
        db=db,
        engine=engine,
        model=ServedModel(Path(model.model).name, "", "adapter", Sampling(), 512, own_template=True),
        sft=Adapter("sft", Path(model.sft)),
        supervisor=supervisor,
        admin=AdminSessions(admin_password()),
        examples=examples,
        seeds=random.Random(arguments.seed) if arguments.seed is not None else random.SystemRandom(),
        status=status_of(db, engine),
    )
    stopping = threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        page = serve(services, arguments.host, arguments.port, signing_key(data_dir))
        supervisor.start()
        stopping.wait()
        print("Stopping …")
        page.close()
    except OSError as error:
        raise SystemExit(f"Triptych cannot serve http://{arguments.host}:{arguments.port}: {error}") from error
    finally:
        supervisor.stop()
        engine.stop()
        lock.release()


if __name__ == "__main__":
    main()

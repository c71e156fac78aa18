"""Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."""

import argparse
import logging
import os
import random
import secrets
import shutil
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
from alignment.models import model_folder
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.policy_server import PolicyRef, PolicyServer, policy_ref
from alignment.settings import POCKET, ModelConfig
from storage import database, policies
from storage.errors import StorageError
from storage.records import Policy
from storage.version_folders import next_version, publish, verify

log = logging.getLogger("triptych")


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


def version_to_serve(db: Path, data_dir: Path, model: ModelConfig) -> PolicyRef:
    """Return the live version, else the newest that fits the model and is whole, else the model's own, published anew.

    A version that was changed or lost on disk is passed over with a warning; so is one of another model, silently.
    """
    fingerprint = model_folder.fingerprint(model.base, model.sft)
    recorded = policies.list_policies(db)
    fitting = [p for p in recorded if p.model == fingerprint and p.status in ("live", "retired")]
    for policy in sorted(fitting, key=lambda policy: policy.status != "live"):
        try:
            reference = policy_ref(policy.version, data_dir / policy.path, policy.sha256)
            verify(reference.path, reference.sha256)
        except (AlignmentError, StorageError) as error:
            log.warning("v%s cannot be served: %s", policy.version, error)
            continue
        if policy.status != "live":
            policies.serve(db, policy.version)
        return reference
    source = model_folder.first_policy(model.base, model.sft)

    def copy_files(target: Path) -> None:
        for name in model_folder.ADAPTER_FILES:
            shutil.copy2(source / name, target / name)

    version = next_version(data_dir / "policies", [policy.version for policy in recorded])
    path, sha256 = publish(data_dir / "policies", version, copy_files)
    evaluation = model_folder.shipped_evaluation(model.base)
    relative = str(path.relative_to(data_dir))
    policies.record_policy(db, Policy(version, None, None, relative, sha256, "retired", evaluation, fingerprint))
    policies.serve(db, version)
    return policy_ref(version, path, sha256)


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
    """Wire settings, database, server, supervisor and page; serve until Ctrl-C."""
    arguments = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel that only 4-bit bases would use
    sft = arguments.sft or str(Path(arguments.model) / "sft")
    model = ModelConfig(str(Path(arguments.model).resolve()), str(Path(sft).resolve()), arguments.quantize)
    data_dir = arguments.data_dir.resolve()
    db = data_dir / "triptych.db"
    try:
        model_folder.check_base(model.base)
        model_folder.check_adapter(model.sft)
        require_free(arguments.host, arguments.port)
        lock = database.hold(data_dir)
        database.prepare(db)
        live = version_to_serve(db, data_dir, model)
        examples = model_folder.examples(model.base)
    except (AlignmentError, StorageError, OSError, ValueError) as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    server = PolicyServer(model, live)
    defaults = RunSettings(seed=arguments.seed or 0, threads=os.cpu_count() or 1)
    supervisor = Supervisor(data_dir, server, model, defaults)

    from ui.access import AdminSessions, signing_key
    from ui.endpoints import Services
    from ui.layout import serve

    server.start()  # not before Gradio is imported: the two imports hold each other up
    seeds = random.Random(arguments.seed) if arguments.seed is not None else random.SystemRandom()
    services = Services(db, server, supervisor, AdminSessions(admin_password()), examples, seeds)
    done = threading.Event()

    def leave(number: int, frame: Any) -> None:
        done.set()

    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    try:
        page = serve(services, arguments.host, arguments.port, signing_key(data_dir))
        supervisor.start()
        done.wait()
        print("Stopping …")
        page.close()
    except OSError as error:
        raise SystemExit(f"Triptych cannot serve http://{arguments.host}:{arguments.port}: {error}") from error
    finally:
        supervisor.stop()
        server.stop()
        lock.release()


if __name__ == "__main__":
    main()

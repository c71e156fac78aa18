"""Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."""

import argparse
import logging
import os
import random
import secrets
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

# Read before torch is imported: threads that wait spin only briefly, or chat and a run beside it starve each other.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from alignment import model_folder
from alignment.adapters import next_version, publish
from alignment.errors import AlignmentError, ConfigError
from alignment.policy_server import PolicyRef, PolicyServer, policy_ref
from alignment.settings import POCKET, ModelConfig, RunSettings
from alignment.supervisor import Supervisor
from storage import database, policies
from storage.records import Policy

log = logging.getLogger("triptych")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(
        prog="app.py",
        description=__doc__,
        epilog="The admin password is read from TRIPTYCH_ADMIN_PASSWORD; without it one is made up and printed.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets others in (default: %(default)s)")
    add("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    add("--data-dir", type=Path, default=Path("data"), help="database, policies and runs (default: ./%(default)s)")
    add("--model", default=str(POCKET), help="folder of the base model (default: the bundled pocket model)")
    add("--sft", help="folder of the instruction-tuned LoRA adapter (default: 'sft' in the model's folder)")
    add("--quantize", choices=["none", "nf4", "int8"], default="none", help="how the base is held in memory")
    add("--seed", type=int, help="makes comparisons repeatable and sets the seed of runs (default: drawn anew, runs 0)")
    return parser.parse_args(arguments)


def first_version(db: Path, data_dir: Path, model: ModelConfig) -> PolicyRef:
    """Return the live policy, after publishing the model's own one as version 1 in a fresh data folder."""
    if not policies.bind_model(db, model_folder.fingerprint(model.base, model.sft)):
        raise ConfigError(
            f"{data_dir} holds votes and policies of another model; give --data-dir another folder, or start it with "
            "the --model and --sft that it was begun with"
        )
    live = policies.live_policy(db)
    if live is None:
        source = model_folder.first_policy(model.base, model.sft)

        def copy_files(target: Path) -> None:
            for name in model_folder.ADAPTER_FILES:
                shutil.copy2(source / name, target / name)

        recorded = [policy.version for policy in policies.list_policies(db)]
        version = next_version(data_dir / "policies", recorded)
        path, sha256 = publish(data_dir / "policies", version, copy_files)
        live = Policy(
            version,
            None,
            None,
            str(path.relative_to(data_dir)),
            sha256,
            "live",
            model_folder.shipped_evaluation(model.base),
        )
        policies.record_policy(db, live)
    return policy_ref(live.version, data_dir / live.path, live.sha256)


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
        lock = database.hold(data_dir)
        database.prepare(db)
        live = first_version(db, data_dir, model)
        examples = model_folder.examples(model.base)
    except (AlignmentError, OSError, ValueError) as error:
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

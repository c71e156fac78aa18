"""Triptych: base, instruction-tuned and RLHF answers side by side; your clicks train the third."""

import signal

if __name__ == "__main__":  # until `main` knows what to take away again, which is seconds of imports from here
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import importlib.util
import logging
import os
import random
import secrets
import socket
import sqlite3
import threading
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Read before torch is imported: threads that wait spin only briefly, or chat and a run beside it starve each other.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from alignment.errors import AlignmentError, ConfigError
from alignment.models import catalogue, presets, shipped_files
from alignment.models.catalogue import Resolved
from alignment.models.conversion import ensure_converted
from alignment.models.model_folder import features_owner, fingerprint
from alignment.models.shipped_files import Example
from alignment.processors import usable_processors
from alignment.quick_imports import leave_out_bitsandbytes, no_stubs_of_gradio
from alignment.runs.settings import RunSettings, settings_of
from alignment.runs.supervisor import Supervisor
from alignment.serving.engine import Adapter, PolicyVersion
from alignment.serving.local import LocalEngine
from alignment.serving.openai_server import servers_named
from alignment.serving.remote import RemoteEngine
from alignment.serving.settings import ServingLimits
from alignment.settings import GENERAL, ModelConfig
from service import account, chosen_model, commands, pool
from service.admin import AdminSessions
from service.admission import Admission, stored_limits
from service.command_line import named_model, parse_arguments
from service.context import ServedModel, Services
from service.lent import LentAdapters
from service.policies import ensure_live_version, untrained_versions
from service.preview import Preview
from service.recorded_example import RecordedExample, recorded_example
from service.roles import stored_roles
from service.status import status_of
from storage import database
from storage.errors import StorageError
from storage.imports import stop_left_over_imports
from storage.signing_key import signing_key

log = logging.getLogger("triptych")
RAY_PACKAGES = ("ray", "tensorboardX")  # tensorboardX: Ray Train imports it and does not ask for it
LOOPBACK = ("127.0.0.1", "::1", "localhost")
OWN_PASSWORD = "Set TRIPTYCH_ADMIN_PASSWORD, or run `python app.py password`, to choose your own."


@dataclass(frozen=True)
class Opened:
    """A data folder that this process alone uses, and the model that it is opened with."""

    data_dir: Path
    db: Path
    lock: Any
    model: Resolved
    live: PolicyVersion
    examples: Sequence[Example]
    recorded: RecordedExample | None
    limits: ServingLimits


def require_free(host: str, port: int) -> None:
    """Raise OSError at once, before anything is loaded, if the address cannot be listened on."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise OSError(f"http://{host}:{port} cannot be served ({error}); give another --port or --host") from error


def admin_sessions(db: Path, host: str) -> AdminSessions:
    """Return what holds the admin's password: the environment's, else the stored one, else one made up and printed."""
    given, made_up = os.environ.get("TRIPTYCH_ADMIN_PASSWORD", ""), secrets.token_urlsafe(9)
    if not given and not account.has_password(db):
        print(f"\nAdmin password (for the Training tab), until the app ends: {made_up}\n{OWN_PASSWORD}\n")
        if host not in LOOPBACK:
            log.warning("others can reach this app (--host %s) and its admin has no password of yours", host)
    return account.sessions(db, given, made_up)


def open_data_folder(arguments: argparse.Namespace) -> Opened:
    """Return the data folder, opened with the model that is meant; exit with one sentence if that cannot be."""
    data_dir = arguments.data_dir.resolve()
    db = database.file_in(data_dir)
    offline = stay_offline()
    try:
        require_free(arguments.host, arguments.port)
        lock = database.hold(data_dir)
        database.prepare(db)
        stop_left_over_imports(db)
        model = catalogue.resolve(chosen_model.choose(db, named_model(arguments)), data_dir, online=not offline)
        shipped_files.check_files(model.config.model)
        live = ensure_live_version(db, data_dir, model.config)
        examples = shipped_files.examples(model.config.model) or shipped_files.examples(GENERAL)
        pool.begin(db, examples, shipped_files.prompts(model.config.model) or shipped_files.prompts(GENERAL))
        recorded = recorded_example(model.config, db)
        limits = stored_limits(db)
        chosen_model.remember(db, model.choice)
    except sqlite3.Error as error:
        raise SystemExit(
            f"Triptych cannot start: the database {db} cannot be read or written ({error}); make room on its disk, or "
            "let --data-dir name a folder that you may write to"
        ) from error
    except (AlignmentError, StorageError, OSError, ValueError) as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    return Opened(data_dir, db, lock, model, live, examples, recorded, limits)


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


def require_ray(address: str | None) -> None:
    """Raise ConfigError where a Ray cluster is to train and Ray is not installed; it is not imported for that."""
    missing = [name for name in RAY_PACKAGES if importlib.util.find_spec(name) is None] if address else []
    if missing:
        raise ConfigError(
            f"--ray {address} needs {' and '.join(missing)} in this environment; pip install "
            "'ray[default]' tensorboardX, or leave --ray out: torchrun then starts the workers on this machine"
        )


def engine_of(opened: Opened, named: str | None, port: int | None = None) -> LocalEngine | RemoteEngine:
    """Return what writes: this process, or the servers that `--engine` names; ConfigError for one at our own port."""
    if not named:
        return LocalEngine(opened.model.config, opened.live, threads=usable_processors(), serving=opened.limits)
    servers, takes = servers_named(named, os.environ.get("TRIPTYCH_ENGINE_KEY", ""), port)
    return RemoteEngine(servers, opened.model.config, opened.live, publishes=takes)


def sft_of(opened: Opened) -> Adapter | None:
    """Return the model's own instruction-tuned adapter, None for a chat checkpoint."""
    return Adapter("sft", Path(opened.model.config.sft)) if opened.model.config.sft else None


def services_of(
    opened: Opened, engine: LocalEngine | RemoteEngine, seed: int | None, host: str, workers: int = 1, ray: str = ""
) -> Services:
    """Return what the page works with; nothing is started yet."""
    model, processors, weights = opened.model, usable_processors(), fingerprint(opened.model.config)
    defaults = settings_of(model.config.model, RunSettings(seed=seed or 0, threads=processors, workers=workers))
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
            served_by=engine.servers if isinstance(engine, RemoteEngine) else "",
            fingerprint=weights,
            base_fingerprint=fingerprint(ModelConfig(model.config.base)) if model.config.base else weights,
            untrained=untrained_versions(opened.db, opened.data_dir, model.config),
        ),
        sft=sft_of(opened),
        supervisor=Supervisor(opened.data_dir, engine, model.config, defaults, ray),
        admin=admin_sessions(opened.db, host),
        admission=Admission(opened.limits),
        roles=stored_roles(opened.db),
        examples=opened.examples,
        recorded=opened.recorded,
        seeds=random.Random(seed) if seed is not None else random.SystemRandom(),
        status=status_of(opened.db, engine),
        preview=Preview(opened.db, engine, features_owner(model.config)),
        key=signing_key(opened.data_dir),
    )


def main() -> None:
    """Do what the command line asks for; Ctrl-C and SIGTERM take away what is half written."""
    arguments = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if arguments.list_models:
            print(presets.table())
        elif arguments.command != "serve":
            carry_out(arguments)
        else:
            serve_page(arguments)
    except (KeyboardInterrupt, EOFError):  # EOFError: Ctrl-D, where a password is asked for
        raise SystemExit(f"Stopped: {arguments.command} was broken off") from None


def carry_out(arguments: argparse.Namespace) -> None:
    """Do something other than serving; exit with one sentence if that cannot be."""
    data_dir = arguments.data_dir.resolve()
    try:
        if arguments.command == "password":
            print(commands.set_password(data_dir))
        elif arguments.command == "backup":
            print(commands.back_up(data_dir, arguments.file))
        elif arguments.command == "hand-off":
            stay_offline()
            print(commands.hand_over(data_dir, named_model(arguments), arguments.to, arguments.trainer or "trl"))
        else:
            print(commands.restore(data_dir, arguments.file))
    except (AlignmentError, StorageError, OSError, sqlite3.Error) as error:
        raise SystemExit(f"Nothing was changed: {error}") from error


def serve_page(arguments: argparse.Namespace) -> None:
    """Wire settings, database, engine, supervisor and page; serve until Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # PEFT asks transformers for the old name of a property; whoever starts the app can do nothing about it.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses a kernel that only 4-bit bases would use
    try:
        require_ray(arguments.ray)
        opened = open_data_folder(arguments)
        forget_proxies()
        engine = engine_of(opened, arguments.engine, arguments.port)
    except AlignmentError as error:
        raise SystemExit(f"Triptych cannot start: {error}") from error
    services = replace(
        services_of(opened, engine, arguments.seed, arguments.host, arguments.workers, arguments.ray or ""),
        fold_harmful=arguments.fold_harmful,
        lent=LentAdapters(allowed=arguments.lend_adapters),
    )
    supervisor = services.supervisor
    if isinstance(engine, LocalEngine):  # beside the imports that follow; else the process of the first run does it
        threading.Thread(target=convert, args=[opened.model.config], daemon=True).start()

    if opened.model.config.quantize == "none":
        leave_out_bitsandbytes()
    with no_stubs_of_gradio():
        from api.routes import routes
        from ui.layout import serve

    kept_open = database.keep_open(opened.db)
    stopping = threading.Event()

    def stop(number: int, frame: Any) -> None:
        stopping.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        site, beside = arguments, routes(services)
        page = serve(services, site.host, site.port, services.key, site.root_path, beside, site.embed_in)
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
        kept_open.conn.close()
        opened.lock.release()


if __name__ == "__main__":
    main()

"""The app as people start it: `python app.py` in a process of its own, on a data folder and a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "correct horse"
ROOT = Path(__file__).parents[2]
STOP_SECONDS = 30  # to end by itself after Ctrl-C, before it is killed


@dataclass(frozen=True)
class RunningApp:
    """A started app: its address, its process and how long it took to serve the page."""

    url: str
    process: subprocess.Popen[str]
    page_seconds: float


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_app(data_dir: Path, *arguments: str) -> Iterator[RunningApp]:
    """Start the app with some arguments, yield it once the page is served, and stop it as Ctrl-C does.

    What it prints goes to `app.log` in the data folder. Raises RuntimeError with that text if it ends at once.
    """
    port, started, log_path = free_port(), time.monotonic(), data_dir / "app.log"
    command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(data_dir), *arguments]
    environment = {**os.environ, "TRIPTYCH_ADMIN_PASSWORD": PASSWORD}
    with log_path.open("a") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        while not _listens(port):
            if process.poll() is not None:
                raise RuntimeError(f"the app ended at once:\n{log_path.read_text()}")
            time.sleep(0.05)
        yield RunningApp(f"http://127.0.0.1:{port}", process, time.monotonic() - started)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

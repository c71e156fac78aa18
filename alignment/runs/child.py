"""What the process of a run and the app that started it have to do with each other; nothing heavy is imported here."""

import os
import signal
import threading
from pathlib import Path


def wait_for_run() -> int | None:
    """Return the number of the run that the app writes on stdin, or None once it has left without one."""
    line = b""
    while not line.endswith(b"\n"):  # not sys.stdin: what it reads ahead would be lost to `leave_with_parent`
        if not (more := os.read(0, 1)):
            return None
        line += more
    return int(line)


def leave_with_parent(*, in_group: bool = False) -> None:
    """End this process when the app dies: the app holds the other end of stdin, which a group's workers share.

    torchrun, which is a worker's parent, is ended first: it would start the worker again.
    """
    parent = os.getppid() if in_group else None

    def wait() -> None:
        os.read(0, 1)  # not sys.stdin: its lock, held by a daemon thread, aborts the interpreter at its end
        if parent is not None and os.getppid() == parent:
            os.kill(parent, signal.SIGTERM)
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def print_into(log: Path) -> None:
    """Send what this process prints, from now on, to the end of a file, whose folder is made if there is none."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        for standard in (1, 2):
            os.dup2(output.fileno(), standard)

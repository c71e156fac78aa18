"""What the process of a run and the app that started it have to do with each other; nothing heavy is imported here."""

import errno
import os
import shutil
import signal
import threading
import time
from pathlib import Path

from storage import runs

LOOK_SECONDS = 0.5  # between two looks for a run: a process may wait for hours
DISK_FULL = errno.ENOSPC  # what a process ends with that cannot even record why
LEAST_FREE = 1 << 20  # bytes of the data folder's disk, below which a failure is put down to it


def disk_full(data_dir: Path) -> bool:
    """Return whether the data folder's disk is so full that it explains a failure."""
    return shutil.disk_usage(data_dir).free < LEAST_FREE


def wait_for_run(db: Path) -> int:
    """Return the run that this process is to train, once the app has noted that in the database."""
    while (run := runs.run_of_process(db, os.getpid())) is None:
        time.sleep(LOOK_SECONDS)
    return run


def leave_with_parent(*, in_group: bool = False) -> None:
    """End this process when the app dies: the app holds the other end of stdin, which a group's workers share.

    The group's own process, which is a worker's parent, is ended first: it would start the worker again.
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

"""Trains a run as a job of a Ray cluster, as `ray job submit` does: `python -m alignment.runs.ray_job`.

The job is `ray_group` on the cluster's head. This process waits for its end, and stops it when it is ended itself.
"""

import os
import shlex
import signal
import sys
import threading
import time
from argparse import Namespace
from contextlib import suppress
from typing import Any

from alignment.runs import ray_group
from alignment.runs.child import DISK_FULL, disk_full
from alignment.runs.process import RAY_SETTINGS

LOOK_SECONDS = 1.0  # between two looks at the job


def command_of(arguments: Namespace) -> str:
    """Return the shell command that the cluster's head runs."""
    # The head may have others.
    usual = [f'export {name}="${{{name}:-{value}}}"' for name, value in RAY_SETTINGS.items()]
    module = [sys.executable, "-m", "alignment.runs.ray_group", "--submitted", "--address", "auto"]
    given = {
        "--data-dir": arguments.data_dir.resolve(),
        "--model": arguments.model,
        "--run-number": arguments.run_number,
        "--workers": arguments.workers,
    }
    words = [str(word) for pair in given.items() for word in pair]
    return " && ".join([f"cd {shlex.quote(str(ray_group.ROOT))}", *usual, f"exec {shlex.join([*module, *words])}"])


def main() -> None:
    """Submit the run and wait for its end; stop it when this process is to end before. Exit with 1 if it fails."""
    arguments = ray_group.parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = f"triptych-run-{arguments.run_number}-{os.getpid()}"
    try:
        from ray.job_submission import JobSubmissionClient

        client = JobSubmissionClient(arguments.address)
    except (ImportError, OSError) as error:
        ray_group.end_unstarted(arguments, error)
        return
    try:
        client.submit_job(entrypoint=command_of(arguments), submission_id=job)
        status = _ended(client, job)
    except BaseException:
        with suppress(ConnectionError, RuntimeError):
            client.stop_job(job)
        raise
    if status == "SUCCEEDED":
        return
    if disk_full(arguments.data_dir):
        sys.exit(DISK_FULL)
    print(client.get_job_logs(job))
    raise SystemExit(f"Ray's job {job} has {status.lower()}")


def _ended(client: Any, job: str) -> str:
    """Return how a job has ended, in Ray's word. The app notices a run that is silent for too long, not this."""
    while True:
        time.sleep(LOOK_SECONDS)
        with suppress(ConnectionError, RuntimeError):
            if (status := client.get_job_status(job)).is_terminal():
                return str(status.value)


def _end_with_parent() -> None:
    os.read(0, 1)  # the app holds the other end, which closes when it dies
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()

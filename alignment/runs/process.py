"""The process that trains a run, seen from the app: starting it and ending it.

Importing torch and the like takes such a process some seconds. So it may be started before there is a run for it: it
then waits until the database says that it is to train one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from alignment.runs.child import DISK_FULL
from alignment.settings import ModelConfig
from storage import run_folder

GRACE_SECONDS = 20.0  # in which a group is to end its workers
# A busy machine needs more than the minute that Ray gives its workers to start. They are no nicer than the run.
RAY_SETTINGS = {"RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600", "RAY_worker_niceness": "0"}
NICE = 10  # how much lower than the app's the priority of the process is


@dataclass(frozen=True)
class TrainingProcess:
    """A process of `alignment.runs.job`, or one that watches over several."""

    popen: subprocess.Popen[bytes]
    group: bool = False  # whether it trains nothing itself, and ends its workers when it is asked to

    @property
    def pid(self) -> int:
        """The id that the system gave it."""
        return self.popen.pid

    def cause_of_end(self) -> str | None:
        """Return how it ended, such as "was killed by signal 9", or None while it runs."""
        code = self.popen.poll()
        if code is None:
            return None
        if code == DISK_FULL:
            return "found the disk of the data folder full"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def kill(self) -> None:
        """End it at once, with its workers, and wait until it is gone."""
        if self.group:
            self.popen.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(GRACE_SECONDS)
        self.popen.kill()
        self.popen.wait()
        self.close()

    def close(self) -> None:
        """Let go of a process that has ended."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()


def start_process(data_dir: Path, model: ModelConfig) -> TrainingProcess:
    """Start a process that waits for its run; raise OSError if the system refuses."""
    return TrainingProcess(_started(data_dir, "job", model))


def start_group(data_dir: Path, model: ModelConfig, run_id: int, workers: int, ray: str = "") -> TrainingProcess:
    """Start several processes that train a run together; raise OSError if the system refuses.

    torchrun starts them on this machine, or Ray on the cluster at an address: as a job for the address of its dashboard
    (http://…), else by joining it.
    """
    watcher = "torch_group" if not ray else "ray_job" if ray.startswith(("http://", "https://")) else "ray_group"
    group = ["--run-number", str(run_id), "--workers", str(workers), *(["--address", ray] if ray else [])]
    return TrainingProcess(_started(data_dir, watcher, model, group), group=True)


def _started(data_dir: Path, module: str, model: ModelConfig, more: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
    """Start a module of this folder at a lower priority, printing into the log of what waits for its run."""
    arguments = ["-m", f"alignment.runs.{module}", "--data-dir", str(data_dir), "--model", json.dumps(asdict(model))]
    waiting_log = run_folder.waiting_log(data_dir)
    waiting_log.parent.mkdir(parents=True, exist_ok=True)
    with waiting_log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, *arguments, *more],
            stdin=subprocess.PIPE,  # closes when the app dies, however it dies: the process then ends itself
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            env={**RAY_SETTINGS, **os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )
    with suppress(AttributeError, OSError):  # there is none on Windows, and a system may refuse it
        # Counts against the app only within one session: Linux groups its scheduling by session.
        os.setpriority(os.PRIO_PROCESS, popen.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    return popen


def complete_log(data_dir: Path, run_id: int) -> Path:
    """Add what a process printed before it knew its run to the run's log; return where that is in the data folder."""
    log_file = run_folder.log_of(run_folder.folder_of(Path(), run_id))
    with suppress(OSError):
        printed = run_folder.waiting_log(data_dir).read_bytes()
        (data_dir / log_file).parent.mkdir(parents=True, exist_ok=True)
        with (data_dir / log_file).open("ab") as output:
            output.write(printed)
    return log_file

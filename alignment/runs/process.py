"""The process that trains a run, seen from the app: starting it, giving it a run, ending it.

Importing torch and the like takes such a process some seconds. So it may be started before there is a run for it: it
then waits for the id of one.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from alignment.settings import ModelConfig
from storage import run_folder

NICE = 10  # how much lower than the app's the priority of the process is


@dataclass(frozen=True)
class TrainingProcess:
    """A process of `alignment.runs.job`."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The id that the system gave it."""
        return self.popen.pid

    def assign(self, run_id: int) -> bool:
        """Give it the run that it is to train; return False if it has died before it could read that."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(f"{run_id}\n".encode())
        except BrokenPipeError:
            return False
        return True

    def cause_of_end(self) -> str | None:
        """Return how it ended, such as "was killed by signal 9", or None while it runs."""
        code = self.popen.poll()
        if code is None:
            return None
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def kill(self) -> None:
        """End it at once and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()
        self.close()

    def close(self) -> None:
        """Let go of a process that has ended."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()


def start_process(data_dir: Path, model: ModelConfig) -> TrainingProcess:
    """Start a process that waits for its run; raise OSError if the system refuses."""
    command = [sys.executable, "-m", "alignment.runs.job", "--data-dir", str(data_dir)]
    command += ["--model", json.dumps(asdict(model))]
    waiting_log = run_folder.waiting_log(data_dir)
    waiting_log.parent.mkdir(parents=True, exist_ok=True)
    with waiting_log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            bufsize=0,  # nothing of a number is kept for a process that has died
            stdin=subprocess.PIPE,  # closes when the app dies, however it dies: the process then ends itself
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )
    with suppress(AttributeError, OSError):  # there is none on Windows, and a system may refuse it
        # Counts against the app only within one session: Linux groups its scheduling by session.
        os.setpriority(os.PRIO_PROCESS, popen.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICE)
    return TrainingProcess(popen)


def complete_log(data_dir: Path, run_id: int) -> Path:
    """Add what a process printed before it knew its run to the run's log; return where that is in the data folder."""
    log_file = run_folder.log_of(run_folder.folder_of(Path(), run_id))
    with suppress(OSError):
        printed = run_folder.waiting_log(data_dir).read_bytes()
        (data_dir / log_file).parent.mkdir(parents=True, exist_ok=True)
        with (data_dir / log_file).open("ab") as output:
            output.write(printed)
    return log_file

"""How the process of a run is started: one child, which may wait ahead of its run, or a group by torchrun or Ray."""

from dataclasses import dataclass
from pathlib import Path

from alignment.runs.process import TrainingProcess, start_group, start_process
from alignment.settings import ModelConfig


@dataclass
class Launcher:
    """Starts the processes of runs, one run at a time."""

    data_dir: Path
    model: ModelConfig
    ray: str = ""  # address of the cluster that trains; else several workers are started on this machine
    spare: TrainingProcess | None = None  # started ahead of the run to come

    def prepare(self) -> None:
        """Start a process ahead of a run that may come, unless one waits already; raise OSError if that fails."""
        if self.spare is None:
            self.spare = start_process(self.data_dir, self.model)

    def start(self, run_id: int, workers: int) -> TrainingProcess:
        """Return the process that trains a run, or the one that watches over its workers; raise OSError if that fails.

        A process by itself begins once the database names it as the run's.
        """
        if workers > 1:
            self.drop()
            return start_group(self.data_dir, self.model, run_id, workers, self.ray)
        if self.spare is not None and self.spare.cause_of_end() is not None:
            self.drop()
        self.prepare()
        process, self.spare = self.spare, None
        assert process is not None
        return process

    def drop(self) -> None:
        """End the process that waits for a run, if there is one."""
        if self.spare is not None:
            self.spare.kill()
        self.spare = None

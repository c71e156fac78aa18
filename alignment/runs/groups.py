"""What groups of workers have in common, whoever starts them: the arguments, and when all are started again."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from alignment.runs.child import DISK_FULL, disk_full
from storage import database, runs

log = logging.getLogger(__name__)
RESTARTS = 3  # of all workers, where one of them was lost


def run_parser(about: str | None, *, group: bool = True) -> argparse.ArgumentParser:
    """Return a parser of which run is to be trained, and by how many; only a `group` has to be told both."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", required=True, help="the fields of ModelConfig as a JSON object")
    parser.add_argument("--run-number", type=int, required=group, help="the run, where it is known already")
    parser.add_argument("--workers", type=int, required=group, default=1, help="that train the run together")
    return parser


def train_together(start: Callable[[], object], lost: type[Exception], data_dir: Path, run: int) -> int:
    """Have `start` start the workers and wait for them, again where it raises `lost`, as one of them was.

    They go on from the last checkpoint. Returns what this process is to end with: 0, or DISK_FULL at once where the
    data folder's disk is full, as workers that start again would only find that too. Raises `lost` after the last
    restart, or where the run has ended.
    """
    for restarts_left in reversed(range(RESTARTS + 1)):
        try:
            start()
            break
        except lost:
            if disk_full(data_dir):
                return DISK_FULL
            if not restarts_left or runs.get_run(database.file_in(data_dir), run).status != "running":
                raise
            log.warning("a worker of run %s was lost; all start again, %s times at most", run, restarts_left)
    return 0

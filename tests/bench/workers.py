"""Seconds an update of PPO takes with one process and with two: `python -m tests.bench.workers`.

The pocket model, the settings of `tests.bench.training`. Each way is tried in turns with the others, each time in
processes of its own; the first update is not counted. Prints a table in Markdown.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from alignment.models import workers
from tests.bench.training import ROOT, WARM_UP, ours

WAYS = {  # processes and threads of each
    "one process, one thread": (1, 1),
    "one process, two threads": (1, 2),
    "two processes, one thread each": (2, 1),
}


def updates(processes: int, threads: int) -> list[float]:
    """Return the seconds of each update of a run by so many processes."""
    group = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *group, "-m", "tests.bench.workers", "--threads", str(threads)]
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-3000:]}")
    told = next(line for line in done.stdout.splitlines() if line.startswith("{"))
    return list(json.loads(told)["seconds"][WARM_UP:])


def main() -> None:
    """Measure all ways and print a table; with `--threads`, be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        if "WORLD_SIZE" in os.environ:
            workers.join()
        told = ours(arguments.threads)
        if workers.first():
            print(json.dumps(told), flush=True)
        workers.leave()
        return
    measured: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.repeats):
        for way, shape in WAYS.items():
            measured[way] += updates(*shape)
            print(way, measured[way], file=sys.stderr, flush=True)
    print("| | seconds an update, median | quickest and slowest |\n|---|---|---|")
    for way, seconds in measured.items():
        print(f"| {way} | {statistics.median(seconds):.1f} | {min(seconds):.1f} to {max(seconds):.1f} |")


if __name__ == "__main__":
    main()

"""How many processors this process may compute with."""

import os
from collections.abc import Iterator
from pathlib import Path


def usable_processors(root: Path = Path("/")) -> int:
    """Return how many processors this process may use, at least 1.

    A machine may have many more: the process may be bound to some of them (`taskset`, Slurm), and a container may get
    only a part of their time (`docker run --cpus 2`). More threads than that wait for each other.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([bound, *_shares_of_time(root)])))


def _shares_of_time(root: Path) -> Iterator[float]:
    """Yield the processor time a second that each control group around this process allows: Linux, version 1 and 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        folder = mount / inner.lstrip("/")
        for group in [folder, *folder.parents]:
            yield from _share_of_time(group)
            if group == mount:
                break


def _share_of_time(group: Path) -> Iterator[float]:
    """Yield the limit of one control group, if it has one."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = (group / "cpu.cfs_quota_us").read_text(), (group / "cpu.cfs_period_us").read_text()
        if float(quota) > 0:
            yield float(quota) / float(period)
    except (OSError, ValueError):  # there is none here, or it is "max"
        return

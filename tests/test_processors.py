"""No more threads than the processors that this process may use."""

import os
from pathlib import Path

import pytest

from alignment.processors import usable_processors


def test_a_process_that_is_bound_to_one_processor_has_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert usable_processors(tmp_path) == 1


@pytest.mark.parametrize(
    ("lines", "files", "count"),
    [
        ("0::/job\n", {"sys/fs/cgroup/job/cpu.max": "200000 100000\n"}, 2),
        ("0::/job/inner\n", {"sys/fs/cgroup/job/cpu.max": "50000 100000\n"}, 1),
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        (
            "4:cpu,cpuacct:/job\n2:memory:/job\n",
            {
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
    ],
)
def test_a_container_gets_the_processors_that_its_limits_allow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: str, files: dict[str, str], count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in {"proc/self/cgroup": lines, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert usable_processors(tmp_path) == count

"""A wall clock that a test sets for the processes that it starts, while everybody else's stays as it is.

A small library, built here and loaded ahead of the system's, adds to the time what a file says.
"""

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    char text[32] = {0};
    int before = errno, file = open(SHIFT, O_RDONLY);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
        close(file);
    }
    errno = before;
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (kept) *kept = precise.tv_sec;
    return precise.tv_sec;
}
"""


class WallClock:
    """What processes that are started from now on take for the time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Build the library in a folder; skip the test where there is no compiler for it."""
        if sys.platform != "linux" or shutil.which("cc") is None:
            pytest.skip("a clock of its own needs Linux and a C compiler")
        folder.mkdir()
        self._shift = folder / "shift"
        library, source = folder / "clock.so", folder / "clock.c"
        source.write_text(SOURCE)
        subprocess.run(
            ["cc", "-shared", "-fPIC", f'-DSHIFT="{self._shift}"', "-o", str(library), str(source)], check=True
        )
        monkeypatch.setenv("LD_PRELOAD", str(library))

    def set_back(self, by: timedelta) -> None:
        """Set it back, at once and for all of them."""
        beside = self._shift.with_suffix(".new")
        beside.write_text(str(-round(by.total_seconds())))
        beside.replace(self._shift)

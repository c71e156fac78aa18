"""How many honest runs the gate holds back: 20 whole runs of the pocket model, each from 32 clicks of one taste.

`make bench-honest` measures run by run into `--out`, passes over runs that are there already, and prints the table and
the count (at most two of 20 asked). The labelers are simulated, six tastes in turn, with seeds of their own; nobody's
click is flipped.
"""

import argparse
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

from tests.bench.tastes import TASTES, Cell, codes, measured, table

RUNS = 20
FIRST_SEED = 10  # of those that the table of tastes does not use


def cells() -> list[Cell]:
    """Return the runs, every taste once before any comes again."""
    return list(islice((Cell(taste, seed) for seed in count(FIRST_SEED) for taste in TASTES), RUNS))


def summary(found: Sequence[dict[str, Any]]) -> str:
    """Return how many runs were held back, and by what; and how many pass only part of the way from their parent."""
    held = [one for one in found if one["status"] == "rejected"]
    part = sum(1 for one in found if one["put_back"] and one["status"] != "rejected")
    lines = [f"{len(held)} of {len(found)} held back; {part} served part of the way."]
    lines += [f"{one['taste']}, seed {one['seed']}: {'; '.join(one['gate'])}" for one in held]
    return "\n".join(lines)


def main() -> None:
    """Measure the runs that are not in `--out` yet; print the table of all that are, and the count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/honest"), help="a file a run (default: build/honest)")
    parser.add_argument("--only", default="", help="a part of the names of the runs to measure")
    arguments = parser.parse_args()
    found = measured(cells(), arguments.out, arguments.only)
    print("\n".join(part for part in (table(found), summary(found), codes(found)) if part))


if __name__ == "__main__":
    main()

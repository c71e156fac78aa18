"""How many votes a second one app host stores, each durable before it is acknowledged: `python -m tests.bench.votes`.

Threads of one process store comparisons of three answers, then votes on them, and cast votes as the endpoints do. It
prints one JSON object.
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.requests import VoteRequest, checked
from service.votes import vote
from storage import preferences
from tests.harness.scripted import Backstage, backstage
from tests.storage.test_preferences import comparison


def store_votes(db: Path, names: list[str]) -> None:
    """Store a vote on each of some comparisons, in a transaction each."""
    for name in names:
        preferences.save_preference(
            db, comparison_id=name, annotator_id="ann", tiers=[["A"], ["B", "C"]], kind="choice"
        )


def cast(behind: Backstage, names: list[str]) -> None:
    """Cast a vote on each of some comparisons, as the endpoint does."""
    for name in names:
        vote(behind.services, "ann", checked(VoteRequest, comparison_id=name, choice="A"))


def ask(db: Path, names: list[str]) -> None:
    """Store comparisons of three answers, in a transaction each."""
    for name in names:
        preferences.save_comparison(db, comparison(name))


def a_second(threads: int, count: int) -> dict[str, float]:
    """Return how many of each are stored a second by so many threads, which share them out."""
    with tempfile.TemporaryDirectory() as folder:
        behind = backstage(Path(folder))
        shares = {
            kind: [[f"{kind}{thread}-{n}" for n in range(count // threads)] for thread in range(threads)]
            for kind in ("stored", "cast")
        }
        jobs = {
            "comparisons": lambda share: ask(behind.db, share),
            "comparisons_again": lambda share: ask(behind.db, share),
            "votes_stored": lambda share: store_votes(behind.db, share),
            "votes_by_the_service": lambda share: cast(behind, share),
        }
        parts = dict(zip(jobs, (shares["stored"], shares["cast"], shares["stored"], shares["cast"]), strict=True))
        found = {}
        with ThreadPoolExecutor(threads) as pool:
            for name, act in jobs.items():
                started = time.perf_counter()
                list(pool.map(act, parts[name]))
                found[name] = round(count / (time.perf_counter() - started), 1)
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=800)
    arguments = parser.parse_args()
    print(json.dumps({f"{threads} threads": a_second(threads, arguments.votes) for threads in (1, 8)}, indent=2))


if __name__ == "__main__":
    main()

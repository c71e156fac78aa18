"""How long the page's questions take with many votes stored: leaderboard, history, counter, the next vote.

`python -m tests.bench.many_votes` stores 200,000 votes of 201 annotators in a folder that is thrown away, half of them
by one person, and prints one JSON object of milliseconds: the median of some calls, and the slowest.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service import history as past
from service.browse import BrowseRequest, browsed
from service.leaderboard import LeaderboardRequest, leaderboard
from service.requests import HistoryRequest, VoteRequest, checked
from service.votes import vote
from storage import database, preferences
from storage.messages import one_turn, stored_messages
from storage.overview import overview
from tests.harness.scripted import backstage
from tests.storage.test_preferences import comparison

PEOPLE = 200
VERSIONS = 9
AT_ONCE = 5000


def fill(db: Path, votes: int) -> None:
    """Store votes on comparisons of three, each in a conversation of its own, some thousand in one transaction."""
    rng = random.Random(0)
    started = datetime(2026, 1, 1, tzinfo=UTC)
    for start in range(0, votes, AT_ONCE):
        with database.write(db) as connection:
            numbers = range(start, min(start + AT_ONCE, votes))
            who = {n: "ann" if n % 2 else f"a-{rng.randrange(PEOPLE)}" for n in numbers}
            when = {n: (started + timedelta(minutes=n)).isoformat() for n in numbers}
            connection["annotators"].insert_all(
                ({"id": name, "created": database.now()} for name in sorted(set(who.values()))), ignore=True
            )
            connection["conversations"].insert_all(
                {"id": f"k{n}", "annotator": who[n], "created": when[n], "branch_turn": 0} for n in numbers
            )
            connection["comparisons"].insert_all(
                {
                    "id": f"m{n}",
                    "messages": stored_messages(one_turn(f"Ask {n}")),
                    "kind": "compare",
                    "blind": 0,
                    "created": when[n],
                    "conversation": f"k{n}",
                    "turn": 0,
                }
                for n in numbers
            )
            shown = {"token_ids": "[1]", "seed": 0, "sampling": "{}", "finish_reason": "stop", "seconds": 1.0}
            connection["completions"].insert_all(
                {
                    "comparison": f"m{n}",
                    "slot": slot,
                    "position": position,
                    "role": role,
                    "policy_version": 1 + n * VERSIONS // votes if role == "rlhf" else None,
                    "text": f"Answer {slot} to {n}.",
                    "first_token_seconds": 0.1,
                    **shown,
                }
                for n in numbers
                for position, (slot, role) in enumerate(zip("ABC", ("base", "sft", "rlhf"), strict=True))
            )
            connection["preferences"].insert_all(
                {
                    "comparison": f"m{n}",
                    "annotator": who[n],
                    **_judgement(rng),
                    "source": "human" if n % 3 else "simulated",
                    "decision_seconds": 1 + 9 * rng.random(),
                    "created": when[n],
                    "first_run": None,
                }
                for n in numbers
            )


def _judgement(rng: random.Random) -> dict[str, str]:
    drawn = rng.random()
    if drawn < 0.1:
        return {"kind": "tie", "tiers": '[["A", "B", "C"]]'}
    if drawn < 0.15:
        return {"kind": "all_bad", "tiers": "[]"}
    best = rng.choices("ABC", (1, 3, 5))[0]
    return {"kind": "choice", "tiers": json.dumps([[best], [slot for slot in "ABC" if slot != best]])}


def milliseconds(look: Callable[[], object], times: int) -> dict[str, float]:
    """Return the median and the slowest of some calls."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        look()
        taken.append(1000 * (time.perf_counter() - started))
    return {"median": round(statistics.median(taken), 1), "slowest": round(max(taken), 1)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=200_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        behind = backstage(Path(folder))
        services = behind.services
        fill(behind.db, arguments.votes)
        numbers = iter(range(10**6))

        def next_vote() -> None:
            name = f"new {next(numbers)}"
            preferences.save_comparison(behind.db, comparison(name))
            started = time.perf_counter()
            vote(services, "somebody", checked(VoteRequest, comparison_id=name, choice="A"))
            voting.append(1000 * (time.perf_counter() - started))

        voting: list[float] = []
        kept_open = database.keep_open(behind.db)  # as the app does
        board, own = checked(LeaderboardRequest), checked(LeaderboardRequest, own=True)
        found = {
            "votes": arguments.votes,
            "counter": milliseconds(lambda: overview(behind.db), 20),
            "leaderboard": milliseconds(lambda: leaderboard(services, "a-1", board), 10),
            "leaderboard_own": milliseconds(lambda: leaderboard(services, "a-1", own), 5),
            "leaderboard_own_of_half_the_votes": milliseconds(lambda: leaderboard(services, "ann", own), 3),
            "history": milliseconds(lambda: past.history(services, "a-1", checked(HistoryRequest)), 10),
            "history_of_half_the_votes": milliseconds(
                lambda: past.history(services, "ann", checked(HistoryRequest)), 5
            ),
            "data_tab": milliseconds(lambda: browsed(services, "a-1", None, checked(BrowseRequest)), 10),
        }
        milliseconds(next_vote, 20)
        found["vote"] = {"median": round(statistics.median(voting), 1), "slowest": round(max(voting), 1)}
        print(json.dumps(found, indent=2))
        kept_open.conn.close()


if __name__ == "__main__":
    main()

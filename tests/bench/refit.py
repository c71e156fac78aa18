"""How long the reward model takes to be refitted after one more vote: `python -m tests.bench.refit` prints JSON.

Votes are on random features of the size that SmolLM2-135M gives, by a taste with errors. `steady_ms` is what nearly
every vote costs, `anew_ms` one at which prior widths are chosen anew, `cross_validated_ms` the figure beside the
preview. All are medians.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from alignment.models.texts import Text
from alignment.reward.refit import cross_validated, refit
from alignment.reward.vote_fit import Votes
from storage.messages import one_turn
from tests.reward.test_vote_fit import Vote

GROUPS = (576, 1152, 3, 12)
COUNTS = (32, 200, 1000)
REPEATS = 5


def votes_of(count: int) -> Votes:
    """Return votes by a taste for a few of the features, with errors."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=sum(GROUPS)) * np.repeat([0.03, 0.02, 1.0, 0.3], GROUPS)
    rankings: list[Vote] = []
    features: dict[Text, Any] = {}
    for number in range(count):
        messages = one_turn(f"prompt {number}")
        rows = rng.normal(size=(3, sum(GROUPS))).astype(np.float32)
        completions = tuple(f"{number} {place}" for place in range(3))
        features |= {Text(messages, text): row for text, row in zip(completions, rows, strict=True)}
        best = int((rows @ taste + rng.gumbel(size=3)).argmax())
        rankings.append(Vote(messages, completions, ((best,), tuple(i for i in range(3) if i != best))))
    return Votes(rankings, features, GROUPS)


def milliseconds(work: Callable[[], Any]) -> float:
    """Return the median time of some work."""
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return round(1000 * statistics.median(took), 1)


def measured(count: int) -> dict[str, float]:
    """Return what one more vote costs after `count - 1`."""
    votes = votes_of(count)
    before = refit(Votes(votes.rankings[:-1], votes.features, GROUPS))
    now = refit(votes, before)
    return {
        "votes": count,
        "steady_ms": milliseconds(lambda: refit(votes, before)),
        "anew_ms": milliseconds(lambda: refit(votes)),
        "cross_validated_ms": milliseconds(lambda: cross_validated(votes, now, 0)),
    }


if __name__ == "__main__":
    print(json.dumps([measured(count) for count in COUNTS], indent=2))

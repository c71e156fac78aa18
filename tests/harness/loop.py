"""The whole loop through the endpoints: a simulated labeler votes, a run trains on that, two versions are compared."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio_client import Client

from alignment.models.shipped_files import Check
from alignment.runs.checks import passes
from recipes.pocket.labelers import friendliest
from recipes.pocket.prompt_files import labelled_prompts
from storage import runs
from tests.harness.app import RunningApp
from tests.harness.capitals import capital_checks
from tests.harness.endpoints import PANELS, compare, retrain, texts, wait_for_run
from tests.harness.labeler import Labeler, Taste

SHOWN_METRICS = ("reward/heldout_accuracy", "reward/heldout_votes", "objective/kl", "objective/score")
LAST_VALUES = 12  # of a metric, that are reported


@dataclass(frozen=True)
class Size:
    """How much of everything a measurement of the loop takes."""

    votes: int
    compared: int  # prompts on which the old and the new version meet
    capitals: int  # countries asked for, at most


@dataclass(frozen=True)
class Shown:
    """What a labeler sees of each prompt."""

    columns: tuple[str, ...] = PANELS  # that answer
    temperature: float = 0.7  # of their answers


@dataclass(frozen=True)
class Contest:
    """What the answers of an old and of a new version are worth to a taste, prompt by prompt."""

    old: tuple[float, ...]
    new: tuple[float, ...]

    @property
    def won(self) -> int:
        """Return on how many prompts the new version's answer is worth more."""
        return sum(after > before for before, after in zip(self.old, self.new, strict=True))

    @property
    def lost(self) -> int:
        """Return on how many prompts the new version's answer is worth less."""
        return sum(after < before for before, after in zip(self.old, self.new, strict=True))

    @property
    def win_rate(self) -> float:
        """Return the share of prompts that the new version won; a tie counts half."""
        return 0.5 + (self.won - self.lost) / len(self.old) / 2


def voting_prompts() -> list[Check]:
    """Return prompts to vote on, in phrasings that training saw, always the same in the same order."""
    pool = labelled_prompts(3000, "seen", 77)
    random.Random(3).shuffle(pool)
    return pool[:1200]


def unseen_prompts(count: int) -> list[Check]:
    """Return prompts that nobody voted on, in phrasings that no training stage saw, always the same."""
    return labelled_prompts(400, "held_out", 78)[:count]


def cast_votes(client: Client, labeler: Labeler, checks: Sequence[Check], shown: Shown = Shown()) -> int:
    """Vote for the answers that a labeler likes best until it is done; return how many votes are new to the app."""
    new = 0
    for number, check in enumerate(checks):
        answer = compare(client, check.prompt, shown.columns, 100_000 + 10 * number, shown.temperature)
        values = labeler.click(check, [completion["text"] for completion in answer["completions"]])
        if values is None:
            continue
        best = answer["completions"][values.index(max(values))]["slot"]
        reply = client.predict(answer["comparison_id"], best, "simulated", api_name="/vote")
        new = int(reply["new_since_last_run"])
        if labeler.done:
            break
    return new


def contest(client: Client, taste: Taste, checks: Sequence[Check], old: str, new: str) -> Contest:
    """Return how two versions, such as "v1" and "v2", do against each other on some prompts."""
    worth = []
    for number, check in enumerate(checks):
        before, after = texts(client, check.prompt, [old, new], 900_000 + 10 * number)
        worth.append((taste(check, before), taste(check, after)))
    return Contest(*zip(*worth, strict=True))


def capital_accuracy(client: Client, column: str, checks: Sequence[Check]) -> float:
    """Return the share of right capitals, greedy."""
    right = [passes(check, texts(client, check.prompt, [column], 0, 0.0)[0]) for check in checks]
    return sum(right) / len(right)


def tokens_a_second(client: Client, columns: Sequence[str]) -> float:
    """Return how fast long answers are written, all panels together, the reading of the prompt included."""
    tokens = seconds = 0.0
    for seed in range(8):
        answer = compare(client, "Explain the moon landing to a 6 year old in a few sentences.", columns, seed)
        tokens += sum(completion["tokens"] for completion in answer["completions"])
        seconds += max(completion["seconds"] for completion in answer["completions"])
    return tokens / seconds


def measured_loop(
    app: RunningApp, data_dir: Path, size: Size, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Go once around the loop on a fresh app and return what was measured, by name."""
    client = Client(app.url, verbose=False)
    runs.set_schedule(data_dir / "triptych.db", runs.Schedule(0))  # the run measured is the one asked for
    started = time.monotonic()
    compare(client, "What is the capital city of France?", PANELS, 1)
    first_answer = app.page_seconds + time.monotonic() - started
    speed = {f"{len(columns)}": round(tokens_a_second(client, columns)) for columns in (["rlhf"], PANELS)}
    votes = cast_votes(client, Labeler(friendliest, size.votes, size.votes // 4), voting_prompts())
    started = time.monotonic()
    state = wait_for_run(client, retrain(client, "ppo", settings))
    result: dict[str, Any] = {
        "page_seconds": round(app.page_seconds, 1),
        "first_answer_seconds": round(first_answer, 1),
        "tokens_a_second_by_panels": speed,
        "votes": votes,
        "status": state["status"],
        "error": state["error"],
        "retrain_to_live_seconds": round(time.monotonic() - started, 1),
        "stage_seconds": state["stage_seconds"],
        "gate": state["gate"],
    }
    for name in SHOWN_METRICS:
        if name in state["metrics"]:
            result[name] = [round(value, 3) for _, value in state["metrics"][name]][-LAST_VALUES:]
    if state["status"] in ("succeeded", "rejected"):
        result |= _compared(client, size, f"v{state['policy_version']}")
    return result


def _compared(client: Client, size: Size, new: str) -> dict[str, float]:
    """Return how a new version does against v1, and what both know."""
    met = contest(client, friendliest, unseen_prompts(size.compared), "v1", new)
    countries = capital_checks()
    countries = countries[:: max(1, len(countries) // size.capitals)]
    shares = {
        "win_rate": met.win_rate,
        "friendly_before": _positive(met.old),
        "friendly_after": _positive(met.new),
        "capitals_before": capital_accuracy(client, "v1", countries),
        "capitals_after": capital_accuracy(client, new, countries),
    }
    return {name: round(share, 3) for name, share in shares.items()}


def _positive(worth: Sequence[float]) -> float:
    """Return the share of answers that a taste likes at all."""
    return sum(value > 0 for value in worth) / len(worth)

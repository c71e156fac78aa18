"""The app left to a simulated public: it trains by itself, and what happens is written down. Prints JSON.

`make soak` takes two hours of the pocket model; `ARGS="--minutes 20"` fewer. People of three tastes, whose clicks are
drawn at random one time in ten, and a vandal, whose clicks all are, ask and vote over HTTP; nobody touches the app.
After every new version, and at the end, the live version meets version 1 on prompts that the public does not ask,
judged by the three tastes (a tie counts half); memory and threads of the app are noted beside it. All votes are marked
as simulated. Ctrl-C or SIGTERM ends it early, with what was found until then.
"""

import argparse
import asyncio
import json
import logging
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from alignment.models import shipped_files
from alignment.settings import GENERAL
from storage import database
from storage.messages import question_of
from tests.bench.clients import PATIENCE, events
from tests.harness.app import running_app
from ui.findings import reasons, verdict_of

MINUTES, NOISE, HELD_OUT = 120.0, 0.1, 30
TOKENS = 64  # of each answer, at most
PAUSE = 20.0  # seconds that a person reads before the next question

log = logging.getLogger(__name__)

Taste = Callable[[str], float]  # a higher value is better
TASTES: dict[str, Taste] = {
    "shorter": lambda text: -float(len(text.split())),
    "warmer": lambda text: float(text.count("!")),
    "a full sentence": lambda text: float(len(text.split()) > 4 and text.rstrip().endswith((".", "!", "?"))),
}


@dataclass
class Soak:
    """What happened."""

    votes: int = 0
    errors: list[str] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)


async def asked(client: httpx.AsyncClient, prompt: str, columns: list[str]) -> dict[str, Any]:
    """Return a comparison that has ended."""
    shown = [one async for one in events(client, "compare", [prompt, columns, 0.7, TOKENS])]
    return shown[-1]


def choice(taste: Taste | None, texts: dict[str, str], rng: random.Random) -> str:
    """Return a vote: a slot that a taste likes best, "tie" where it sees no difference; a vandal's is random."""
    if taste is None or rng.random() < NOISE:
        return rng.choice(sorted(texts))
    values = {slot: taste(text) for slot, text in sorted(texts.items())}
    best = [slot for slot, value in values.items() if value == max(values.values())]
    return rng.choice(best) if len(best) < len(values) else "tie"


async def person(
    url: str, number: int, taste: Taste | None, prompts: list[str], pause: float, until: float, soak: Soak
) -> None:
    """Ask, read, vote, until the time is over."""
    rng = random.Random(number)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        await client.get("/")
        while time.monotonic() < until:
            try:
                made = await asked(client, rng.choice(prompts), ["base", "sft", "rlhf"])
                texts = {one["slot"]: one["text"] for one in made["completions"]}
                vote = [made["comparison_id"], choice(taste, texts, rng), "simulated"]
                async for _ in events(client, "vote", vote):
                    soak.votes += 1
            except (RuntimeError, httpx.HTTPError, LookupError) as error:
                soak.errors.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(rng.uniform(0.5, 1.5) * pause)


async def wins(client: httpx.AsyncClient, prompts: list[str]) -> float:
    """Return how often the live version is preferred to version 1, by all tastes together; a tie counts half."""
    made = await asyncio.gather(*(asked(client, prompt, ["v1", "rlhf"]) for prompt in prompts))
    pairs = [[one["text"] for one in comparison["completions"]] for comparison in made]
    won = [
        0.5 + 0.5 * ((taste(live) > taste(first)) - (taste(live) < taste(first)))
        for first, live in pairs
        for taste in TASTES.values()
    ]
    return sum(won) / len(won)


async def watched(url: str, process: psutil.Process, held_out: list[str], until: float, soak: Soak) -> None:
    """Look at every new version, and once more at the end."""
    seen, began = 0, time.monotonic()
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        await client.get("/")
        while True:
            over = time.monotonic() >= until
            try:
                async for told in events(client, "policies", []):
                    live = told["live"]
                if live != seen or over:
                    seen = live
                    share = await wins(client, held_out)
                    look = {
                        "minute": round((time.monotonic() - began) / 60, 1),
                        "live": live,
                        "preferred to version 1": round(share, 3),
                        "memory MB": round(process.memory_info().rss / 1e6),
                        "threads": process.num_threads(),
                        "votes": soak.votes,
                    }
                    print(json.dumps(look), file=sys.stderr, flush=True)
                    soak.looks.append(look)
            except (RuntimeError, httpx.HTTPError, LookupError) as error:
                soak.errors.append(f"{type(error).__name__}: {error}")
            if over:
                return
            await asyncio.sleep(5)


async def public(url: str, process: psutil.Process, model: str, minutes: float, pause: float, soak: Soak) -> None:
    """Let the public in and write down what happens."""
    shipped = shipped_files.prompts(model) or shipped_files.prompts(GENERAL)
    questions = list(dict.fromkeys(question_of(messages) for messages in shipped))
    random.Random(0).shuffle(questions)
    held_out, prompts = questions[:HELD_OUT], questions[HELD_OUT:]
    until = time.monotonic() + 60 * minutes
    people = [*TASTES.values(), *TASTES.values(), None]
    await asyncio.gather(
        watched(url, process, held_out, until, soak),
        *(person(url, number, taste, prompts, pause, until, soak) for number, taste in enumerate(people)),
    )


def soaked(model: str, minutes: float, pause: float = PAUSE) -> dict[str, Any]:
    """Return what happened in so many minutes of the app with a public, or until Ctrl-C."""
    soak, began = Soak(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with running_app(Path(folder), "--model", model, "--seed", "0") as app:
                process = psutil.Process(app.process.pid)
                asyncio.run(public(app.url, process, model, minutes, pause, soak))
        except KeyboardInterrupt:
            log.warning("cut off; this is what was found until then")
        return {
            "minutes": round((time.monotonic() - began) / 60, 1),
            "votes": soak.votes,
            "errors": len(soak.errors),
            "first errors": soak.errors[:3],
            "looks": soak.looks,
            "runs": runs_in(database.file_in(Path(folder))),
        }


def runs_in(db: Path) -> list[dict[str, Any]]:
    """Return how every run ended, with its minutes and votes, and why: what it says, or what the gate says of it."""
    with sqlite3.connect(db) as connection:
        rows = connection.execute(
            "SELECT r.id, r.status, r.error, p.version, p.evaluation,"
            " (julianday(r.finished) - julianday(r.started)) * 1440,"
            " (SELECT COUNT(*) FROM preferences WHERE first_run = r.id)"
            " FROM runs r LEFT JOIN policies p ON p.run = r.id ORDER BY r.id"
        ).fetchall()
    connection.close()
    return [
        {
            "run": number,
            "status": status,
            "version": version,
            "minutes": minutes and round(minutes, 1),
            "new votes": votes,
            "why": error or gate_of(evaluation),
        }
        for number, status, error, version, evaluation, minutes, votes in rows
    ]


def gate_of(evaluation: str | None) -> list[str]:
    """Return what the gate found of a candidate in sentences, none where it judged nothing."""
    verdict = verdict_of(json.loads(evaluation or "{}"))
    return reasons(verdict) if verdict else []


def main() -> None:
    """Let the public in and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--pause", type=float, default=PAUSE, help="mean seconds between a vote and the next question")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    print(json.dumps(soaked(arguments.model, arguments.minutes, arguments.pause), indent=2))


if __name__ == "__main__":
    main()

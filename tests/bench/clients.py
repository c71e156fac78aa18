"""Thirty people over HTTP: each asks, reads three streams to their end, votes and asks again. Prints JSON.

`make bench-clients` takes the pocket model and ten minutes; only this machine is asked. It counts errors, compares the
votes that were acknowledged with those in the database, and gives the wait for the first word: its median, and for each
person the median of their own, of which the worst says how fair the line is.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from storage import database
from tests.harness.app import running_app

PEOPLE, MINUTES = 30, 10.0
TOKENS = 48  # of each answer, at most
PATIENCE = httpx.Timeout(120.0)


@dataclass
class Seen:
    """What one person met."""

    waits: list[float] = field(default_factory=list)  # seconds to the first word, one a comparison
    votes: list[int] = field(default_factory=list)  # ids that were acknowledged
    errors: list[str] = field(default_factory=list)


async def events(client: httpx.AsyncClient, name: str, arguments: list[Any]) -> AsyncIterator[dict[str, Any]]:
    """Yield what a named endpoint of Gradio sends. Raises RuntimeError with its words for a refusal."""
    asked = await client.post(f"/gradio_api/call/{name}", json={"data": arguments})
    asked.raise_for_status()
    async with client.stream("GET", f"/gradio_api/call/{name}/{asked.json()['event_id']}") as stream:
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind == "error":
                raise RuntimeError(line.removeprefix("data: "))
            elif line.startswith("data: ") and kind in ("generating", "complete"):
                yield json.loads(line.removeprefix("data: "))[0]


async def person(url: str, number: int, until: float, seen: Seen) -> None:
    """Ask and vote until the time is over."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        await client.get("/")  # the cookie that says who this is
        turn = 0
        while time.monotonic() < until:
            turn += 1
            began, first, last = time.monotonic(), 0.0, {}
            try:
                prompt = f"What is the capital of France, asked by {number} for the {turn}th time?"
                async for last in events(client, "compare", [prompt, ["base", "sft", "rlhf"], 0.7, TOKENS]):
                    if not first and any(one["text"] for one in last["completions"]):
                        first = time.monotonic() - began
                async for voted in events(client, "vote", [last["comparison_id"], "ABC"[turn % 3], "simulated"]):
                    seen.votes.append(voted["preference_id"])
                seen.waits.append(first)
            except (RuntimeError, httpx.HTTPError, KeyError) as error:
                seen.errors.append(f"{type(error).__name__}: {error}")


async def all_of(url: str, people: int, minutes: float) -> list[Seen]:
    """Return what each of so many people met."""
    met = [Seen() for _ in range(people)]
    until = time.monotonic() + 60 * minutes
    await asyncio.gather(*(person(url, number, until, seen) for number, seen in enumerate(met)))
    return met


def found(met: list[Seen], db: Path) -> dict[str, Any]:
    """Return the counts and waits."""
    with sqlite3.connect(db) as connection:
        stored = [row[0] for row in connection.execute("SELECT id FROM preferences")]
    connection.close()
    acknowledged = [vote for seen in met for vote in seen.votes]
    waits = sorted(wait for seen in met for wait in seen.waits)
    own = [statistics.median(seen.waits) for seen in met if seen.waits]
    errors = [error for seen in met for error in seen.errors]
    return {
        "people": len(met),
        "comparisons": len(waits),
        "errors": len(errors),
        "first errors": errors[:3],
        "votes acknowledged": len(acknowledged),
        "votes lost or doubled": len(set(acknowledged) ^ set(stored)) + len(acknowledged) - len(set(acknowledged)),
        "first word, median s": round(statistics.median(waits), 2),
        "first word, 99 of 100 s": round(waits[int(0.99 * len(waits))], 2),
        "first word, worst s": round(waits[-1], 2),
        "a person's median, worst s": round(max(own), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with running_app(Path(folder), "--model", arguments.model) as app:
            met = asyncio.run(all_of(app.url, arguments.people, arguments.minutes))
        print(json.dumps(found(met, database.file_in(Path(folder))), indent=2))


if __name__ == "__main__":
    main()

"""Many comparisons at once, beside the same ones one after another: `make bench-serving` prints a table.

Each comparison has three rows of one prompt: raw continuation, instruction-tuned model, policy. All figures are of one
engine in one process, so that ratios hold whatever the machine does besides; medians of `REPEATS`.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.models import catalogue
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.sampling import Sampling
from alignment.processors import usable_processors
from alignment.serving.engine import Engine, Finished, Grown, Row
from alignment.serving.local import LocalEngine
from service.policies import ensure_live_version
from storage import database
from storage.messages import one_turn

TOKENS = 48  # of each answer, at most
REPEATS = 3
PEOPLE = (1, 4, 16)


def rows(engine: Engine, number: int, tokens: int = TOKENS) -> list[Row]:
    """Return the three rows of a comparison."""
    sampling, messages = Sampling(0.7, tokens), one_turn(f"Tell me a story about {number} foxes in a library.")
    adapter = engine.live.adapter
    columns = ((None, False), (adapter, True), (adapter, True))
    return [Row(messages, one, templated, sampling, 3 * number + i) for i, (one, templated) in enumerate(columns)]


async def answered(engine: LocalEngine, asked: Sequence[Row]) -> tuple[int, float]:
    """Return (tokens written, seconds to the first one that was shown) of a comparison."""
    began, first, written = time.monotonic(), 0.0, 0
    async for event in engine.stream(asked):
        if isinstance(event, Grown | Finished):
            first = first or time.monotonic() - began
            written = sum(len(state.token_ids) for state in event.rows)
    return written, first


async def together(engine: LocalEngine, people: int) -> tuple[float, float]:
    """Return (tokens a second, median seconds to the first token) of so many comparisons at once."""
    began = time.monotonic()
    found = await asyncio.gather(*(answered(engine, rows(engine, number)) for number in range(people)))
    return sum(tokens for tokens, _ in found) / (time.monotonic() - began), statistics.median(
        first for _, first in found
    )


async def in_turn(engine: LocalEngine, people: int) -> float:
    """Return the tokens a second of so many comparisons one after another."""
    began, tokens = time.monotonic(), 0
    for number in range(people):
        tokens += (await answered(engine, rows(engine, number)))[0]
    return tokens / (time.monotonic() - began)


async def newcomer(engine: LocalEngine, people: int) -> float:
    """Return the seconds to the first token of one who comes while so many others are being answered."""
    others = [asyncio.ensure_future(answered(engine, rows(engine, number, 96))) for number in range(people - 1)]
    await asyncio.sleep(1.0)
    _, first = await answered(engine, rows(engine, people, 8))
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return first


def table(engine: LocalEngine) -> list[str]:
    """Return the lines of a table in Markdown."""
    lines = [
        "| people | tokens a second, together | one after another | ratio | first token, median | of a newcomer |",
        "|---|---|---|---|---|---|",
    ]
    for people in PEOPLE:
        runs: list[dict[str, Any]] = []
        for _ in range(REPEATS):
            rate, first = asyncio.run(together(engine, people))
            alone = asyncio.run(in_turn(engine, min(people, 4)))
            runs.append({"rate": rate, "first": first, "alone": alone, "ratio": rate / alone})
        middle = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
        late = f"{asyncio.run(newcomer(engine, people)):.2f} s" if people > 1 else "–"
        lines.append(
            f"| {people} | {middle['rate']:.0f} | {middle['alone']:.0f} | {middle['ratio']:.1f} | "
            f"{middle['first']:.2f} s | {late} |"
        )
    return lines


def main() -> None:
    """Print the table of one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        config = catalogue.resolve(ModelChoice(arguments.model), data_dir, online=False).config
        ensure_converted(config)
        db = database.file_in(data_dir)
        database.prepare(db)
        live = ensure_live_version(db, data_dir, config)
        engine = LocalEngine(config, live, threads=usable_processors())
        engine.start()
        asyncio.run(answered(engine, rows(engine, 0)))  # it is loaded and warm now
        print("\n".join(table(engine)), flush=True)
        engine.stop()


if __name__ == "__main__":
    main()

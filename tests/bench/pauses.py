"""What holds up 16 comparisons that are being written: a long prompt, a swap, a training run. Prints JSON.

`make bench-pauses` takes the pocket model; `ARGS="--model NAME"` another one. Each comparison has three rows and is
followed by the next at once; a pause is the time between two tokens that a stream shows.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from alignment.models.model_folder import ADAPTER_FILES
from alignment.serving import decode_loop
from alignment.serving.engine import Adapter, Finished, Grown, PolicyVersion, Row, policy_version_at
from alignment.serving.settings import USUAL
from app import engine_of, open_data_folder, services_of
from service.command_line import parse_arguments
from service.compare import compare
from service.context import Services
from service.requests import CompareRequest, VoteRequest
from service.votes import vote
from storage import runs
from storage.messages import one_turn
from storage.version_folders import publish
from tests.bench.serving import rows
from tests.harness.app import free_port

PEOPLE, SECONDS, TRAINING_SECONDS, VOTES = 16, 15.0, 60.0, 12


async def streaming(services: Services, number: int, pauses: list[float]) -> None:
    """Ask one comparison after another, and note the seconds between tokens."""
    while True:
        last = None
        async for event in services.engine.stream(rows(services.engine, number), f"a-{number}"):
            if isinstance(event, Grown | Finished):
                now = time.monotonic()
                pauses += [now - last] if last is not None else []
                last = now


@asynccontextmanager
async def crowd(services: Services, people: int) -> AsyncIterator[list[float]]:
    """Let so many people ask all the time; yield the pauses that they see."""
    pauses: list[float] = []
    tasks = [asyncio.ensure_future(streaming(services, number, pauses)) for number in range(people)]
    await asyncio.sleep(3.0)
    pauses.clear()
    try:
        yield pauses
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def told(pauses: Sequence[float]) -> dict[str, Any]:
    """Return the median and the longest pause, in milliseconds."""
    return {"median ms": round(1000 * statistics.median(pauses), 1), "worst ms": round(1000 * max(pauses))}


async def alone(services: Services) -> dict[str, Any]:
    """Return the pauses where nothing else happens."""
    async with crowd(services, PEOPLE) as pauses:
        await asyncio.sleep(SECONDS)
    return told(pauses)


async def long_prompt(services: Services, tokens: int) -> dict[str, Any]:
    """Return the pauses of 15 while prompts come that fill most of the context, and when the first word of one came."""
    services.engine.restrict(replace(USUAL, prompt_tokens=tokens, rows=64))
    long, most = "A fox in a library. ", min(services.model.max_tokens, 2048) - 64
    base = rows(services.engine, 99, 8)
    while (limits := services.engine.limits(replace(base[1], messages=one_turn(long)))) and limits.prompt_tokens < most:
        long += "And another fox came. "
    asked = [replace(row, messages=one_turn(long[:-22])) for row in base]
    firsts = []
    async with crowd(services, PEOPLE - 1) as pauses:
        for _ in range(5):
            began = time.monotonic()
            async for event in services.engine.stream(asked, "newcomer"):
                if isinstance(event, Grown | Finished) and event.rows[0].token_ids:
                    firsts.append(time.monotonic() - began)
                    break
            await asyncio.sleep(0.5)
    services.engine.restrict(USUAL)
    return told(pauses) | {"first word s": round(statistics.median(firsts), 2)}


async def written(services: Services, asked: Sequence[Row]) -> list[tuple[int, ...]]:
    """Return the tokens of a call's rows."""
    async for event in services.engine.stream(asked):
        last = event
    return [row.token_ids for row in last.rows] if isinstance(last, Finished) else []


def second_version(services: Services, sft: Adapter) -> PolicyVersion:
    """Publish the instruction-tuned adapter as a version."""

    def write(target: Path) -> None:
        for name in ADAPTER_FILES:
            (target / name).write_bytes((sft.folder / name).read_bytes())

    return policy_version_at(2, *publish(services.data_dir / "policies", 2, write))


async def swap(services: Services) -> dict[str, Any]:
    """Return how many of 16 comparisons around a swap are, token for token, what they are by themselves."""
    assert services.sft is not None
    first, version = services.engine.live, second_version(services, services.sft)
    before = [rows(services.engine, number) for number in range(PEOPLE // 2)]
    tasks = [asyncio.ensure_future(written(services, asked)) for asked in before]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await asyncio.wrap_future(services.engine.swap(version))
    seconds, after = time.monotonic() - began, [rows(services.engine, 50 + number) for number in range(PEOPLE // 2)]
    tasks += [asyncio.ensure_future(written(services, asked)) for asked in after]
    found = await asyncio.gather(*tasks)
    same = [await written(services, asked) == one for asked, one in zip([*before, *after], found, strict=True)]
    await asyncio.wrap_future(services.engine.swap(first))
    return {"seconds": round(seconds, 2), "token for token": sum(same), "of": len(same)}


async def training(services: Services) -> dict[str, Any]:
    """Return the pauses while a run trains on a few simulated votes."""
    for number in range(VOTES):
        request = CompareRequest(f"What is the number {number}?", seed=number)
        last = [item async for item in compare(services, "a-1", request)][-1]
        shortest = min(last.completions, key=lambda one: len(one.text))
        vote(services, "a-1", VoteRequest(last.comparison_id, shortest.slot, "simulated"))
    run = services.supervisor.retrain("ppo", {"reward": {"least_certainty": 0.0}})
    while runs.get_run(services.db, run).stage in ("", "collect"):
        await asyncio.sleep(0.2)
    async with crowd(services, PEOPLE) as pauses:
        began = time.monotonic()
        while time.monotonic() - began < TRAINING_SECONDS:
            await asyncio.sleep(0.5)
        state = runs.get_run(services.db, run)
    if state.status == "running":
        services.supervisor.cancel(run)
    return told(pauses) | {"stage": state.stage, "status": state.status}


def main() -> None:
    """Measure all, and print what each part found as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pocket")
    decode_loop.GROWN_SECONDS = 0.0  # every token is seen
    os.environ["TRIPTYCH_ADMIN_PASSWORD"] = "not used"
    with tempfile.TemporaryDirectory() as folder:
        given = ["--model", parser.parse_args().model, "--data-dir", folder, "--port", str(free_port())]
        opened = open_data_folder(parse_arguments(given))
        engine = engine_of(opened, "")
        services = services_of(opened, engine, 1, "127.0.0.1")
        engine.start()
        asyncio.run(written(services, rows(services.engine, 0)))  # it is loaded now
        for name, part in (
            ("alone", alone(services)),
            ("long prompts, in parts of 256 tokens", long_prompt(services, 256)),
            ("long prompts, each at once", long_prompt(services, 2**20)),
        ):
            print(json.dumps({name: asyncio.run(part)}), flush=True)
        if services.sft is not None:
            print(json.dumps({"swap": asyncio.run(swap(services))}), flush=True)
        services.supervisor.start()
        print(json.dumps({"training": asyncio.run(training(services))}), flush=True)
        services.supervisor.stop()
        engine.stop()


if __name__ == "__main__":
    main()

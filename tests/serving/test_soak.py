"""Many comparisons by the tiny model, half of them cancelled at random moments: nothing is left over of any."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.models.decoding import HeldRows, Reading
from alignment.serving.calls import Call
from alignment.serving.local import LocalEngine
from alignment.serving.open_rows import Answer
from alignment.serving.settings import ServingLimits
from service.compare import compare
from service.context import Services
from service.requests import CompareRequest
from storage.database import read
from tests.harness.scripted import backstage
from tests.serving.versions import model_sft

AT_ONCE = 12  # comparisons that are asked together
KINDS = (Call, Answer, Reading, HeldRows, torch.Tensor)
PATIENCE_SECONDS = 60


def alive() -> list[int]:
    """Return how many objects of each kind there are that rows hold while they are written."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    return [sum(issubclass(one, kind) for one in kinds) for kind in KINDS]


def settled(wanted: list[int]) -> list[int]:
    """Return how many there are once the engine's thread has come to rest."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := alive()) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def scores(policy: object, messages: object, completions: Sequence[object]) -> "Future[list[float]]":
    """Score in the place of a reward model, which the tiny model has none of."""
    done: Future[list[float]] = Future()
    done.set_result([0.0] * len(completions))
    return done


async def one(services: Services, rng: random.Random, number: int) -> str:
    """Ask one comparison and leave it in one of several ways; return how it ended."""
    prompt = "capital of " * rng.choice((1, 1, 20))
    request = CompareRequest(prompt, max_new_tokens=rng.choice((4, 12)), seed=number, best_of=rng.choice((1, 1, 2)))
    asked: Any = compare(services, f"a-{number % 5}", request)
    if rng.random() < 0.5:
        steps = rng.randrange(4)
        async for _ in asked:
            steps -= 1
            if steps < 0:
                await asked.aclose()
                return "closed"
        return "ended"
    if rng.random() < 0.5:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(rng.random() / 20):
                async for _ in asked:
                    pass
                raise TimeoutError
        return "cancelled"
    async for _ in asked:
        pass
    return "ended"


async def soak(services: Services, count: int, seed: int) -> list[str]:
    """Ask many comparisons, a few at a time, and return how they ended; no task is left."""
    rng, room = random.Random(seed), asyncio.Semaphore(AT_ONCE)

    async def asked(number: int) -> str:
        async with room:
            return await one(services, rng, number)

    found = await asyncio.gather(*(asked(number) for number in range(count)))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return list(found)


@pytest.mark.parametrize("count", [200, pytest.param(500, marks=pytest.mark.slow)])
def test_nothing_is_left_of_many_comparisons_half_of_which_were_cancelled(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "scores", scores)
    behind = backstage(tmp_path / "data")
    services = replace(behind.services, engine=engine, sft=model_sft(tiny_folder))
    engine.restrict(ServingLimits(rows=12, prompt_tokens=32, waiting=2 * AT_ONCE))
    asyncio.run(soak(services, 2 * AT_ONCE, 0))  # what is kept between calls is there now
    before, threads = settled([0, 0, 0, 0, alive()[-1]]), threading.active_count()
    ended = asyncio.run(soak(services, count, 1))
    assert settled(before) == before == [0, 0, 0, 0, before[-1]]
    assert threading.active_count() <= threads
    assert ended.count("ended") > count / 4 and len(set(ended)) == 3
    model = engine._model
    assert model is not None
    assert not engine._line and not model.attached._in_use and not services.early._open
    with read(behind.db) as db:
        assert db["comparisons"].count >= ended.count("ended")

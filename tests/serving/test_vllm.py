"""vLLM for real: three panels, and three versions that are put in under 16 streams. `make test-vllm VLLM=… MODEL=…`.

The server is yours: it serves the checkpoint in the folder MODEL, with `--enable-lora`, `--max-lora-rank 16` and
VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and reads this machine's disk. Several addresses are joined by commas.
"""

import asyncio
import os
from pathlib import Path

import pytest
import torch

from alignment.models import adapters, loading
from alignment.models.sampling import Sampling
from alignment.serving.engine import Finished, PolicyVersion, Row, RowState
from alignment.serving.openai_server import servers_named
from alignment.serving.remote import RemoteEngine
from storage.messages import one_turn
from tests.serving.versions import rehashed

ADDRESS, MODEL = os.environ.get("TRIPTYCH_TEST_VLLM", ""), os.environ.get("TRIPTYCH_TEST_VLLM_MODEL", "")
STREAMS, VERSIONS = 16, 4
pytestmark = pytest.mark.skipif(not (ADDRESS and MODEL), reason="make test-vllm names a server and its model")


def versions(folder: Path) -> list[PolicyVersion]:
    """Return versions of random adapters on the model; the first one changes nothing."""
    model, _ = loading.load_checkpoint(MODEL, pretrained=False)
    model = adapters.attach_new(model, "policy", 16, 0)
    made = []
    for number in range(1, VERSIONS + 1):
        generator = torch.Generator().manual_seed(number)
        for name, weight in model.named_parameters():
            if "lora_B" in name and number > 1:
                with torch.no_grad():
                    weight.copy_(0.02 * torch.randn(weight.shape, generator=generator))
        place = folder / f"policy-{number:06d}"
        place.mkdir()
        adapters.save_adapter(model, "policy", place)
        made.append(rehashed(number, place))
    return made


async def written(engine: RemoteEngine, rows: list[Row]) -> list[RowState]:
    async for event in engine.stream(rows):
        if isinstance(event, Finished):
            return list(event.rows)
    raise AssertionError("no end")


def greedy(policy: PolicyVersion, tokens: int = 24) -> Row:
    return Row(one_turn("What is the capital city of Peru?"), policy.adapter, True, Sampling(0.0, tokens), 1)


def test_versions_are_put_in_under_sixteen_streams_and_each_writes_its_own(tmp_path: Path) -> None:
    made = versions(tmp_path)
    servers, publishes = servers_named(f"vllm:{ADDRESS}", os.environ.get("TRIPTYCH_ENGINE_KEY", ""))
    engine = RemoteEngine(servers, made[0], None, publishes=publishes)
    engine.start()

    async def loop() -> dict[int, set[str]]:
        told: dict[int, set[str]] = {}

        async def stream() -> None:
            while engine.live.version < VERSIONS:
                live = engine.live
                (one,) = await written(engine, [greedy(live)])
                told.setdefault(live.version, set()).add(one.text)

        streams = [asyncio.create_task(stream()) for _ in range(STREAMS)]
        for policy in made[1:]:
            await asyncio.sleep(2)
            await asyncio.wrap_future(engine.swap(policy))
        await asyncio.gather(*streams)
        return told

    try:
        for _ in range(600):
            if engine.state.status == "ready":
                break
            asyncio.run(asyncio.sleep(0.1))
        assert engine.state.status == "ready", engine.state.message
        base = Row(one_turn("What is the capital city of Peru?"), None, False, Sampling(0.0, 24), 1)
        sft = Row(base.messages, None, True, base.sampling, 1)
        panels = asyncio.run(written(engine, [base, sft, greedy(made[0])]))
        assert all(one.text for one in panels) and panels[1].text == panels[2].text  # version 1 changes nothing
        told = asyncio.run(loop())
        assert sorted(told) == list(range(1, VERSIONS))  # none broke, and each version wrote while it was live
        assert all(len(texts) == 1 for texts in told.values()) and len(set.union(*told.values())) == len(told)
    finally:
        engine.stop()

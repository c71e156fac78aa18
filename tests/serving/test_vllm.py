"""vLLM for real: two servers, three panels, versions put in under 16 streams, one server killed and back.

`make test-vllm VLLM=PYTHON` names a Python that has vLLM (docs/scaling.md), MODEL=FOLDER a checkpoint beside SmolLM2.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alignment.errors import AlignmentError
from alignment.models import adapters, catalogue, loading
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.sampling import Sampling
from alignment.serving.engine import Finished, PolicyVersion, Row, RowState
from alignment.serving.openai_server import Server, UnreachableError
from alignment.serving.remote import RemoteEngine
from alignment.settings import ModelConfig
from storage.messages import one_turn
from tests.harness.app import free_port
from tests.serving.versions import rehashed

PYTHON, MODEL = os.environ.get("TRIPTYCH_TEST_VLLM", ""), os.environ.get("TRIPTYCH_TEST_VLLM_MODEL", "")
STREAMS, VERSIONS = 16, 4
START_SECONDS = 600
CAPITAL = one_turn("What is the capital city of Peru?")
pytestmark = pytest.mark.skipif(not PYTHON, reason="make test-vllm names a Python that has vLLM")


class Vllm:
    """A vLLM server on a port of its own."""

    def __init__(self, model: str, log: Path) -> None:
        self.port, self.model, self.log = free_port(), model, log
        self.server = Server(f"http://127.0.0.1:{self.port}/v1")
        self.start()

    def start(self) -> None:
        command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", self.model, "--port", str(self.port)]
        command += ["--enable-lora", "--max-lora-rank", "16", "--max-cpu-loras", "8", "--max-model-len", "1024"]
        command += ["--enforce-eager", "--gpu-memory-utilization", "0.4"]
        own = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
        own |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, env=environment, cwd=self.log.parent, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Wait until it lists its model."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            with suppress(UnreachableError):
                self.server.models()
                return
            time.sleep(1)
        raise AssertionError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        """End it as a lost machine would, its engine with it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    if MODEL:
        return ModelConfig(MODEL)
    choice = ModelChoice("smollm2-135m")
    config = catalogue.resolve(choice, tmp_path_factory.mktemp("data"), online=False).config
    ensure_converted(config)
    return config


@pytest.fixture(scope="module")
def two(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vllm, Vllm]]:
    folder = tmp_path_factory.mktemp("vllm")
    a, b = (Vllm(model.model, folder / f"{name}.log") for name in "ab")
    try:
        a.wait()
        b.wait()
        yield a, b
    finally:
        a.kill()
        b.kill()


@pytest.fixture(scope="module")
def made(model: ModelConfig, tmp_path_factory: pytest.TempPathFactory) -> list[PolicyVersion]:
    """Versions of random adapters on the model; the first one changes nothing."""
    folder = tmp_path_factory.mktemp("versions")
    weights, _ = loading.load_checkpoint(model.model, pretrained=False)
    weights = adapters.attach_new(weights, "policy", 16, 0)
    found = []
    for number in range(1, VERSIONS + 1):
        generator = torch.Generator().manual_seed(number)
        for name, weight in weights.named_parameters():
            if "lora_B" in name and number > 1:
                with torch.no_grad():
                    weight.copy_(0.1 * torch.randn(weight.shape, generator=generator))
        place = folder / f"policy-{number:06d}"
        place.mkdir()
        adapters.save_adapter(weights, "policy", place)
        found.append(rehashed(number, place))
    return found


def wait_until_served_by(engine: RemoteEngine, *servers: Vllm) -> None:
    """Wait until servers hold the live version; on a processor an adapter takes seconds to load."""
    until = time.monotonic() + 60
    while not all(one.server.url in engine.state.message and engine.state.status == "ready" for one in servers):
        assert time.monotonic() < until, engine.state.message
        time.sleep(0.2)


@pytest.fixture
def engine(two: tuple[Vllm, Vllm], model: ModelConfig, made: list[PolicyVersion]) -> Iterator[RemoteEngine]:
    key = os.environ.get("TRIPTYCH_ENGINE_KEY", "")
    servers = [replace(one.server, key=key) for one in two]
    engine = RemoteEngine(servers, model, made[0], publishes=True)
    engine.start()
    wait_until_served_by(engine, *two)
    yield engine
    engine.stop()


async def written(engine: RemoteEngine, *rows: Row) -> list[RowState]:
    async for event in engine.stream(rows):
        if isinstance(event, Finished):
            return list(event.rows)
    raise AssertionError("no end")


def greedy(policy: PolicyVersion, tokens: int = 24) -> Row:
    return Row(CAPITAL, policy.adapter, True, Sampling(0.0, tokens), 1)


async def swapped(engine: RemoteEngine, policies: list[PolicyVersion], lost: list[str]) -> dict[int, set[str]]:
    """Let 16 streams ask for the live version while others are put in; return what each version wrote.

    What a server that is lost was writing goes into `lost`.
    """
    told: dict[int, set[str]] = {}

    async def stream() -> None:
        while engine.live.version < policies[-1].version:
            live = engine.live
            try:
                (one,) = await written(engine, greedy(live))
            except AlignmentError as error:
                lost.append(str(error))
            else:
                told.setdefault(live.version, set()).add(one.text)

    streams = [asyncio.create_task(stream()) for _ in range(STREAMS)]
    for policy in policies:
        while engine.live.version not in told:
            await asyncio.sleep(0.1)
        await asyncio.wrap_future(engine.swap(policy))
    await asyncio.gather(*streams)
    return told


def test_three_panels_are_written_as_the_app_writes_them(engine: RemoteEngine, made: list[PolicyVersion]) -> None:
    base = Row(CAPITAL, None, False, Sampling(0.0, 24), 1)
    sft = Row(CAPITAL, None, True, Sampling(0.0, 24), 1)
    raw, chat, rlhf = asyncio.run(written(engine, base, sft, greedy(made[0])))
    assert raw.text and chat.text == rlhf.text  # version 1 changes nothing
    assert chat.finish_reason == "stop" and len(chat.token_ids) > 4
    drawn = [replace(sft, sampling=Sampling(1.0, 24), seed=seed) for seed in (3, 3, 4)]
    once, again, other = (asyncio.run(written(engine, one))[0].text for one in drawn)  # what is beside it counts
    assert once == again != other


def test_versions_are_put_in_under_sixteen_streams_and_each_writes_its_own(
    engine: RemoteEngine, made: list[PolicyVersion]
) -> None:
    lost: list[str] = []
    alone = {one.version: asyncio.run(written(engine, greedy(one)))[0].text for one in made}
    told = asyncio.run(swapped(engine, made[1:4], lost))
    assert not lost and told == {number: {alone[number]} for number in (1, 2, 3)}
    assert len(set(alone.values())) == VERSIONS


def test_a_server_that_was_killed_is_done_without_and_given_the_live_version_when_it_is_back(
    engine: RemoteEngine, two: tuple[Vllm, Vllm], made: list[PolicyVersion]
) -> None:
    _, b = two
    lost: list[str] = []

    async def loop() -> dict[int, set[str]]:
        streams = asyncio.create_task(swapped(engine, made[1:3], lost))
        while engine.live.version == 1:
            await asyncio.sleep(0.1)
        await asyncio.to_thread(b.kill)
        return await streams

    told = asyncio.run(loop())
    assert sorted(told) == [1, 2] and len(lost) <= STREAMS  # no more than it was writing
    assert all(b.server.url in one for one in lost)
    b.start()
    b.wait()
    wait_until_served_by(engine, b)
    assert "policy-3" in {one.name.rpartition("-")[0] for one in b.server.models()}
    assert len({one.text for one in asyncio.run(written(engine, *[greedy(made[2])] * 4))}) == 1

"""Rows written elsewhere: by another Triptych, whose `/v1` takes adapters as vLLM's does."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from alignment.errors import AdapterError, AlignmentError, ConfigError
from alignment.models.sampling import Sampling
from alignment.serving import remote, replicas
from alignment.serving.engine import Adapter, Finished, Grown, PolicyVersion, Row, RowState
from alignment.serving.likeness import token_ids
from alignment.serving.openai_server import Server, servers_named
from alignment.serving.remote import RemoteEngine
from alignment.serving.replicas import Replicas
from alignment.settings import POCKET, ModelConfig
from api.routes import routes
from service.lent import LentAdapters
from storage.errors import VersionFolderError
from storage.messages import one_turn
from storage.version_folders import verify
from tests.harness.app import free_port
from tests.harness.scripted import ANSWERS, SERVED, Backstage, backstage
from ui.strings.compare import LACKS

GREEDY = Sampling(0.0, 40)
SFT = Adapter("sft", Path("sft"))
OWN = "f" * 64  # the fingerprint of the model here


class Listening:
    """An application on a port of its own, which can be killed and started again."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes
        self.port = free_port()
        self.server = Server(f"http://127.0.0.1:{self.port}/v1")
        self.start()

    def start(self) -> None:
        app = FastAPI(routes=list(self._routes))
        self._uvicorn = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="critical"))
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        self._thread.start()
        while not self._uvicorn.started:
            assert self._thread.is_alive()

    def close(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(10)


class Elsewhere(Listening):
    """Another Triptych."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        behind, model = backstage(folder), replace(SERVED, fingerprint=OWN, base_fingerprint=OWN)
        services = replace(behind.services, lent=LentAdapters(allowed=True), model=model)
        self.behind: Backstage = replace(behind, services=services)
        super().__init__(routes(self.behind.services))


class ScriptedVllm(Listening):
    """What lists its models as vLLM does, says "Lima" and keeps what it is asked.

    It cuts text as the tokenizer in a folder does; without one it has no route that tells tokens.
    """

    def __init__(self, cuts_as: Path | None = None, owner: str = "vllm", root: str = "/a/model") -> None:
        self.asked: list[dict[str, Any]] = []
        self.cuts_as, self.owner, self.root = cuts_as, owner, root
        self.counts = threading.Event()  # it says nothing of how many tokens a question has before this is set
        self.counts.set()
        posted = {"/v1/completions": self._say, "/v1/chat/completions": self._say}
        posted |= {"/tokenize": self._tokenize} if cuts_as else {}
        super().__init__(
            [Route("/v1/models", self._models), *(Route(path, do, methods=["POST"]) for path, do in posted.items())]
        )

    def tokens(self, text: str) -> list[int]:
        assert self.cuts_as is not None
        return list(token_ids(self.cuts_as, text) or ())

    async def _models(self, request: Request) -> Response:
        model = {"id": "/a/model", "owned_by": self.owner, "root": self.root, "parent": None, "max_model_len": 1024}
        return JSONResponse({"data": [model]})

    async def _tokenize(self, request: Request) -> Response:
        asked = await request.json()
        told = self.tokens(asked["prompt"]) if self.owner == "vllm" else []  # llama.cpp reads "content"
        return JSONResponse({"tokens": told})

    async def _say(self, request: Request) -> Response:
        asked = await request.json()
        if not asked.get("stream"):
            while not self.counts.is_set():
                await asyncio.sleep(0.01)
            return JSONResponse({"usage": {"prompt_tokens": 9 + len(self.tokens(asked["messages"][0]["content"]))}})
        self.asked.append(asked)
        usage = asked["stream_options"]["include_usage"]
        piece = {"text": "Lima", "delta": {"content": "Lima"}, "token_ids": [7, 2], "finish_reason": "stop"}
        parts = [{"choices": [piece]}, *([{"choices": [], "usage": {"prompt_tokens": 9}}] if usage else [])]
        return Response("".join(f"data: {json.dumps(one)}\n\n" for one in parts) + "data: [DONE]\n\n")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    with closing(Elsewhere(tmp_path / "elsewhere")) as other:
        yield other


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A folder with a tokenizer that is not the bundled model's: each word is a token."""
    folder = tmp_path / "other"
    folder.mkdir()
    tokenizer = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(replicas, "ANSWER_SECONDS", 60.0)  # on a busy machine one look is waited for all the same


def version(folder: Path, number: int) -> PolicyVersion:
    """Return a version whose files are there, so that it can be given; nothing is read through them here."""
    place = folder / f"policy-{number:06d}"
    place.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (place / name).write_text("{}")
    return PolicyVersion(number, place, 4 * str(number))


def row(adapter: Adapter | None, *, templated: bool = True, prompt: str = "Where is Paris?", seed: int = 7) -> Row:
    return Row(one_turn(prompt), adapter, templated, GREEDY, seed)


def written(engine: RemoteEngine, *rows: Row) -> list[RowState]:
    async def collect() -> list[RowState]:
        async for event in engine.stream(rows):
            if isinstance(event, Finished):
                return list(event.rows)
        raise AssertionError("no end")

    return asyncio.run(collect())


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alignment.serving.replicas.verify", lambda folder, sha256: None)
    monkeypatch.setattr("alignment.serving.likeness._fingerprint", lambda config: OWN)


def looked(*servers: Server, live: PolicyVersion, publishes: bool = True) -> RemoteEngine:
    engine = RemoteEngine(servers, ModelConfig("model", "sft"), live, publishes=publishes)
    engine.look()
    return engine


def look_until(engine: RemoteEngine, status: str, words: str) -> None:
    """Look at the servers again and again until the engine says this."""
    until = time.monotonic() + 60
    while not (engine.state.status == status and words in engine.state.message):
        assert time.monotonic() < until, engine.state
        engine.look()


def test_three_panels_are_written_by_another_triptych(elsewhere: Elsewhere, tmp_path: Path) -> None:
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    assert engine.state.status == "ready"
    assert engine.lacks == ("preview",)
    base, sft, rlhf = written(engine, row(None, templated=False), row(SFT), row(engine.live.adapter))
    assert [one.text for one in (base, sft, rlhf)] == [ANSWERS["base"], "You asked: Where is Paris?", ANSWERS["rlhf"]]
    assert {one.finish_reason for one in (base, sft, rlhf)} == {"stop"}
    assert sft.prompt_tokens == 3 and len(sft.token_ids) == 5 and 0 < sft.first_token_seconds <= sft.seconds


def test_vllm_is_told_what_it_would_take_from_the_checkpoint_or_leave_undone(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [{"id": 0, "content": "<|endoftext|>"}, {"id": 2, "content": "<|im_end|>"}]})
    )
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": null, "eos_token": "<|im_end|>"}')
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}<|im_end|>")
    model = ModelConfig(str(tmp_path), "", template='{"enable_thinking": false}')
    with closing(ScriptedVllm()) as vllm:
        engine = RemoteEngine([vllm.server], model, version(tmp_path, 1), publishes=False)
        engine.look()
        base, sft = written(engine, row(None, templated=False), row(None))
    assert engine.lacks == ("preview", "seeds", "weights")
    assert (base.text, base.token_ids, sft.token_ids) == ("Lima", (7, 2), (7, 2))
    assert (base.prompt_tokens, sft.prompt_tokens, sft.finish_reason) == (9, 9, "stop")
    raw, chat = sorted(vllm.asked, key=lambda body: "messages" in body)
    assert raw["prompt"] == "<|endoftext|>Where is Paris?"
    assert (raw["logit_bias"], raw["stop_token_ids"]) == ({"2": -100}, [0])  # no token of chat, and it ends
    assert chat["chat_template_kwargs"] == {"enable_thinking": False}
    own = [(one["top_k"], one["min_p"], one["repetition_penalty"]) for one in (raw, chat)]
    assert own == [(0, 0.0, 1.0)] * 2  # else vLLM takes those of generation_config.json


def test_seed_and_sampling_are_those_of_the_row(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.behind.engine.texts["sft"] = "by seed SEED"
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    (one,) = written(engine, replace(row(SFT, seed=41), sampling=Sampling(0.3, 17, top_p=0.8)))
    assert one.text == "by seed 41"
    (asked,) = elsewhere.behind.engine.rows
    assert (asked.sampling.temperature, asked.sampling.top_p, asked.sampling.max_new_tokens) == (0.3, 0.8, 17)


def test_a_version_is_live_once_all_servers_that_are_well_hold_it(tmp_path: Path) -> None:
    with closing(Elsewhere(tmp_path / "a")) as a, closing(Elsewhere(tmp_path / "b")) as b:
        engine = looked(a.server, b.server, live=version(tmp_path, 1))
        b.close()
        swapped = engine.swap(version(tmp_path, 2))
        engine.look()
        assert swapped.result(timeout=10) is None
        assert (engine.live.version, a.behind.services.lent.names) == (2, ["policy-1-1111", "policy-2-2222"])
        b.start()  # as a new process, without what it was given
        b.behind.services.lent.drop("policy-1-1111")
        engine.look()
        assert b.behind.services.lent.names == ["policy-2-2222"]


def test_rows_that_need_the_same_other_version_at_once_have_it_given_once(elsewhere: Elsewhere, tmp_path: Path) -> None:
    engine, given = looked(elsewhere.server, live=version(tmp_path, 2)), []
    lent, take = elsewhere.behind.services.lent, elsewhere.behind.services.lent.take

    def only_once(name: str, folder: str, taken: list[str]) -> None:  # as vLLM does
        given.append(name)
        if name in lent.names:
            raise ConfigError(f"{name} has been loaded already")
        take(name, folder, taken)

    lent.take = only_once  # type: ignore[method-assign]
    old = version(tmp_path, 1).adapter
    assert len(written(engine, *[row(old)] * 8)) == 8 and given == ["policy-1-1111"]


def test_a_server_that_is_back_is_sent_no_row_before_it_holds_what_is_live(tmp_path: Path) -> None:
    with closing(Elsewhere(tmp_path / "a")) as a, closing(Elsewhere(tmp_path / "b")) as b:
        b.close()
        engine = looked(a.server, b.server, live=version(tmp_path, 1))
        b.start()
        seen = []
        take = b.behind.services.lent.take

        def watched(name: str, folder: str, taken: list[str]) -> None:
            seen.append(engine.state.message)
            take(name, folder, taken)

        b.behind.services.lent.take = watched  # type: ignore[method-assign]
        engine.look()
        assert seen == [f"Served by {a.server.url}"]
        assert engine.state.message == f"Served by {a.server.url}, {b.server.url}"


def test_a_row_that_was_not_begun_is_written_by_another_server(tmp_path: Path) -> None:
    with closing(Elsewhere(tmp_path / "a")) as a, closing(Elsewhere(tmp_path / "b")) as b:
        engine = looked(a.server, b.server, live=version(tmp_path, 1))
        a.close()
        texts = [one.text for one in written(engine, *[row(SFT)] * 4)]
        assert texts == ["You asked: Where is Paris?"] * 4


def test_without_a_server_that_answers_people_are_told_which_one_and_training_waits(tmp_path: Path) -> None:
    server = Server(f"http://127.0.0.1:{free_port()}/v1")
    engine = looked(server, live=version(tmp_path, 1))
    assert engine.state.status == "failed"
    with pytest.raises(AlignmentError, match=f"{server.url} does not answer"):
        written(engine, row(SFT))
    swapped = engine.swap(version(tmp_path, 2))
    engine.look()
    with pytest.raises(AlignmentError, match="does not answer"):
        swapped.result()
    assert engine.live.version == 1


def test_a_server_that_takes_no_adapters_writes_its_own_and_says_why_a_new_one_is_not_served(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    own = elsewhere.behind.engine.live  # as a data folder that has not trained yet has it too
    engine = looked(elsewhere.server, live=own, publishes=False)
    elsewhere.behind.engine.live = elsewhere.behind.add_policy(2, "retired")  # what is live there now is another one
    assert written(engine, row(engine.live.adapter))[0].text == ANSWERS["rlhf"]
    swapped = engine.swap(version(tmp_path, 2))
    engine.look()
    with pytest.raises(AdapterError, match="does not serve policy-2-2222 and takes no adapters while it runs"):
        swapped.result()


def test_a_triptych_with_another_model_is_written_by_no_more_until_it_has_this_one(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    monkeypatch.setattr("alignment.serving.likeness._fingerprint", lambda config: "0" * 64)
    elsewhere.close()
    engine.look()
    elsewhere.start()
    engine.look()
    assert engine.state.status == "failed"
    assert f"{elsewhere.server.url} serves another model (fingerprint ffffffffffff) than model" in engine.state.message
    with pytest.raises(AlignmentError, match="start the app with the server's as --model"):
        written(engine, row(SFT))
    assert not elsewhere.behind.engine.rows
    monkeypatch.setattr("alignment.serving.likeness._fingerprint", lambda config: OWN)
    engine.look()
    assert engine.state.status == "ready"


def test_instruction_tuning_that_went_on_elsewhere_does_not_pass_for_the_models_own(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere.behind.engine.live = replace(elsewhere.behind.engine.live, own_sft=True)
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    with pytest.raises(AdapterError, match="has gone on with instruction tuning"):
        written(engine, row(SFT))


@pytest.mark.parametrize(
    ("owner", "cuts_as", "root", "lack"),
    [
        ("vllm", POCKET, "/a/model", "weights"),
        ("vllm", None, str(POCKET), None),  # it says that it loaded the same folder
        ("llama.cpp", POCKET, "", "weights"),
        ("llama.cpp", None, "", "model"),
    ],
)
def test_what_a_server_does_not_tell_of_its_weights_is_said_on_the_page(
    tmp_path: Path, other: Path, owner: str, cuts_as: Path | None, root: str, lack: str | None
) -> None:
    with closing(ScriptedVllm(cuts_as or other, owner, root)) as server:
        engine = RemoteEngine([server.server], ModelConfig(str(POCKET)), version(tmp_path, 1), publishes=False)
        engine.look()
        assert engine.state.status == "ready"
        assert [one for one in engine.lacks if one in ("weights", "model")] == ([lack] if lack else [])
        assert set(engine.lacks) <= set(LACKS)


def test_vllm_that_cuts_text_into_other_tokens_is_refused_as_another_model(tmp_path: Path, other: Path) -> None:
    with closing(ScriptedVllm(other)) as vllm:
        engine = RemoteEngine([vllm.server], ModelConfig(str(POCKET)), version(tmp_path, 1), publishes=False)
        engine.look()
        assert engine.state.status == "failed" and "serves another model (model) than pocket:" in engine.state.message
        assert "name a server of this model, or start the app with" in engine.state.message


def test_a_server_that_counts_tokens_slowly_holds_up_no_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "ANSWER_SECONDS", 0.1)
    with closing(ScriptedVllm(POCKET, "llama.cpp")) as slow, closing(ScriptedVllm(POCKET, "llama.cpp")) as quick:
        slow.counts.clear()
        model, live = ModelConfig(str(POCKET)), version(tmp_path, 1)
        engine = RemoteEngine([slow.server, quick.server], model, live, publishes=False)
        assert engine.state.status == "loading"
        look_until(engine, "ready", f"Served by {quick.server.url}")
        quick.close()
        look_until(engine, "failed", f"{slow.server.url} has not answered yet; {quick.server.url} does not answer")
        slow.counts.set()
        look_until(engine, "ready", f"Served by {slow.server.url}")


def test_a_server_that_keeps_what_it_is_to_forget_is_well_all_the_same(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        asked.append(name)
        raise ConfigError("it cannot be taken out")

    monkeypatch.setattr(replicas, "SPARE", 0)
    asked: list[str] = []
    elsewhere.behind.services.lent.drop = refuse  # type: ignore[method-assign]
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    written(engine, row(version(tmp_path, 2).adapter))
    engine.look()
    engine.look()
    assert (engine.state.status, asked) == ("ready", ["policy-2-2222"])


def test_a_server_that_asks_another_one_itself_is_refused(elsewhere: Elsewhere, tmp_path: Path) -> None:
    # As of two that name each other.
    model = replace(elsewhere.behind.services.model, served_by="http://127.0.0.1:7860")
    with closing(Listening(routes(replace(elsewhere.behind.services, model=model)))) as asks:
        engine = looked(asks.server, live=version(tmp_path, 1))
        assert engine.state.status == "failed"
        assert f"{asks.server.url} has its answers written by another server itself" in engine.state.message


def test_why_a_version_cannot_be_given_is_told_without_paths(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.serving.replicas.verify", verify)
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    assert engine.state.status == "failed"
    assert "the adapter at policy-1 has changed since it was published" in engine.state.message
    assert str(tmp_path) not in engine.state.message


def test_why_a_row_has_no_version_is_told_without_paths(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, folder: str, taken: list[str]) -> None:
        raise ConfigError(f"no adapter in {folder}")

    engine, other = looked(elsewhere.server, live=version(tmp_path, 1)), version(tmp_path, 2)
    elsewhere.behind.services.lent.take = refuse  # type: ignore[method-assign]
    with pytest.raises(AdapterError, match="no adapter in policy-2"):
        written(engine, row(other.adapter))
    monkeypatch.setattr("alignment.serving.replicas.verify", verify)
    with pytest.raises(VersionFolderError, match="the adapter at policy-2 has changed since it was published"):
        written(engine, row(other.adapter))


def take_slowly(elsewhere: Elsewhere) -> tuple[threading.Event, threading.Event]:
    """Have a server take adapters slowly; return what is set when it is given one, and what lets it end."""
    lent, take = elsewhere.behind.services.lent, elsewhere.behind.services.lent.take
    given, may_end = threading.Event(), threading.Event()

    def slowly(name: str, folder: str, taken: list[str]) -> None:
        given.set()
        assert may_end.wait(60)
        take(name, folder, taken)

    lent.take = slowly  # type: ignore[method-assign]
    return given, may_end


def test_a_server_that_comes_back_during_a_swap_is_well_only_with_the_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Elsewhere(tmp_path / "a")) as a, closing(Elsewhere(tmp_path / "b")) as b:
        b.close()
        engine = looked(a.server, b.server, live=version(tmp_path, 1))
        b.start()
        lent = b.behind.services.lent
        given, may_end = take_slowly(b)
        monkeypatch.setattr(replicas, "ANSWER_SECONDS", 0.1)
        engine.look()
        assert given.wait(60)
        swapped = engine.swap(version(tmp_path, 2))
        engine.look()
        assert swapped.result(timeout=60) is None
        may_end.set()
        until = time.monotonic() + 60
        while b.server.url not in engine.state.message:  # without another look
            assert time.monotonic() < until, engine.state
        assert "policy-2-2222" in lent.names


def test_all_servers_are_given_a_version_at_once_and_the_slowest_makes_it_live(tmp_path: Path) -> None:
    with closing(Elsewhere(tmp_path / "a")) as slow, closing(Elsewhere(tmp_path / "b")) as quick:
        engine = looked(slow.server, quick.server, live=version(tmp_path, 1))
        given, may_end = take_slowly(slow)
        swapped = engine.swap(version(tmp_path, 2))
        looking = threading.Thread(target=engine.look)
        looking.start()
        assert given.wait(60)
        until = time.monotonic() + 60
        while "policy-2-2222" not in quick.behind.services.lent.names:
            assert time.monotonic() < until, "the quick server waits for the slow one"
        assert (engine.live.version, swapped.done()) == (1, False)
        may_end.set()
        looking.join(60)
        assert (swapped.result(timeout=1), engine.live.version) == (None, 2)
        assert "policy-2-2222" in slow.behind.services.lent.names


def test_a_version_that_one_server_refuses_is_not_live_on_any(tmp_path: Path) -> None:
    with closing(Elsewhere(tmp_path / "a")) as a, closing(Elsewhere(tmp_path / "b")) as b:
        engine = looked(a.server, b.server, live=version(tmp_path, 1))

        def refuse(name: str, folder: str, taken: list[str]) -> None:
            raise ConfigError(f"{name} has a rank of 64, 16 are allowed")

        b.behind.services.lent.take = refuse  # type: ignore[method-assign]
        swapped = engine.swap(version(tmp_path, 2))
        engine.look()
        with pytest.raises(AdapterError, match="has a rank of 64"):
            swapped.result(timeout=1)
        assert (engine.live.version, engine.state.status) == (1, "ready")


def test_that_a_server_was_well_is_not_forgotten_by_a_look_at_another() -> None:
    both = Replicas([Server(f"http://127.0.0.1:{free_port()}/v1")], ModelConfig("model"), publishes=False)

    class WellMeanwhile:
        """A server that its own look finds well just after the other's look asked how it is."""

        look = threading.current_thread()

        @property
        def why(self) -> None:
            both.looked_at = True

    both.all.append(WellMeanwhile())  # type: ignore[arg-type]
    both.look(tuple)
    assert both.looked_at


def test_rows_that_come_together_are_shared_out_among_the_servers(tmp_path: Path) -> None:
    with closing(ScriptedVllm(POCKET)) as a, closing(ScriptedVllm(POCKET)) as b:
        model, live = ModelConfig(str(POCKET)), version(tmp_path, 1)
        engine = RemoteEngine([a.server, b.server], model, live, publishes=False)
        engine.look()
        written(engine, *[row(None)] * 4)
        assert [len(one.asked) for one in (a, b)] == [2, 2]


def test_a_row_does_not_wait_for_a_version_that_it_does_not_need(elsewhere: Elsewhere, tmp_path: Path) -> None:
    engine, old = looked(elsewhere.server, live=version(tmp_path, 1)), version(tmp_path, 2).adapter
    given, may_end = take_slowly(elsewhere)
    asks = threading.Thread(target=written, args=(engine, row(old)))
    asks.start()
    try:
        assert given.wait(60)
        assert written(engine, row(engine.live.adapter))[0].text == ANSWERS["rlhf"]
    finally:
        may_end.set()
        asks.join(60)


def test_what_a_server_refuses_is_told_in_its_words(elsewhere: Elsewhere, tmp_path: Path) -> None:
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    with pytest.raises(ConfigError, match="this is too long, this model reads 200"):
        written(engine, row(SFT, prompt="word " * 300))


def test_a_caller_who_leaves_stops_the_rows_elsewhere(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.behind.engine.holds_after = 2
    engine = looked(elsewhere.server, live=version(tmp_path, 1))

    async def leave() -> None:
        events = engine.stream([row(SFT)])
        async for event in events:
            if isinstance(event, Grown) and event.rows[0].text:
                break
        await events.aclose()  # type: ignore[attr-defined]
        while elsewhere.behind.engine.open_streams:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(leave(), 20))


def test_scores_and_features_are_refused_in_words(elsewhere: Elsewhere, tmp_path: Path) -> None:
    engine = looked(elsewhere.server, live=version(tmp_path, 1))
    with pytest.raises(AdapterError, match="served elsewhere"):
        engine.scores(engine.live, one_turn("Hi"), ()).result()
    with pytest.raises(AdapterError, match="served elsewhere"):
        engine.features([]).result()


@pytest.mark.parametrize("text", ["", "localhost:8000", "vllm:", "ftp://host", "http://host:99999", "http://host:abc"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write it as http://host:8000"):
        servers_named(text)


def test_a_web_page_in_place_of_a_server_is_not_shown_as_it_is(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = httpx.Response(404, html="<html>not here</html>")
    monkeypatch.setattr(httpx.Client, "send", lambda *given, **more: page)
    with pytest.raises(AlignmentError, match="it may be no OpenAI-compatible server") as refused:
        elsewhere.server.models()
    assert "<html>" not in str(refused.value)


def test_servers_are_named_with_commas_between_them() -> None:
    servers, takes = servers_named("vllm:http://a:8000, http://b:8000/v1/", "key")
    assert (servers, takes) == ([Server("http://a:8000/v1", "key"), Server("http://b:8000/v1", "key")], True)

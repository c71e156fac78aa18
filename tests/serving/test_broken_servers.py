"""Servers that answer otherwise than OpenAI's API says: what is told of each, and when a row is asked for again."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from alignment.errors import AlignmentError, ConfigError
from alignment.serving import remote, replicas
from alignment.serving.openai_server import servers_named
from alignment.serving.remote import RemoteEngine
from alignment.settings import ModelConfig
from api.routes import routes
from tests.serving.test_remote import OWN, Elsewhere, Listening, row, version, written

LISTED = {"data": [{"id": "a-model", "owned_by": "somebody"}]}


def lines(*told: Any) -> Response:
    """Return a stream of what a server tells."""
    return PlainTextResponse("".join(f"data: {json.dumps(one)}\n\n" for one in told))


def said(text: str, ends: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": ends}]}


class Broken(Listening):
    """A server that answers what it is told to, one answer a call; the last of them again and again."""

    def __init__(self) -> None:
        self.lists: Response = JSONResponse(LISTED)
        self.answers: list[Response] = []
        self.calls = 0
        paths = [Route("/v1/models", self._models), Route("/v1/chat/completions", self._answer, methods=["POST"])]
        paths.append(Route("/v1/load_lora_adapter", self._loads, methods=["POST"]))
        super().__init__(paths)

    async def _models(self, request: Request) -> Response:
        return self.lists

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        return self.answers[min(self.calls, len(self.answers)) - 1]

    async def _loads(self, request: Request) -> Response:
        return JSONResponse({})


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(replicas, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr("alignment.serving.replicas.likeness", lambda *given: "like")
    with closing(Broken()) as server:
        yield server


def looking_at(server: Listening, folder: Path, *, publishes: bool = False) -> RemoteEngine:
    engine = RemoteEngine([server.server], ModelConfig("model"), version(folder, 1), publishes=publishes)
    engine.look()
    return engine


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lines(said("Li")), "stopped in the middle of an answer; ask again"),
        (lines({"error": {"message": "out of memory"}}), "failed to answer: out of memory"),
        (lines({"error": "out of memory"}), "failed to answer: out of memory"),
        (lines({"pieces": ["Li"]}), "does not stream as OpenAI's API does"),
        (PlainTextResponse("data: Li\n\n"), "does not stream as OpenAI's API does"),
        (PlainTextResponse("no such thing", 404), "answered 404: no such thing"),
    ],
)
def test_an_answer_that_is_none_is_told_in_words_and_not_asked_for_again(
    broken: Broken, tmp_path: Path, answer: Response, words: str
) -> None:
    broken.answers = [answer]
    with pytest.raises(AlignmentError, match=words):
        written(looking_at(broken, tmp_path), row(None))
    assert broken.calls == 1


def test_a_row_that_was_not_begun_is_asked_for_again_and_given_up_in_the_end(broken: Broken, tmp_path: Path) -> None:
    engine = looking_at(broken, tmp_path)
    broken.answers = [PlainTextResponse("busy", 503), JSONResponse({"error": "busy"}, 429), lines(said("Lima", "stop"))]
    assert written(engine, row(None))[0].text == "Lima"
    assert broken.calls == 3
    broken.answers = [JSONResponse({"error": {"message": "overloaded"}}, 503)]
    with pytest.raises(AlignmentError, match="answered 503: overloaded"):
        written(engine, row(None))
    assert broken.calls == 3 + remote.ATTEMPTS


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        (JSONResponse({"data": []}), "serves no model"),
        (JSONResponse({"data": [{"name": "a-model"}]}), "does not list models as OpenAI's API does"),
        (JSONResponse(["a-model"]), "does not list models as OpenAI's API does"),
        (PlainTextResponse("hello"), "does not list models as OpenAI's API does"),
        (JSONResponse({"error": {"message": "wrong key"}}, 401), "answered 401: wrong key"),
    ],
)
def test_a_server_whose_list_is_none_gets_no_rows_until_it_has_one(
    broken: Broken, tmp_path: Path, lists: Response, words: str
) -> None:
    broken.lists = lists
    engine = looking_at(broken, tmp_path)
    assert engine.state.status == "failed" and words in engine.state.message
    broken.lists = JSONResponse(LISTED)
    engine.look()
    assert engine.state.status == "ready"


def test_a_server_that_took_an_adapter_and_does_not_list_it_gets_no_rows(broken: Broken, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("alignment.serving.replicas.verify", lambda folder, sha256: None)
        engine = looking_at(broken, tmp_path, publishes=True)
    assert engine.state.status == "failed"
    assert "took policy-1-1111, but does not list it" in engine.state.message


def test_log_probabilities_are_refused_before_a_server_is_asked(broken: Broken, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave logprobs out"):
        written(looking_at(broken, tmp_path), replace(row(None), top_log_probs=2))
    assert not broken.calls


def test_a_triptych_with_another_base_gets_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alignment.serving.likeness._fingerprint", lambda config: OWN)
    monkeypatch.setattr(replicas, "ANSWER_SECONDS", 60.0)
    with closing(Elsewhere(tmp_path / "elsewhere")) as elsewhere:
        model = replace(elsewhere.behind.services.model, base_fingerprint="0" * 64)
        with closing(Listening(routes(replace(elsewhere.behind.services, model=model)))) as other:
            engine = looking_at(other, tmp_path)
    assert "serves another base (000000000000) than the raw model (ffffffffffff)" in engine.state.message


def test_no_servers_named_are_refused() -> None:
    with pytest.raises(ConfigError, match="--engine names no server"):
        servers_named(" , ")

"""One OpenAI-compatible server, over HTTP: what it serves, a completion as it grows, adapters put in and taken out."""

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from alignment.errors import AdapterError, AlignmentError, ConfigError

ANSWER_SECONDS = 5.0  # in which a server says what it serves, and takes a call
LOAD_SECONDS = 120.0  # most that an adapter takes to load
SILENT_SECONDS = 120.0  # for which a server may write nothing
LAST_PORT = 65535
LOOPBACK = ("127.0.0.1", "::1", "localhost", "0.0.0.0")
VLLM = "vllm:"  # before the address of servers that take adapters while they run
VLLM_OWNER = "vllm"  # of its models, as it lists them
TELLS_IDS = ("triptych", VLLM_OWNER)  # owners of models whose servers tell token ids where they are asked to


class UnreachableError(AlignmentError):
    """A server does not answer, or not now: another one may, or this one later."""


@cache
def trusted() -> ssl.SSLContext:
    """Return whom connections trust; it takes longer to make than a short call."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Listed:
    """A model as a server lists it."""

    name: str
    parent: str | None  # the model that an adapter is on; None for a model itself
    context_tokens: int | None  # that it reads, where the server tells
    owner: str
    root: str = ""  # the folder or name that vLLM loaded it from
    fingerprint: str = ""  # of the weights, as a Triptych tells it
    sha256: str = ""  # of the folder of a version, as a Triptych tells it
    elsewhere: bool = False  # whether a Triptych says that another server writes for it

    @property
    def tells_ids(self) -> bool:
        """Whether its server tells the ids of tokens."""
        return self.owner in TELLS_IDS


@dataclass(frozen=True)
class Piece:
    """What a completion has grown by."""

    text: str
    token_ids: tuple[int, ...]  # () where the server does not tell
    finish_reason: str | None
    prompt_tokens: int = 0  # that the prompt took, told once, at the end


@dataclass(frozen=True)
class Server:
    """Where a server is, and the key that it asks for."""

    url: str  # up to and with /v1
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What each call brings."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def models(self) -> tuple[Listed, ...]:
        """Return what is served; raise UnreachableError where nothing answers."""
        answer = self._call("GET", "/models", ANSWER_SECONDS)
        try:
            return tuple(_listed(one) for one in answer.json()["data"])
        except (ValueError, KeyError, TypeError) as error:
            words = f"{self.url}/models does not list models as OpenAI's API does ({error!r})"
            raise UnreachableError(words) from error

    def token_ids(self, name: str, text: str) -> tuple[int, ...] | None:
        """Return the ids of a text's tokens as vLLM tells them, None where a server has no such route."""
        body = {"model": name, "prompt": text, "add_special_tokens": False}
        try:
            told = self._call("POST", "/tokenize", ANSWER_SECONDS, body, at=self.url.removesuffix("/v1"))
            return tuple(int(token) for token in told.json()["tokens"])
        except (ConfigError, ValueError, KeyError, TypeError):
            return None

    def prompt_tokens(self, name: str, question: str) -> int | None:
        """Return how many tokens a question takes with its template, None where the server does not tell.

        Raises ConfigError for one that refuses it.
        """
        body = {"model": name, "messages": [{"role": "user", "content": question}], "max_tokens": 1}
        try:
            return int(self._call("POST", "/chat/completions", SILENT_SECONDS, body).json()["usage"]["prompt_tokens"])
        except (ValueError, KeyError, TypeError):
            return None

    def load(self, name: str, folder: Path) -> None:
        """Have an adapter loaded under a name; raise AdapterError where the server refuses it."""
        self._adapter("load", {"lora_name": name, "lora_path": str(folder)})

    def unload(self, name: str) -> None:
        """Have an adapter taken out; raise AdapterError where the server refuses that."""
        self._adapter("unload", {"lora_name": name})

    async def complete(self, client: httpx.AsyncClient, asked: dict[str, Any], *, chat: bool) -> AsyncIterator[Piece]:
        """Yield a completion's pieces as they come; closing the iterator stops it.

        Raises UnreachableError where the server does not answer or is too busy, ConfigError for what it refuses.
        """
        path = "/chat/completions" if chat else "/completions"
        try:
            async with client.stream(
                "POST",
                self.url + path,
                json=asked | {"stream": True, "stream_options": {"include_usage": True}},
                headers=self.headers,
                timeout=httpx.Timeout(ANSWER_SECONDS, read=SILENT_SECONDS),
            ) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise self._refusal(answer)
                async for line in answer.aiter_lines():
                    if (piece := self._piece(line, chat=chat)) is not None:
                        yield piece
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self.url} does not answer ({type(error).__name__}: {error})") from error

    def _adapter(self, act: str, body: dict[str, str]) -> None:
        try:
            self._call("POST", f"/{act}_lora_adapter", LOAD_SECONDS, body)
        except ConfigError as error:
            raise AdapterError(f"{body['lora_name']} could not be {act}ed: {error}") from error

    def _call(self, method: str, path: str, seconds: float, body: Any = None, at: str = "") -> httpx.Response:
        try:
            with httpx.Client(verify=trusted(), timeout=seconds) as client:
                answer = client.request(method, (at or self.url) + path, json=body, headers=self.headers)
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self.url} does not answer ({type(error).__name__}: {error})") from error
        if answer.is_error:
            raise self._refusal(answer)
        return answer

    def _refusal(self, answer: httpx.Response) -> AlignmentError:
        """Return what an answer with an error says: what may pass by itself, or what has to be changed."""
        words = f"{self.url} answered {answer.status_code}: {_words(answer)}"
        passes = answer.status_code in (408, 429) or answer.status_code >= 500
        return UnreachableError(words) if passes else ConfigError(words)

    def _piece(self, line: str, *, chat: bool) -> Piece | None:
        """Return what a line of the stream adds, None for one that adds nothing."""
        kind, _, data = line.partition(":")
        data = data.strip()
        if kind != "data" or not data or data == "[DONE]":
            return None
        try:
            told = json.loads(data)
            if "error" in told:
                raise AlignmentError(f"{self.url} failed to answer: {_said(told['error'])}")
            if not told["choices"]:
                usage = told.get("usage")
                return Piece("", (), None, int(usage["prompt_tokens"])) if usage else None
            choice = told["choices"][0]
            text = choice["delta"].get("content") if chat else choice["text"]
            ids = tuple(choice.get("token_ids") or ())
            return Piece(text or "", ids, choice.get("finish_reason"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AlignmentError(f"{self.url} does not stream as OpenAI's API does ({error!r})") from error


def servers_named(text: str, key: str = "", own_port: int | None = None) -> tuple[list[Server], bool]:
    """Return the servers that `--engine` names, with commas between them, and whether they take adapters.

    "vllm:" before the first says that they do. Raises ConfigError for what is no address, and for this machine at
    `own_port`, where the app is served: it would ask itself without end.
    """
    takes, rest = text.startswith(VLLM), text.removeprefix(VLLM)
    urls = [url.strip().rstrip("/") for url in rest.split(",") if url.strip()]
    for url in urls:
        if not url.startswith(("http://", "https://")) or not _reachable(url):
            raise ConfigError(f"--engine {url} is no address; write it as http://host:8000, after vllm: for vLLM")
        if own_port and httpx.URL(url).host in LOOPBACK and httpx.URL(url).port == own_port:
            raise ConfigError(f"--engine {url} is this app itself; name another server, or give another --port")
    if not urls:
        raise ConfigError("--engine names no server; write it as http://host:8000, after vllm: for vLLM")
    return [Server(url if url.endswith("/v1") else f"{url}/v1", key) for url in urls], takes


def _reachable(address: str) -> bool:
    """Return whether an address names a host, and no port that cannot be."""
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return bool(url.host) and (url.port is None or 0 < url.port <= LAST_PORT)


def _listed(one: dict[str, Any]) -> Listed:
    told: dict[str, Any] = {name: str(one.get(name) or "") for name in ("root", "fingerprint", "sha256")}
    told |= {"owner": str(one.get("owned_by", "")), "elsewhere": bool(one.get("served_elsewhere"))}
    return Listed(str(one["id"]), one.get("parent"), one.get("max_model_len"), **told)


def _words(answer: httpx.Response) -> str:
    """Return why a server refuses, in its own words where it has some."""
    try:
        told = answer.json()
        return _said(told.get("error", told))
    except (ValueError, AttributeError):
        if "html" in answer.headers.get("content-type", ""):
            return f"{answer.reason_phrase}, with a web page: it may be no OpenAI-compatible server; look at --engine"
        return answer.text[:200] or answer.reason_phrase


def _said(error: Any) -> str:
    """Return what an error says, which some servers send as an object and others as text."""
    return str(error["message"] if isinstance(error, dict) and "message" in error else error)

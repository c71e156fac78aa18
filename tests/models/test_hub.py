"""Models by their names on the hub: from its cache without asking it, and words for what cannot be had."""

import errno
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from alignment.errors import ModelLoadError
from alignment.models import hub
from tests.models.hub_cache import REVISION, put_into_cache

NAME = "somebody/tiny-chat"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    ask(monkeypatch, "http://127.0.0.1:9")  # nobody listens there
    return folder


def ask(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let the hub be asked at an address."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")


@contextmanager
def hub_with(files: dict[str, bytes], status: int = 200, code: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve files as the hub does; yield its address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if status != 200:
                self.answer(b"{}", {"X-Error-Code": code})
            elif "/resolve/" in self.path:
                content = files[self.path.rpartition("/")[2]]
                marks = {"ETag": f'"{hash(content):x}"', "X-Repo-Commit": REVISION}
                self.answer(content, marks)
            elif "/tree/" in self.path:
                listed = [{"type": "file", "path": name, "size": len(files[name]), "oid": name} for name in files]
                self.answer(json.dumps(listed).encode(), {"Content-Type": "application/json"})
            else:
                about = {"id": NAME, "sha": REVISION, "siblings": [{"rfilename": name} for name in files]}
                self.answer(json.dumps(about).encode(), {"Content-Type": "application/json"})

        do_HEAD = do_GET  # noqa: N815

        def answer(self, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *values: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def write_model(folder: Path, shards: int = 1) -> Path:
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    if shards == 1:
        (folder / "model.safetensors").write_bytes(b"weights")
        return folder
    names = [f"model-0000{number}-of-0000{shards}.safetensors" for number in range(1, shards + 1)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    index = {"weight_map": {f"layer.{number}": name for number, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_what_the_cache_holds_whole_is_used_without_asking_the_hub(cache: Path, tmp_path: Path) -> None:
    snapshot = put_into_cache(cache, NAME, write_model(tmp_path / "model"))
    assert hub.fetch(NAME) == hub.fetch(NAME, online=False) == snapshot


def test_a_sharded_checkpoint_is_whole_with_all_its_shards(cache: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", shards=2)
    assert put_into_cache(cache, NAME, model) == hub.fetch(NAME, online=False)
    put_into_cache(cache, "somebody/cut-off", model, leave_out="model-00002-of-00002.safetensors")
    with pytest.raises(ModelLoadError, match=r"not in the hub's cache as a whole.*HF_HUB_OFFLINE is set"):
        hub.fetch("somebody/cut-off", online=False)


def test_offline_and_not_cached_is_said_in_words() -> None:
    with pytest.raises(ModelLoadError, match=r"tiny-chat is not in the hub's cache, and the hub is not to be asked"):
        hub.fetch(NAME, online=False)
    with pytest.raises(ModelLoadError, match=r"tiny-chat is not in the hub's cache, and the hub cannot be reached"):
        hub.fetch(NAME)
    assert constants.HF_HUB_OFFLINE  # as it was


def test_a_model_is_fetched_without_pickles_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"config.json": b"{}", "tokenizer.json": b"{}", "chat_template.jinja": b"x", "model.safetensors": b"w"}
    unwanted = {"pytorch_model.bin": b"p", "modeling_own.py": b"code", "consolidated.safetensors": b"w", "a.gguf": b"g"}
    with hub_with({**wanted, **unwanted, "onnx/config.json": b"o"}) as (address, asked):
        ask(monkeypatch, address)
        folder = hub.fetch(NAME)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == wanted
        asked.clear()
        assert hub.fetch(NAME) == folder
        assert asked == []


def test_a_repository_without_safetensors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_with({"config.json": b"{}", "tokenizer.json": b"{}", "pytorch_model.bin": b"p"}) as (address, _):
        ask(monkeypatch, address)
        with pytest.raises(ModelLoadError, match=r"has no model\.safetensors"):
            hub.fetch(NAME)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "GatedRepo", r"is gated: accept its licence at https://huggingface\.co/somebody/tiny-chat,.*hf auth"),
        (404, "RepoNotFound", r"no folder somebody/tiny-chat here, and no model of that name on the hub"),
        (401, "RepoNotFound", r"no model of that name on the hub \(or it is private"),
    ],
)
def test_gated_and_unknown_models_are_said_in_words(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, words: str
) -> None:
    with hub_with({}, status, code) as (address, _):
        ask(monkeypatch, address)
        with pytest.raises(ModelLoadError, match=words):
            hub.fetch(NAME)


def test_a_full_disk_and_a_failing_proxy_are_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*values: Any, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("none")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(huggingface_hub, "snapshot_download", full)
        with pytest.raises(ModelLoadError, match=r"does not fit on the disk of the hub's cache.*make room"):
            hub.fetch(NAME)
    monkeypatch.setenv("all_proxy", "unknown://127.0.0.1:9")
    huggingface_hub.close_session()  # the next one reads the environment again
    with pytest.raises(ModelLoadError, match=r"could not be fetched from the hub: .*unknown"):
        hub.fetch(NAME)
    huggingface_hub.close_session()

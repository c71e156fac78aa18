"""Models by name: presets, folders, hub names found offline in the hub's own cache, and GGUF files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alignment.errors import AdapterError, AlignmentError, ConfigError, ModelLoadError
from alignment.models import presets
from alignment.models.catalogue import ModelChoice, resolve
from alignment.settings import POCKET, POCKET_MODEL

ROOT = Path(__file__).parents[2]


def resolved(data_dir: Path, model: str, **more: str) -> object:
    return resolve(ModelChoice(model, **more), data_dir, online=False)


def cached(cache: Path, name: str, source: Path, *, without: str = "") -> None:
    """Put a folder into a cache of the hub in its own layout: refs, and a snapshot of links to blobs."""
    home = cache / f"models--{name.replace('/', '--')}"
    snapshot, blobs = home / "snapshots" / ("a" * 40), home / "blobs"
    for folder in (snapshot, blobs, home / "refs"):
        folder.mkdir(parents=True)
    (home / "refs" / "main").write_text("a" * 40)
    for file in source.iterdir():
        if file.is_file() and file.name != without:
            shutil.copy2(file, blobs / file.name)
            (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)


@pytest.fixture
def hub(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub that holds a chat model, a base model, an adapter, and a model without its weights."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for name in ("some/chat", "some/base"):
        cached(cache, name, tiny_folder)
    cached(cache, "some/adapter", tiny_folder / "sft")
    cached(cache, "some/torn", tiny_folder, without="model.safetensors")
    return cache


def test_the_pocket_model_is_a_base_with_an_adapter(tmp_path: Path) -> None:
    for name in ("pocket", str(POCKET)):
        found = resolve(ModelChoice(name), tmp_path)
        assert found.config == POCKET_MODEL
        assert found.shape == "adapter"
        assert (found.sampling.temperature, found.sampling.max_new_tokens) == (0.7, 96)


def test_a_name_on_the_hub_is_found_in_its_cache_offline(hub: Path, tmp_path: Path) -> None:
    found = resolve(ModelChoice("some/chat"), tmp_path, online=False)
    assert (found.name, found.shape) == ("chat", "chat")
    assert Path(found.config.model).is_relative_to(hub)
    both = resolve(ModelChoice("some/chat", base="some/base"), tmp_path, online=False)
    assert both.shape == "chat and base" and both.base_name == "base"
    tuned = resolve(ModelChoice("some/base", sft="some/adapter"), tmp_path, online=False)
    assert tuned.shape == "adapter" and Path(tuned.config.sft).is_relative_to(hub)


@pytest.mark.parametrize(
    ("choice", "error", "words"),
    [
        (ModelChoice("nobody/nothing"), ModelLoadError, "nobody/nothing is not in the hub's cache.*HF_HUB_OFFLINE"),
        (ModelChoice("some/torn"), ModelLoadError, "some/torn is not in the hub's cache as a whole"),
        (ModelChoice("/no/such/folder"), ModelLoadError, "there is no folder /no/such/folder; give --model a folder"),
        (ModelChoice("/no/such.gguf"), ModelLoadError, "there is no file /no/such.gguf"),
        (ModelChoice("some/adapter"), AdapterError, "holds a LoRA adapter, not a model; give --model .* --sft"),
        (ModelChoice("some/chat", base="some/base", sft="some/adapter"), ConfigError, "leave out --base some/base"),
        (ModelChoice("pocket", base="some/base"), ConfigError, "holds an adapter in sft/.*leave out --base"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(
    hub: Path, tmp_path: Path, choice: ModelChoice, error: type[AlignmentError], words: str
) -> None:
    with pytest.raises(error, match=words):
        resolve(choice, tmp_path, online=False)


def test_a_folder_is_used_as_it_was_found_with_the_sampling_of_its_makers(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "found"
    shutil.copytree(tiny_folder, folder, ignore=shutil.ignore_patterns("sft", "other"))
    said = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**said, "temperature": 0.3, "top_p": 0.8, "top_k": 20}))
    found = resolve(ModelChoice(str(folder)), tmp_path)
    assert found.shape == "chat"
    assert (found.sampling.temperature, found.sampling.top_p, found.sampling.top_k) == (0.3, 0.8, 20)
    assert found.context_tokens == 256
    assert found.sampling.max_new_tokens == 64  # a quarter of what it reads
    assert found.own_template
    (folder / "chat_template.jinja").unlink()
    assert not resolve(ModelChoice(str(folder)), tmp_path).own_template


def test_a_gguf_file_is_to_be_converted_into_the_data_folder(tmp_path: Path) -> None:
    file = presets.presets()[presets.FIRST_CHOICE].packaged_file()
    if file is None:
        pytest.skip("the package of SmolLM2 is not installed (first-model.txt)")
    for name in (presets.FIRST_CHOICE, str(file)):
        found = resolve(ModelChoice(name), tmp_path)
        assert found.config.gguf == str(file)
        assert Path(found.config.model).parent == tmp_path / "models"
        assert found.context_tokens == 8192
        assert found.own_template
    assert resolve(ModelChoice(presets.FIRST_CHOICE), tmp_path).sampling.temperature == 0.2


def test_a_file_that_is_no_gguf_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"something else")
    with pytest.raises(ModelLoadError, match="no GGUF file"):
        resolve(ModelChoice(str(tmp_path / "x.gguf")), tmp_path)


def test_presets_are_printed_with_what_one_has_to_know() -> None:
    table = presets.table()
    for preset in presets.presets().values():
        assert preset.name in table and preset.licence in table and preset.chat in table
    assert table.count("accept it on the hub first") == sum(one.gated for one in presets.presets().values())


def test_a_hub_that_cannot_be_reached_is_named_in_words(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from alignment.models.catalogue import ModelChoice, resolve\n"
        "from alignment.errors import ModelLoadError\n"
        "try:\n"
        "    resolve(ModelChoice('some/model'), Path('.'))\n"
        "except ModelLoadError as error:\n"
        "    print(error)\n"
    )
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "1",
        "http_proxy": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "some/model is not in the hub's cache, and the hub cannot be reached" in done.stdout

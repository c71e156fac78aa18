"""Models with short names: what is known of them, and where a package holds their weights."""

import sys
from pathlib import Path

import pytest

from alignment.models import presets
from alignment.models.hub import HUB_NAME
from alignment.models.presets import preset_of
from alignment.settings import ModelConfig


def test_every_preset_is_whole_and_is_found_by_either_name() -> None:
    assert list(presets.presets())[:2] == ["pocket", "smollm2-135m"]
    for preset in presets.presets().values():
        assert preset_of(preset.name) == preset
        assert 0 < preset.rollout_tokens <= preset.sampling.max_new_tokens
        assert preset.sampling.temperature > 0
        if preset.name != "pocket":
            assert HUB_NAME.fullmatch(preset.chat) and HUB_NAME.fullmatch(preset.base)
            assert preset_of(preset.chat) == preset
    assert preset_of("") is None
    assert preset_of("gpt2") is None


def test_the_makers_recommendations_are_what_a_preset_says() -> None:
    smollm, qwen = presets.presets()["smollm2-135m"], presets.presets()["qwen3-0.6b"]
    assert (smollm.sampling.temperature, smollm.sampling.top_p) == (0.2, 0.9)
    assert (qwen.sampling.top_p, qwen.sampling.top_k, qwen.template) == (0.8, 20, {"enable_thinking": False})


def test_the_table_names_models_licences_and_memory() -> None:
    header, *rows = presets.table().splitlines()
    assert header.split()[0] == "NAME"
    assert [row.split()[0] for row in rows] == list(presets.presets())
    llama = next(row for row in rows if row.startswith("llama-3.1-8b"))
    for words in ("meta-llama/Llama-3.1-8B-Instruct", "Llama 3.1 Community License", "accept it on the hub", "nf4"):
        assert words in llama


def test_the_file_in_a_package_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    smollm = presets.presets()["smollm2-135m"]
    package = tmp_path / smollm.package
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('it needs llama.cpp')")
    monkeypatch.syspath_prepend(tmp_path)
    assert smollm.packaged_file() is None
    (package / smollm.file).touch()
    assert smollm.packaged_file() == package / smollm.file
    assert smollm.package not in sys.modules
    assert presets.presets()["qwen3-0.6b"].packaged_file() is None


def test_template_arguments_reach_the_training_process_as_json() -> None:
    assert ModelConfig("m", template='{"enable_thinking": false}').template_arguments == {"enable_thinking": False}
    assert ModelConfig("m").template_arguments == {}

"""A model's folder: what tells it from others of equal shape, and what its first version is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from alignment.errors import ModelLoadError
from alignment.models import model_folder, weight_files
from alignment.models.model_folder import fingerprint
from alignment.settings import POCKET_MODEL, ModelConfig


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may change."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_missing_model_is_refused_with_what_may_be_given(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no model at .*nowhere.*a preset, a folder .*a hub name or a \.gguf"):
        model_folder.check_base(tmp_path / "nowhere")


def test_each_changed_byte_of_a_small_checkpoint_gives_another_fingerprint(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights, before = load_file(path), fingerprint(ModelConfig(str(folder)))
    found, size, older = {before}, path.stat().st_size, model_folder.older_fingerprint(folder, folder / "sft")
    for name, weight in weights.items():
        changed = weight.clone()
        changed.view(-1)[-1] += 0.5
        save_file({**weights, name: changed}, path, metadata={"format": "pt"})
        found.add(fingerprint(ModelConfig(str(folder))))
        assert path.stat().st_size == size
    assert len(found) == len(weights) + 1
    assert model_folder.older_fingerprint(folder, folder / "sft") == older


def test_where_a_model_lies_and_how_it_is_held_play_no_part_in_its_fingerprint(folder: Path, tmp_path: Path) -> None:
    config = ModelConfig(str(folder))
    before = fingerprint(config)
    assert fingerprint(replace(config, quantize="nf4")) == before
    assert fingerprint(replace(config, base=str(folder / "elsewhere"))) == before
    moved = folder.rename(tmp_path / "moved")
    values = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**values, "_name_or_path": "x/y", "transformers_version": "4.1"}))
    assert fingerprint(replace(config, model=str(moved))) == before
    (moved / "config.json").write_text(json.dumps({**values, "rope_theta": 3.0}))
    assert fingerprint(replace(config, model=str(moved))) != before


def test_template_and_sft_adapter_are_part_of_a_fingerprint(folder: Path) -> None:
    alone, with_sft = ModelConfig(str(folder)), ModelConfig(str(folder), str(folder / "sft"))
    found = [fingerprint(alone), fingerprint(with_sft), fingerprint(replace(with_sft, sft=str(folder / "other")))]
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    found += [fingerprint(alone), fingerprint(with_sft)]
    (folder / "sft" / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    found.append(fingerprint(with_sft))
    assert len(set(found)) == len(found)


def test_a_gguf_model_is_told_by_its_file_converted_or_not(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF 1")
    config = ModelConfig(str(tmp_path / "not yet converted"), gguf=str(file))
    before = fingerprint(config)
    assert fingerprint(replace(config, model=str(tmp_path))) == before
    file.write_bytes(b"GGUF 2")
    assert fingerprint(config) != before


def test_large_files_are_sampled_from_their_first_to_their_last_byte(tmp_path: Path) -> None:
    path, size = tmp_path / "large", 16_000_000_000
    with path.open("wb") as file:
        file.truncate(size)
    blocks = weight_files.samples(path)
    assert len(blocks) == weight_files.SAMPLES and {len(block) for block in blocks} == {weight_files.SAMPLED_BYTES}
    for place in (0, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\1")
        changed = weight_files.samples(path)
        assert changed != blocks
        blocks = changed


def test_a_file_that_is_no_json_object_is_refused_in_words(folder: Path) -> None:
    assert model_folder.shipped_evaluation(ModelConfig(str(folder))) == {}
    (folder / "policy-evaluation.json").write_text("[1]")
    with pytest.raises(ModelLoadError, match=r"policy-evaluation\.json must hold a JSON object"):
        model_folder.shipped_evaluation(ModelConfig(str(folder)))


def test_version_1_is_the_shipped_policy_else_the_sft_adapter_else_the_checkpoint_itself(folder: Path) -> None:
    sft = folder / "sft"
    assert model_folder.first_policy(ModelConfig(str(folder))) is None
    assert model_folder.first_policy(ModelConfig(str(folder), str(sft))) == sft
    shutil.copytree(folder / "other", folder / "policy")
    assert model_folder.first_policy(ModelConfig(str(folder), str(sft))) == folder / "policy"
    assert model_folder.first_policy(ModelConfig(str(folder))) == folder / "policy"


def test_a_policy_may_ship_in_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    ships = tmp_path / "ships"
    config = ModelConfig(str(folder), ships=str(ships))
    assert model_folder.first_policy(config) is None  # nothing was built there yet
    shutil.copytree(folder / "other", ships / "policy")
    (ships / "policy-evaluation.json").write_text('{"kl": 2.5}')
    assert model_folder.first_policy(config) == ships / "policy"
    assert model_folder.shipped_evaluation(config) == {"kl": 2.5}
    assert model_folder.fingerprint(config) == model_folder.fingerprint(ModelConfig(str(folder)))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (b"", "header is not JSON"),
        (b"not weights at all", "no safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
        ((11).to_bytes(8, "little") + b'{"a": true}', "describes no tensors"),
    ],
)
def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path, written: bytes, words: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(written)
    with pytest.raises(ValueError, match=words):
        weight_files.tensor_shapes(path)


def test_shapes_are_those_of_the_tensors(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(())}, tmp_path / "weights", metadata={"format": "pt"})
    assert weight_files.tensor_shapes(tmp_path / "weights") == {"a": (2, 3), "b": ()}


def test_the_bundled_model_has_one_fingerprint() -> None:
    assert fingerprint(POCKET_MODEL) == fingerprint(POCKET_MODEL)

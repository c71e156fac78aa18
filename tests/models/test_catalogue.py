"""Models by name: what a preset, a folder, a hub name or a GGUF file becomes, and words for what does not fit."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from alignment.errors import AlignmentError
from alignment.models import catalogue, loading, presets
from alignment.models.catalogue import ModelChoice
from alignment.models.model_folder import features_owner, fingerprint
from alignment.models.sampling import Sampling
from alignment.settings import ASSETS, POCKET, POCKET_MODEL
from storage.messages import one_turn
from tests.models.gguf_writer import write_gguf
from tests.models.hub_cache import put_into_cache


def resolve(tmp_path: Path, model: str, **others: str) -> catalogue.Resolved:
    return catalogue.resolve(ModelChoice(model, **others), tmp_path / "data", online=False)


@pytest.fixture
def chat_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A chat checkpoint: the tiny model without adapters beside it."""
    folder = tmp_path / "My-Chat"
    shutil.copytree(tiny_folder, folder, ignore=shutil.ignore_patterns("sft", "other"))
    return folder


@pytest.mark.parametrize("name", ["pocket", str(POCKET)])
def test_the_pocket_model_is_a_base_with_its_adapter(tmp_path: Path, name: str) -> None:
    found = resolve(tmp_path, name)
    assert found.config == POCKET_MODEL
    assert (found.shape, found.base_name, found.own_template) == ("adapter", found.name, True)
    assert (found.sampling, found.config.rollout_tokens, found.context_tokens) == (Sampling(0.7, 96), 96, 1024)
    assert found.choice == ModelChoice("pocket", quantize="none")


def test_a_chat_checkpoint_alone_needs_nothing_else(tmp_path: Path, chat_folder: Path) -> None:
    found = resolve(tmp_path, str(chat_folder))
    assert (found.config.model, found.config.sft, found.config.base) == (str(chat_folder), "", "")
    assert (found.shape, found.name, found.base_name) == ("chat", "My-Chat", "")
    assert (found.sampling.temperature, found.sampling.top_p, found.sampling.max_new_tokens) == (0.7, 0.95, 64)
    assert found.config.rollout_tokens == 64


def test_an_adapter_and_a_pretrained_checkpoint_are_named_apart(
    tmp_path: Path, tiny_folder: Path, chat_folder: Path
) -> None:
    adapted = resolve(tmp_path, str(chat_folder), sft=str(tiny_folder / "other"), quantize="int8")
    assert (adapted.shape, adapted.name, adapted.base_name) == ("adapter", "My-Chat with other", "My-Chat")
    assert (adapted.config.sft, adapted.config.quantize) == (str(tiny_folder / "other"), "int8")
    paired = resolve(tmp_path, str(chat_folder), base=str(tiny_folder))
    assert (paired.shape, paired.base_name) == ("chat and base", tiny_folder.name)
    assert paired.config.base == str(tiny_folder)


def test_a_choice_means_the_same_from_any_folder(
    tmp_path: Path, chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chat_folder.parent)
    found = resolve(tmp_path, "My-Chat")
    assert found.choice.model == str(chat_folder)
    monkeypatch.chdir("/")
    assert catalogue.resolve(found.choice, tmp_path, online=False).config == found.config


def test_a_hub_name_is_loaded_from_the_cache_offline(
    tmp_path: Path, chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = put_into_cache(tmp_path / "cache", "somebody/tiny-chat", chat_folder)
    put_into_cache(tmp_path / "cache", "somebody/tiny-base", chat_folder)
    found = resolve(tmp_path, "somebody/tiny-chat", base="somebody/tiny-base")
    assert (found.name, found.base_name, found.config.model) == ("tiny-chat", "tiny-base", str(snapshot))
    assert found.choice.model == "somebody/tiny-chat"
    model, tokenizer = loading.load_model(found.config)
    assert model.config.hidden_size == 32
    assert tokenizer.prompt_ids(one_turn("Hi"))


def test_a_preset_brings_sampling_template_arguments_and_precision(
    tmp_path: Path, chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    put_into_cache(tmp_path / "cache", "Qwen/Qwen3-0.6B", chat_folder)
    put_into_cache(tmp_path / "cache", "meta-llama/Llama-3.1-8B-Instruct", chat_folder)
    for name in ("qwen3-0.6b", "Qwen/Qwen3-0.6B"):
        found = resolve(tmp_path, name)
        assert found.config.template_arguments == {"enable_thinking": False}
        assert (found.sampling, found.config.rollout_tokens) == (Sampling(0.7, 1024, 0.8, 20), 200)
    assert resolve(tmp_path, "qwen3-0.6b", thinking="on").config.template_arguments == {"enable_thinking": True}
    assert resolve(tmp_path, "llama-3.1-8b").config.quantize == "nf4"
    assert resolve(tmp_path, "llama-3.1-8b", quantize="none").config.quantize == "none"


def test_thinking_is_switched_where_the_template_asks_for_it_and_refused_elsewhere(
    tmp_path: Path, chat_folder: Path
) -> None:
    with pytest.raises(AlignmentError, match=r"--thinking off does not go with .*My-Chat: .* thinks always or never"):
        resolve(tmp_path, str(chat_folder), thinking="off")
    (chat_folder / "chat_template.jinja").write_text("{% if enable_thinking is false %}</think>{% endif %}")
    plain, off = (resolve(tmp_path, str(chat_folder), **asked) for asked in ({}, {"thinking": "off"}))
    assert (plain.config.template_arguments, off.config.template_arguments) == ({}, {"enable_thinking": False})
    assert off.choice.thinking == "off"  # a data folder remembers it
    # Versions stay; features of texts, which were read otherwise, do not.
    assert (
        fingerprint(plain.config)
        == fingerprint(off.config)
        == features_owner(plain.config)
        != features_owner(off.config)
    )


def test_a_gguf_file_is_converted_later_into_a_folder_of_its_own(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.Q8.gguf")
    killed = tmp_path / "data" / "models"
    found = resolve(tmp_path, str(file))
    assert (found.config.gguf, found.name, found.shape) == (str(file), "tiny.Q8", "chat")
    assert (found.context_tokens, found.own_template) == (256, True)
    assert Path(found.config.model).parent == killed
    assert not Path(found.config.model).exists()
    leftover = killed / f".{Path(found.config.model).name}.4711"  # of a conversion that was killed
    leftover.mkdir(parents=True)
    assert resolve(tmp_path, str(file)).config == found.config
    assert not leftover.exists()
    write_gguf(tmp_path / "other.gguf", seed=1).replace(file)
    assert resolve(tmp_path, str(file)).config.model != found.config.model


def test_smollm2_is_found_in_its_package(tmp_path: Path) -> None:
    if presets.presets()["smollm2-135m"].packaged_file() is None:
        pytest.skip("SmolLM2's package is not installed (make run)")
    found = resolve(tmp_path, "smollm2-135m")
    assert (found.name, found.shape) == ("SmolLM2-135M-Instruct", "chat")
    assert (found.sampling, found.config.rollout_tokens, found.context_tokens) == (Sampling(0.2, 256, 0.9), 96, 8192)
    assert found.own_template


def test_what_ships_with_a_preset_goes_with_the_weights_of_its_package_alone(
    tmp_path: Path, chat_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "HuggingFaceTB/SmolLM2-135M-Instruct"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    put_into_cache(tmp_path / "cache", name, chat_folder)
    assert resolve(tmp_path, name).config.ships == ""
    if presets.presets()["smollm2-135m"].packaged_file() is not None:
        assert resolve(tmp_path, "smollm2-135m").config.ships == str(ASSETS / "smollm2-135m")
        assert resolve(tmp_path, "smollm2-135m", sft=str(POCKET / "sft")).config.ships == ""


@pytest.mark.parametrize(
    ("model", "others", "words"),
    [
        ("nowhere", {}, r"no folder nowhere; give --model a folder.*smollm2-135m"),
        ("./models/mine", {}, r"no folder models/mine"),
        ("nowhere.gguf", {}, r"no file nowhere\.gguf"),
        ("pocket", {"base": "nowhere"}, r"no folder nowhere; give --base a folder .*, or a name on the hub$"),
        ("pocket", {"base": str(POCKET)}, r"pocket holds an adapter in sft/.*leave out --base"),
        ("pocket", {"base": str(POCKET), "sft": str(POCKET / "policy")}, r"--sft .* leave out --base"),
        ("pocket", {"sft": str(POCKET / "facts")}, r"no adapter at"),
        (str(POCKET / "sft"), {}, r"holds a LoRA adapter, not a model; give --model .* --sft"),
        (str(POCKET / "facts"), {}, r"no model at .*config\.json is missing"),
        (str(POCKET / "config.json"), {}, r"is a file"),
    ],
)
def test_what_cannot_be_a_model_is_refused_in_words(
    tmp_path: Path, model: str, others: dict[str, Any], words: str
) -> None:
    with pytest.raises(AlignmentError, match=words):
        resolve(tmp_path, model, **others)


def test_a_gguf_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(AlignmentError, match=r"x\.gguf is damaged or was cut off .*; fetch the GGUF file anew"):
        resolve(tmp_path, str(tmp_path / "x.gguf"))
    (tmp_path / "x.gguf").write_text(json.dumps({}))
    with pytest.raises(AlignmentError, match=r"is no GGUF file"):
        resolve(tmp_path, str(tmp_path / "x.gguf"))

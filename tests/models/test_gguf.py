"""A GGUF file becomes a checkpoint's folder, whole or not at all."""

import json
from pathlib import Path

import pytest
import torch

from alignment.errors import ModelLoadError
from alignment.models import conversion, gguf, gguf_file, loading, presets
from alignment.settings import ModelConfig
from storage.messages import one_turn
from tests.models.gguf_writer import CONTEXT, HIDDEN, TEMPLATE, write_gguf


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    folder = tmp_path_factory.mktemp("gguf")
    config = ModelConfig(model=str(folder / "models" / "tiny"), gguf=str(write_gguf(folder / "tiny.gguf")))
    conversion.ensure_converted(config)
    return config


def test_the_converted_folder_is_a_checkpoint_with_tokenizer_and_template(converted: ModelConfig) -> None:
    model, tokenizer = loading.load_checkpoint(converted.model, pretrained=False)
    assert (model.config.hidden_size, model.config.max_position_embeddings) == (HIDDEN, CONTEXT)
    assert tokenizer.own_template
    assert tokenizer.decode(tokenizer.completion_ids("A  naïve test.\n")) == "A  naïve test.\n"
    ids = torch.tensor([tokenizer.prompt_ids(one_turn("Hi"))])
    with torch.no_grad():
        assert torch.isfinite(model(input_ids=ids).logits).all()
    folder = Path(converted.model)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 2
    assert [file.name for file in folder.parent.iterdir() if file.is_dir()] == ["tiny"]


def test_its_weights_are_those_of_the_file(converted: ModelConfig) -> None:
    from gguf import GGUFReader

    model, _ = loading.load_checkpoint(converted.model)
    tensors = {tensor.name: tensor.data for tensor in GGUFReader(converted.gguf).tensors}
    held = model.get_input_embeddings().weight
    torch.testing.assert_close(held, torch.tensor(tensors["token_embd.weight"]).to(torch.bfloat16).to(held.dtype))
    assert model.get_output_embeddings().weight is held  # tied: the file has no output layer of its own


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="the system does not say what is mapped")
def test_where_fp32_is_computed_the_file_is_the_memory_of_its_weights_which_processes_share(
    converted: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "computes_bf16", lambda device: False)
    gguf.convert(Path(converted.gguf), tmp_path / "wide")
    model, _ = loading.load_checkpoint(tmp_path / "wide", dtype=torch.float32)
    narrow, _ = loading.load_checkpoint(converted.model, dtype=torch.float32)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), narrow.parameters(), strict=True))
    place = model.get_submodule("model.layers.0.mlp.up_proj").weight.data_ptr()
    mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ends = [([int(end, 16) for end in one[0].split("-")], one[-1]) for one in mapped]
    assert [name for (low, high), name in ends if low <= place < high] == [str(tmp_path / "wide" / "model.safetensors")]


def test_it_happens_once(converted: ModelConfig) -> None:
    weights = Path(converted.model) / "model.safetensors"
    before = weights.stat().st_mtime_ns
    conversion.ensure_converted(converted)
    assert weights.stat().st_mtime_ns == before


def test_a_conversion_that_fails_leaves_nothing_half(
    converted: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise OSError("No space left on device")

    target = tmp_path / "models" / "tiny"
    model, tokenizer = loading.load_checkpoint(converted.model)
    with monkeypatch.context() as context:
        context.setattr(tokenizer, "save_pretrained", full, raising=False)
        context.setattr(gguf, "_read", lambda file: (model, tokenizer))
        with pytest.raises(ModelLoadError, match=r"could not be converted.*No space left"):
            gguf.convert(Path(converted.gguf), target)
    assert list(target.parent.iterdir()) == []
    with pytest.raises(ModelLoadError, match=r"nowhere\.gguf could not be converted"):
        gguf.convert(tmp_path / "nowhere.gguf", target)


def test_a_file_that_cannot_be_converted_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    config = ModelConfig(model=str(tmp_path / "models" / "broken"), gguf=str(tmp_path / "broken.gguf"))
    with pytest.raises(ModelLoadError, match=r"broken\.gguf could not be converted"):
        conversion.ensure_converted(config)
    assert not Path(config.model).exists()


def test_a_part_of_several_is_refused(tmp_path: Path) -> None:
    import gguf as package

    writer = package.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelLoadError, match=r"one of 3 parts; join them"):
        gguf_file.header(tmp_path / "part.gguf")


def test_smollm2s_header_says_what_it_reads_and_how_it_is_asked() -> None:
    file = presets.presets()["smollm2-135m"].packaged_file()
    if file is None:
        pytest.skip("SmolLM2's package is not installed (make run)")
    header = gguf_file.header(file)
    assert gguf_file.context_length(header) == 8192
    assert header["tokenizer.chat_template"].startswith("{% for message in messages %}")
    assert header["tokenizer.ggml.eos_token_id"] == 2


def test_the_template_is_the_files(converted: ModelConfig) -> None:
    assert gguf_file.header(Path(converted.gguf))["tokenizer.chat_template"] == TEMPLATE
    assert (Path(converted.model) / "chat_template.jinja").read_text() == TEMPLATE

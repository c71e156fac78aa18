"""Adapters on every architecture: a fresh one changes nothing and trains, a trained one says what it says in PEFT."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from alignment.models import adapters, loading, routing
from alignment.models.adapter_layers import trained_layers
from alignment.models.adapters import using
from tests.harness.architectures import CONFIGS, write_checkpoint

IDS = torch.arange(5, 19).view(2, 7)
LLAMA_LAYERS = "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj"
LAYERS = {
    "phi3": "down_proj gate_up_proj o_proj qkv_proj",
    "gpt neox": "dense dense_4h_to_h dense_h_to_4h query_key_value",
    "gpt2": "c_attn c_fc c_proj",
    "mixture of experts": "k_proj o_proj q_proj v_proj",
    "lfm2": "in_proj k_proj out_proj q_proj v_proj w1 w2 w3",
    "qwen3.5": f"{LLAMA_LAYERS} in_proj_a in_proj_b in_proj_qkv in_proj_z out_proj",
}


@pytest.fixture(scope="module", params=CONFIGS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of an architecture, and a folder with a tiny checkpoint of it."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(request.param, folder)
    return request.param, folder


@torch.no_grad()
def _logits(model: Any) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=IDS).logits
    return logits


def _trained_by_peft(folder: Path, target: Path, layers: list[str] | str, **more: Any) -> torch.Tensor:
    """Write a random adapter as PEFT saves it; return the logits that PEFT's own layers give with it."""
    model = get_peft_model(
        loading.load_checkpoint(folder)[0],
        LoraConfig(r=4, lora_alpha=12, target_modules=layers, task_type="CAUSAL_LM", **more),
    )
    torch.manual_seed(3)
    for weight in adapters.adapter_parameters(model, "default"):
        torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(target, save_embedding_layers=False)
    return _logits(model.eval())


@pytest.fixture
def no_warning_of_transposed_weights(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    """PEFT warns of GPT-2's transposed weights while it makes the adapter that a test compares with."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        yield


def test_a_fresh_adapter_changes_nothing_is_drawn_by_its_seed_and_trains_everywhere(
    checkpoint: tuple[str, Path],
) -> None:
    name, folder = checkpoint
    model, _ = loading.load_checkpoint(folder)
    before = _logits(model)
    model = adapters.attach_new(model, "new", 4, 7)
    for other, seed in (("same", 7), ("different", 8)):
        adapters.attach_new(model, other, 4, seed)
    for added in ("new", "same", "different"):
        with using(model, added):
            assert torch.equal(_logits(model), before)
    layers = trained_layers(model)
    assert {layer.rpartition(".")[2] for layer in layers} == set(LAYERS.get(name, LLAMA_LAYERS).split())
    assert not any("vision" in layer for layer in layers)
    new, same, different = (adapters.adapter_parameters(model, added)[::2] for added in ("new", "same", "different"))
    assert all(torch.equal(*pair) for pair in zip(new, same, strict=True))
    assert not any(torch.equal(*pair) for pair in zip(new, different, strict=True))
    with using(model, "new", train=True):
        model(input_ids=IDS).logits.float().log_softmax(-1)[..., 3].sum().backward()
    ups = adapters.adapter_parameters(model, "new")[1::2]
    assert len(ups) == len(layers)
    assert all(up.grad is not None and up.grad.abs().sum() > 0 for up in ups)


@pytest.mark.usefixtures("no_warning_of_transposed_weights")
def test_an_adapter_says_what_it_says_in_peft_alone_beside_others_and_merged(
    checkpoint: tuple[str, Path], tmp_path: Path
) -> None:
    _, folder = checkpoint
    model, _ = loading.load_checkpoint(folder)
    before = _logits(model)
    expected = _trained_by_peft(folder, tmp_path, trained_layers(model))
    model = adapters.attach(model, tmp_path, "sft")
    adapters.attach_new(model, "new", 3, 0)
    with using(model, "sft"):
        torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)
        with routing.merged(model):
            torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)
    with routing.StackedAdapters(model).rows(["new", "sft"]):
        rows = _logits(model)
    torch.testing.assert_close(rows, torch.stack([before[0], expected[1]]), atol=1e-4, rtol=1e-4)
    with model.disable_adapter():
        assert torch.equal(_logits(model), before)
    assert not torch.allclose(expected, before, atol=1e-2)
    (tmp_path / "again").mkdir()
    adapters.save_adapter(model, "sft", tmp_path / "again")
    adapters.attach(model, tmp_path / "again", "again")
    adapters.copy_adapter(model, "again", "copied")
    with using(model, "copied"):
        torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)


def test_a_shared_expert_takes_an_adapter_and_its_gate_does_not(tmp_path: Path) -> None:
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    sizes = {"intermediate_size": 64, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
    config = transformers.Qwen2MoeConfig(**shape, **sizes, vocab_size=64, num_experts=4, num_experts_per_tok=2)
    model = adapters.attach_new(transformers.AutoModelForCausalLM.from_config(config), "new", 4, 0)
    adapters.copy_adapter(model, "new", "copied")
    shared = {layer.partition("mlp.")[2] for layer in trained_layers(model) if ".mlp." in layer}
    assert shared == {f"shared_expert.{layer}" for layer in ("gate_proj", "up_proj", "down_proj")}
    adapters.save_adapter(model, "copied", tmp_path)
    adapters.attach(model, tmp_path, "again")


def _rename(folder: Path, before: str, after: str, **config: Any) -> None:
    """Let the keys of an adapter begin otherwise, and change its configuration."""
    weights = load_file(folder / "adapter_model.safetensors")
    renamed = {key.replace(before, after, 1): weight for key, weight in weights.items()}
    assert renamed.keys() != weights.keys()
    save_file(renamed, folder / "adapter_model.safetensors")
    values = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(values | config))


@pytest.mark.parametrize(
    ("name", "before", "after", "targets"),
    [
        ("gemma3 multimodal", "model.language_model.layers", "language_model.model.layers", None),  # transformers 4
        ("gemma3 multimodal", "model.language_model.layers", "model.layers", ["q_proj", "v_proj"]),  # its text model
        ("llama", "model.layers", "model.language_model.layers", None),
        ("llama", "model.layers", "language_model.model.layers", r".*language_model.*\.(q_proj|v_proj)"),
    ],
)
def test_an_adapter_of_the_same_language_model_in_another_wrapper_is_applied_as_it_was_trained(
    name: str, before: str, after: str, targets: list[str] | str | None, tmp_path: Path
) -> None:
    write_checkpoint(name, tmp_path)
    expected = _trained_by_peft(tmp_path, tmp_path / "sft", r".*model\.layers.*\.(q_proj|v_proj)")
    _rename(tmp_path / "sft", before, after, target_modules=targets or r".*language_model.*\.(q_proj|v_proj)")
    model: PeftModel = adapters.attach(loading.load_checkpoint(tmp_path)[0], tmp_path / "sft", "sft")
    torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "more",
    [
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 2, r"layers\.1.*down_proj": 6}, "alpha_pattern": {"up_proj": 3}},
        {"layers_to_transform": [1]},
        {"exclude_modules": ["lm_head", "model.layers.0.mlp.up_proj"]},
        {"init_lora_weights": "orthogonal"},
    ],
)
def test_what_scales_and_places_an_adapter_is_applied_as_it_was_trained(more: dict[str, Any], tmp_path: Path) -> None:
    write_checkpoint("llama", tmp_path)
    layers = ["q_proj", "up_proj", "down_proj", *([] if "layers_to_transform" in more else ["lm_head"])]
    expected = _trained_by_peft(tmp_path, tmp_path / "sft", layers, **more)
    model = adapters.attach(loading.load_checkpoint(tmp_path)[0], tmp_path / "sft", "sft")
    torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)

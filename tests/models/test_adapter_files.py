"""Adapters that would not be applied as they were trained are refused in words, and the base is as it was."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PeftConfig, get_peft_model
from safetensors.torch import load_file, save_file

from alignment.errors import AdapterError
from alignment.models import adapters, loading
from alignment.models.adapter_files import read_adapter
from alignment.models.adapters import using

LAYERS = ["q_proj", "down_proj", "lm_head"]
IDS = torch.tensor([[5, 6, 7, 8]])
Change = Callable[[Path], None]


@torch.no_grad()
def _logits(model: Any) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=IDS).logits
    return logits


def _save(tiny_folder: Path, target: Path, config: PeftConfig, save_embedding_layers: bool = False) -> torch.Tensor:
    """Write what PEFT saves of an adapter with random weights, and return what it says in PEFT."""
    model = get_peft_model(loading.load_checkpoint(tiny_folder)[0], config)
    for name, weight in model.named_parameters():
        if ".default" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(target, save_embedding_layers=save_embedding_layers)
    return _logits(model.eval())


def _lora(**more: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "target_modules": LAYERS, "task_type": "CAUSAL_LM", **more})


def _weights(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Change:
    def changed(folder: Path) -> None:
        path = folder / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)

    return changed


def _config(**values: Any) -> Change:
    def changed(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return changed


def _without(part: str) -> Change:
    return _weights(lambda weights: {key: held for key, held in weights.items() if part not in key})


def _cut_off(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.fixture(scope="module")
def plain(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a plain LoRA adapter as PEFT saves it."""
    folder = tmp_path_factory.mktemp("plain")
    _save(tiny_folder, folder, _lora())
    return folder


def _refused(tiny_folder: Path, folder: Path, words: str) -> None:
    """Assert that an adapter is refused by a bare base and by one that carries others, which are as they were then."""
    model: Any = loading.load_checkpoint(tiny_folder)[0]
    base = _logits(model)
    with pytest.raises(AdapterError, match=words):
        adapters.attach(model, folder, "refused")
    assert torch.equal(_logits(model), base)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    sft = _logits(model)
    with pytest.raises(AdapterError, match=words):
        adapters.attach(model, folder, "refused")
    assert torch.equal(_logits(model), sft)
    assert list(model.peft_config) == ["sft"]
    with model.disable_adapter():
        assert torch.equal(_logits(model), base)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_config(init_lora_weights="pissa_niter_4"), "pissa_niter_4.*path_initial_model_for_weight_conversion"),
        (_config(init_lora_weights="olora"), "init_lora_weights 'olora'"),
        (_config(init_lora_weights="loftq"), "init_lora_weights 'loftq'"),
        (_config(use_dora=True), r"use_dora = True.*train it as plain LoRA"),
        (_config(bias="lora_only"), "bias = 'lora_only'"),
        (_config(lora_bias=True), "lora_bias = True"),
        (_config(target_parameters=["experts.down_proj"]), "target_parameters"),
        (_config(layer_replication=[[0, 2], [1, 2]]), "layer_replication"),
        (_config(alora_invocation_tokens=[1, 2]), "alora_invocation_tokens"),
        (_config(trainable_token_indices=[3]), "trainable_token_indices"),
        (_config(modules_to_save=["embed_tokens"]), "modules_to_save"),
        (_config(a_field_of_another_version=3), "a_field_of_another_version = 3"),
        (_config(peft_type="LOHA"), "of the kind 'LOHA'"),
        (_config(target_modules="all-linear"), "does not name its layers"),
        (_config(rank_pattern=[]), "rank_pattern must not be"),
        (_config(r=8), r"lora_A.weight \[4, 32\] should be \[8, 32\]"),
        (_weights(lambda w: {k.replace(".layers.", ".blocks."): v for k, v in w.items()}), "has no layer for.*blocks"),
        (
            _weights(lambda w: {k.replace("model.model.model", "model.decoder"): v for k, v in w.items()}),
            "has no layer",
        ),
        (_weights(lambda w: {k: v[:, :16].contiguous() if "q_proj.lora_A" in k else v for k, v in w.items()}), "16"),
        (
            _weights(lambda w: {**w, "base_model.model.model.norm.weight": torch.zeros(32)}),
            "norm.weight.*not this base",
        ),
        (_weights(lambda w: {**w, "base_model.model.lm_head.lora_embedding_A": torch.zeros(4, 9)}), "linear layers"),
        (_weights(lambda w: {**w, "base_model.model.prompt_embeddings": torch.zeros(4, 9)}), "linear layers only"),
        (_without("q_proj.lora_B"), "lacks the other half of .*q_proj.lora_A"),
        (_without("layers.1"), "no matrices for model.layers.1.*q_proj"),
        (_without("lm_head"), "no matrices for lm_head"),
        (_without("lora"), "holds no LoRA matrices"),
        (_cut_off, "does not fit any base.*was cut off"),
    ],
)
def test_an_adapter_that_would_not_be_applied_whole_is_refused_and_leaves_nothing(
    tiny_folder: Path, plain: Path, tmp_path: Path, change: Change, words: str
) -> None:
    shutil.copytree(plain, tmp_path / "adapter")
    change(tmp_path / "adapter")
    _refused(tiny_folder, tmp_path / "adapter", words)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (_lora(init_lora_weights="pissa_niter_4"), "pissa_niter_4"),
        (_lora(use_dora=True), "use_dora"),
        (_lora(trainable_token_indices=[3, 4]), "trainable_token_indices"),
        (_lora(modules_to_save=["embed_tokens"]), "modules_to_save"),
        (_lora(target_modules=["q_proj", "embed_tokens"]), "linear layers only"),
        (LoHaConfig(r=4, target_modules=LAYERS, task_type="CAUSAL_LM"), "of the kind 'LOHA'"),
        (IA3Config(target_modules=["q_proj"], feedforward_modules=[], task_type="CAUSAL_LM"), "of the kind 'IA3'"),
    ],
    ids=lambda value: value.peft_type if isinstance(value, PeftConfig) else value,
)
def test_what_peft_saves_of_other_kinds_of_adapters_is_refused(
    tiny_folder: Path, tmp_path: Path, config: PeftConfig, words: str
) -> None:
    _save(tiny_folder, tmp_path, config)
    _refused(tiny_folder, tmp_path, words)


def test_unknown_fields_of_other_versions_are_passed_over_where_they_ask_for_nothing(
    tiny_folder: Path, plain: Path, tmp_path: Path
) -> None:
    shutil.copytree(plain, tmp_path / "adapter")
    _config(new_kind=None, use_new=False, new_places=[], eva_config={"rho": 2.0}, corda_config={"verbose": True})(
        tmp_path / "adapter"
    )
    assert len(read_adapter(tmp_path / "adapter").matrices) == 2 * (2 + 2 + 1)
    adapters.attach(loading.load_checkpoint(tiny_folder)[0], tmp_path / "adapter", "sft")


def test_copies_of_the_bases_own_weights_are_passed_over_and_changed_ones_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    expected = _save(tiny_folder, tmp_path, _lora(), save_embedding_layers=True)
    beside = "base_model.model.lm_head.base_layer.weight"
    assert beside in read_adapter(tmp_path).others
    model = adapters.attach(loading.load_checkpoint(tiny_folder)[0], tmp_path, "sft")
    with using(model, "sft"):
        torch.testing.assert_close(_logits(model), expected, atol=1e-4, rtol=1e-4)
    _weights(lambda weights: {**weights, beside: weights[beside] + 0.01})(tmp_path)
    _refused(tiny_folder, tmp_path, "lm_head.base_layer.weight.*not this base's")

"""One base, many adapters: switched, mixed in a batch, saved and quantized without a trace on each other."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoTokenizer

from alignment.errors import AdapterError, ModelLoadError
from alignment.learning.sft import lora_config
from alignment.models import adapters, loading, routing
from alignment.models.adapters import using
from alignment.models.generation import generate
from alignment.models.heads import load_head, mean_head, new_head
from alignment.models.sampling import Sampling

Tiny = tuple[PeftModel, AutoTokenizer]


def _logits(model: PeftModel, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits


def test_missing_model_folder_fails_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"no model at .*nowhere"):
        loading.load_checkpoint(tmp_path / "nowhere")


def test_broken_weights_are_reported_as_such(tiny_folder: Path, tmp_path: Path) -> None:
    for path in tiny_folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        loading.load_checkpoint(tmp_path)


def test_broken_adapter_is_reported_as_such(tiny: Tiny, tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"adapter_config\.json is missing"):
        adapters.attach(tiny[0], tmp_path, "broken")
    (tmp_path / "adapter_config.json").write_text("{")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(AdapterError, match=r"not a JSON object .*; copy the adapter anew"):
        adapters.attach(tiny[0], tmp_path, "broken")
    (tmp_path / "adapter_config.json").write_bytes((tiny_folder / "sft" / "adapter_config.json").read_bytes())
    with pytest.raises(AdapterError, match="does not fit"):
        adapters.attach(tiny[0], tmp_path, "broken")


def _assert_rows_equal_single_adapters(model: PeftModel, tolerance: float) -> None:
    ids = torch.randint(5, 500, (1, 9), generator=torch.Generator().manual_seed(1))
    with routing.StackedAdapters(model).rows([routing.BASE, "sft", "other"]):
        mixed = _logits(model, ids.repeat(3, 1))
    with model.disable_adapter():
        torch.testing.assert_close(mixed[0:1], _logits(model, ids), atol=tolerance, rtol=tolerance)
    for row, name in ((1, "sft"), (2, "other")):
        with using(model, name):
            torch.testing.assert_close(mixed[row : row + 1], _logits(model, ids), atol=tolerance, rtol=tolerance)
    assert not torch.allclose(mixed[0], mixed[1], atol=1e-2)
    assert not torch.allclose(mixed[1], mixed[2], atol=1e-2)


def test_rows_of_a_mixed_batch_equal_single_adapters(tiny: Tiny) -> None:
    _assert_rows_equal_single_adapters(tiny[0].double(), 1e-9)


def test_adapters_of_different_rank_share_a_batch(tiny: Tiny) -> None:
    model, _ = tiny
    model.delete_adapter("other")
    model.add_adapter("other", lora_config(rank=7))
    for parameter in adapters.adapter_parameters(model, "other"):
        torch.nn.init.normal_(parameter, std=0.2)
    _assert_rows_equal_single_adapters(model.double(), 1e-9)


def test_adapters_on_layers_that_are_not_linear_are_refused_and_leave_nothing(
    tiny: Tiny, tiny_folder: Path, tmp_path: Path
) -> None:
    config = LoraConfig(r=4, target_modules=["embed_tokens"], task_type="CAUSAL_LM")
    get_peft_model(loading.load_checkpoint(tiny_folder)[0], config).save_pretrained(
        tmp_path, save_embedding_layers=False
    )
    with pytest.raises(AdapterError, match="linear layers only"):
        adapters.attach(tiny[0], tmp_path, "embedding")
    _assert_rows_equal_single_adapters(tiny[0].double(), 1e-9)


def test_adapters_that_are_more_than_plain_lora_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    model, _ = loading.load_checkpoint(tiny_folder)
    config = LoraConfig(r=4, use_dora=True, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(model, config).save_pretrained(tmp_path)
    with pytest.raises(AdapterError, match="train it as plain LoRA"):
        adapters.attach(loading.load_checkpoint(tiny_folder)[0], tmp_path, "dora")


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_adapters_on_a_quantized_base_share_a_batch(tiny_folder: Path, quantize: loading.Quantize) -> None:
    model, _ = loading.load_checkpoint(tiny_folder, quantize)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    adapters.attach(model, tiny_folder / "other", "other")
    _assert_rows_equal_single_adapters(model, 0.05 if quantize == "int8" else 1e-4)


def test_layers_are_as_before_after_an_error_inside_a_mixed_batch(tiny: Tiny) -> None:
    model, _ = tiny
    ids = torch.tensor([[5, 6, 7]])
    before = _logits(model, ids)
    with pytest.raises(KeyError), routing.StackedAdapters(model).rows(["other"]):
        raise KeyError("boom")
    torch.testing.assert_close(_logits(model, ids), before)


@pytest.mark.parametrize("quantize", ["none", "nf4", "int8"])
def test_an_adapter_says_what_it_does_through_pefts_own_layers_and_takes_the_same_gradients(
    tiny_folder: Path, quantize: loading.Quantize
) -> None:
    model, _ = loading.load_checkpoint(tiny_folder, quantize)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    adapters.attach(model, tiny_folder / "other", "other")
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    found = []
    for own in (False, True):
        if own:
            for layer in model.modules():
                layer.__dict__.pop("forward", None)
        with using(model, "other", train=True):
            logits = model(input_ids=ids).logits.float()
            logits.log_softmax(-1)[..., 3].sum().backward()
        gradients = [weight.grad.clone() for weight in adapters.adapter_parameters(model, "other")]
        model.zero_grad()
        found.append([logits.detach(), *gradients])
    assert all(gradient.abs().sum() > 0 for gradient in found[0][1:])
    for fused, own in zip(*found, strict=True):
        torch.testing.assert_close(fused, own, atol=1e-5, rtol=1e-4)


def test_dropout_is_left_to_peft(tiny_folder: Path) -> None:
    model, _ = loading.load_checkpoint(tiny_folder)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.lora_dropout["sft"] = torch.nn.Dropout(0.5)
    ids = torch.tensor([[5, 6, 7]])
    quiet = _logits(model, ids)
    model.train()
    assert not torch.allclose(_logits(model, ids), quiet)


@torch.no_grad()
def test_merged_weights_say_what_the_adapter_says_and_leave_the_base_as_it_was(tiny: Tiny) -> None:
    model, ids = tiny[0], torch.tensor([[5, 6, 7], [8, 9, 10]])
    base = {name: weight.clone() for name, weight in model.named_parameters() if "lora" not in name}
    for name in ("sft", "other"):
        with using(model, name):
            expected = _logits(model, ids)
            with routing.merged(model):
                assert not any("base_layer" in call for call in _modules_called(model, ids))
                torch.testing.assert_close(_logits(model, ids), expected, atol=1e-5, rtol=1e-5)
            assert torch.equal(_logits(model, ids), expected)
    with model.disable_adapter(), routing.merged(model):
        without = _logits(model, ids)
    with model.disable_adapter():
        assert torch.equal(_logits(model, ids), without)
    assert all(torch.equal(weight, base[name]) for name, weight in model.named_parameters() if name in base)


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_quantized_layers_are_not_merged(tiny_folder: Path, quantize: loading.Quantize) -> None:
    model, _ = loading.load_checkpoint(tiny_folder, quantize)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    ids = torch.tensor([[5, 6, 7]])
    expected = _logits(model, ids)
    with routing.merged(model):
        assert any("layers.0" in call and "base_layer" in call for call in _modules_called(model, ids))
        torch.testing.assert_close(_logits(model, ids), expected, atol=1e-5, rtol=1e-5)


def _modules_called(model: PeftModel, ids: torch.Tensor) -> set[str]:
    called: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: called.add(name))  # type: ignore[misc]
        for name, module in model.named_modules()
    ]
    _logits(model, ids)
    for hook in hooks:
        hook.remove()
    return called


def test_unknown_adapter_in_a_mixed_batch_is_refused(tiny: Tiny) -> None:
    stacked = routing.StackedAdapters(tiny[0])
    with pytest.raises(AdapterError, match="policy-9"), stacked.rows(["policy-9"]):
        pass


def test_saved_adapter_and_head_load_bit_identical_and_name_no_machine(tiny: Tiny, tmp_path: Path) -> None:
    model, _ = tiny
    head = new_head(model)
    torch.nn.init.normal_(head.weight)
    adapters.save_adapter(model, "sft", tmp_path, head)
    adapters.attach(model, tmp_path, "again")
    for mine, loaded in zip(
        adapters.adapter_parameters(model, "sft"), adapters.adapter_parameters(model, "again"), strict=True
    ):
        assert torch.equal(mine, loaded)
    assert torch.equal(load_head(model, tmp_path).weight, head.weight)
    assert str(tmp_path.parent) not in (tmp_path / "adapter_config.json").read_text()


def test_several_heads_load_as_they_were_saved_and_their_mean_scores_as_they_do_on_average(
    tiny: Tiny, tmp_path: Path
) -> None:
    model, _ = tiny
    heads = new_head(model, 5)
    torch.nn.init.normal_(heads.weight)
    torch.nn.init.normal_(heads.bias)
    adapters.save_adapter(model, "sft", tmp_path, heads)
    loaded = load_head(model, tmp_path)
    assert torch.equal(loaded.weight, heads.weight) and torch.equal(loaded.bias, heads.bias)
    hidden = torch.randn(7, heads.in_features)
    torch.testing.assert_close(mean_head(heads)(hidden), heads(hidden).mean(-1, keepdim=True))


def test_copied_adapter_starts_equal_and_then_moves_alone(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "sft", "policy")
    sources = [p.clone() for p in adapters.adapter_parameters(model, "sft")]
    optimizer = torch.optim.SGD(adapters.adapter_parameters(model, "policy"), lr=0.1)
    with using(model, "policy", train=True):
        model(input_ids=torch.tensor([[5, 6, 7]])).logits.square().mean().backward()
        optimizer.step()
    for before, source, copied in zip(
        sources, adapters.adapter_parameters(model, "sft"), adapters.adapter_parameters(model, "policy"), strict=True
    ):
        assert torch.equal(before, source)
        assert not torch.equal(source, copied)


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_gradients_reach_the_lowest_layer_of_a_quantized_base_after_generation(
    tiny_folder: Path, quantize: loading.Quantize
) -> None:
    model, tokenizer = loading.load_checkpoint(tiny_folder, quantize)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    written = generate(model, tokenizer, [[1, 5, 6]], Sampling(0.7, 4), [0])
    assert len(written[0].token_ids) >= 1
    with using(model, "sft", train=True):
        model(input_ids=torch.tensor([[1, 5, 6, 7]])).logits.float().square().mean().backward()
    lowest = [p for name, p in model.named_parameters() if ".layers.0." in name and ".sft." in name]
    assert lowest
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lowest)

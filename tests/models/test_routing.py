"""Adapters stacked for the rows of a batch: kept between batches, and never outdated."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.models import adapters, routing
from alignment.models.adapters import using
from alignment.models.routing import BASE, STACKS_KEPT, StackedAdapters

Tiny = tuple[PeftModel, AutoTokenizer]
IDS = torch.tensor([[5, 6, 7]])


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The names of every stack that is built from here on."""
    names_built: list[tuple[str, ...]] = []

    class CountedStack(routing._Stack):
        def __init__(self, layers: list[object], names: tuple[str, ...]) -> None:
            names_built.append(names)
            super().__init__(layers, names)

    monkeypatch.setattr(routing, "_Stack", CountedStack)
    return names_built


@torch.no_grad()
def _logits(model: PeftModel, stacked: StackedAdapters, names: list[str]) -> torch.Tensor:
    with stacked.rows(names):
        logits: torch.Tensor = model(input_ids=IDS.repeat(len(names), 1)).logits
    return logits


@torch.no_grad()
def _alone(model: PeftModel, name: str) -> torch.Tensor:
    with using(model, name):
        logits: torch.Tensor = model(input_ids=IDS).logits
    return logits


def test_a_stack_serves_rows_in_any_order_and_number(tiny: Tiny, built: list[tuple[str, ...]]) -> None:
    model, stacked = tiny[0], StackedAdapters(tiny[0])
    for names in (["sft", "other"], ["other", BASE, "sft", "sft"], ["sft", "other"]):
        rows = _logits(model, stacked, names)
        for row, name in zip(rows, names, strict=True):
            if name != BASE:
                torch.testing.assert_close(row, _alone(model, name)[0], atol=1e-5, rtol=1e-5)
    assert built == [("other", "sft")]


def test_a_stack_of_one_adapter_leaves_base_rows_alone(tiny: Tiny) -> None:
    model, stacked = tiny[0], StackedAdapters(tiny[0])
    with torch.no_grad(), model.disable_adapter():
        base = model(input_ids=IDS).logits
    for names in (["sft"], [BASE, "sft"], [BASE], ["sft"]):
        for row, name in zip(_logits(model, stacked, names), names, strict=True):
            expected = base if name == BASE else _alone(model, name)
            torch.testing.assert_close(row, expected[0], atol=1e-5, rtol=1e-5)


def test_the_stacks_used_last_are_kept(tiny: Tiny, built: list[tuple[str, ...]]) -> None:
    model, stacked = tiny[0], StackedAdapters(tiny[0])
    names = [f"copy-{i}" for i in range(STACKS_KEPT)]
    for name in names:
        adapters.copy_adapter(model, "sft", name)
    for name in ("sft", *names[:-1], "sft", names[-1], "sft", names[0]):
        _logits(model, stacked, [name])
    assert built == [("sft",), *((name,) for name in names), (names[0],)]


def test_a_name_that_stands_for_another_adapter_now_goes_through_that_one(tiny: Tiny, tiny_folder: object) -> None:
    model, stacked = tiny[0], StackedAdapters(tiny[0])
    adapters.attach(model, f"{tiny_folder}/sft", "changing")
    torch.testing.assert_close(_logits(model, stacked, ["changing"]), _alone(model, "sft"), atol=1e-5, rtol=1e-5)
    adapters.drop_adapter(model, "changing")
    adapters.attach(model, f"{tiny_folder}/other", "changing")
    torch.testing.assert_close(_logits(model, stacked, ["changing"]), _alone(model, "other"), atol=1e-5, rtol=1e-5)


def test_stacks_of_adapters_that_stay_survive_that_others_come_and_go(tiny: Tiny, built: list[tuple[str, ...]]) -> None:
    model, stacked = tiny[0], StackedAdapters(tiny[0])
    _logits(model, stacked, ["sft"])
    adapters.copy_adapter(model, "sft", "passing")
    _logits(model, stacked, ["sft"])
    adapters.drop_adapter(model, "passing")
    _logits(model, stacked, ["sft"])
    assert built == [("sft",)]
    with pytest.raises(routing.AdapterError, match="passing"):
        _logits(model, stacked, ["passing"])

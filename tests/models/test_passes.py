"""Every row goes through one pass, and no pass holds more than it may."""

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig

from alignment.models.passes import ROWS, TOKENS_A_ROW, in_groups, rows_at_once, tokens_to_hold


def _model(device: str, hidden: int = 192, layers: int = 6) -> SimpleNamespace:
    config = LlamaConfig(hidden_size=hidden, num_hidden_layers=layers)
    return SimpleNamespace(device=torch.device(device), config=config, dtype=torch.float32)


@pytest.mark.parametrize(
    ("device", "hidden", "layers", "rows"),
    [("cpu", 192, 6, 16), ("cuda", 192, 6, 1024), ("cuda", 1024, 24, 85), ("cuda", 4096, 32, 16)],
)
def test_a_pass_on_cuda_holds_more_rows_of_a_small_model(device: str, hidden: int, layers: int, rows: int) -> None:
    assert rows_at_once(_model(device, hidden, layers), 16) == rows


@pytest.mark.parametrize(("hidden", "layers", "least"), [(192, 6, 10_000), (576, 30, 1000), (4096, 32, 200)])
def test_fewer_tokens_of_a_large_model_wait_for_a_backward_pass(hidden: int, layers: int, least: int) -> None:
    assert least < tokens_to_hold(_model("cpu", hidden, layers)) < 3 * least


def test_a_pass_holds_few_tokens_with_its_padding_and_every_row_goes_through_one() -> None:
    widths = [(30, 2), (2, 30)] * 20 + [(1, 1)] * 40 + [(2, ROWS * TOKENS_A_ROW)]
    groups = in_groups(_model("cpu"), widths)
    assert [row for group in groups for row in group] == list(range(len(widths)))
    for group in groups[:-1]:
        prompt, completion = (max(widths[row][part] for row in group) for part in (0, 1))
        assert len(group) <= ROWS and len(group) * (prompt + completion) <= ROWS * TOKENS_A_ROW
    assert groups[-1] == [len(widths) - 1]
    assert len(groups[0]) == ROWS * TOKENS_A_ROW // 60


def test_no_rows_need_no_pass() -> None:
    assert in_groups(_model("cpu"), []) == []

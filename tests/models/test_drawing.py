"""Tokens are drawn from the distribution that the sampling settings ask for, and from no other."""

import pytest
import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from alignment.models.drawing import LIKELIEST, draw, row_sampling
from alignment.models.sampling import Sampling


def _drawn(probabilities: Tensor, sampling: Sampling, uniform: Tensor, barred: tuple[int, ...] = ()) -> Tensor:
    """Return a draw from the same distribution for each uniform number."""
    logits = probabilities.log().repeat(len(uniform), 1)
    rows = row_sampling([sampling] * len(uniform), [barred] * len(uniform), logits.shape[-1], logits.device)
    return draw(logits, rows, uniform.tolist())


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.2])
    uniform = torch.linspace(0, 1, 1001)[:-1]
    drawn = _drawn(probabilities, Sampling(1.0), uniform)
    shares = torch.bincount(drawn, minlength=4) / 1000
    torch.testing.assert_close(shares, probabilities, atol=2e-3, rtol=0)


def test_min_p_leaves_out_what_is_unlikely_before_the_temperature_evens_out_the_rest() -> None:
    probabilities = torch.tensor([0.64, 0.16, 0.12, 0.08])
    uniform = torch.linspace(0, 1, 1001)[:-1]
    drawn = _drawn(probabilities, Sampling(2.0, min_p=0.2), uniform)
    shares = torch.bincount(drawn, minlength=4) / 1000  # 0.2 * 0.64 = 0.128 is the least; √0.64 to √0.16 is 2 to 1
    torch.testing.assert_close(shares, torch.tensor([2 / 3, 1 / 3, 0.0, 0.0]), atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(0.2, top_p=0.9),
        Sampling(1.0, top_p=0.5),
        Sampling(0.6, top_p=0.95, top_k=20),
        Sampling(1.5, top_k=3),
        Sampling(1.0, top_p=1e-6),
        Sampling(3.0, top_p=0.999),  # its nucleus holds more tokens than are sorted at first
        Sampling(3.0, top_p=0.9, top_k=LIKELIEST[0] + 100),
    ],
)
def test_top_k_and_top_p_keep_the_tokens_that_transformers_keeps(sampling: Sampling) -> None:
    logits = torch.randn(1, 3 * LIKELIEST[0], generator=torch.Generator().manual_seed(3)) * 3
    warpers = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    expected = warpers(torch.zeros(1, 1, dtype=torch.long), logits).softmax(-1)[0]
    count = 20_000
    uniform = (torch.arange(count) + 0.5) / count
    shares = torch.bincount(_drawn(logits[0].softmax(-1), sampling, uniform), minlength=len(expected)) / count
    torch.testing.assert_close(shares, expected, atol=2 / count, rtol=0)


def test_each_row_is_cut_by_its_own_settings() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]] * 4)
    settings = [Sampling(1.0, top_k=1), Sampling(1.0, top_p=0.7), Sampling(1.0), Sampling(0.0, top_p=0.1)]
    drawn = draw(logits, row_sampling(settings, [()] * 4, 3, logits.device), [0.999] * 4)
    assert drawn.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_barred_tokens_are_never_drawn(temperature: float) -> None:
    probabilities = torch.tensor([0.7, 0.2, 0.1])
    uniform = torch.linspace(0, 1, 101)[:-1]
    assert set(_drawn(probabilities, Sampling(temperature), uniform, barred=(0, 2)).tolist()) == {1}

"""Bradley–Terry identities, honest splits and intervals, and a taste that is learned."""

import math
from dataclasses import dataclass

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment import backbone, reward_model
from alignment.errors import TrainingError
from alignment.model_folder import ShippedPair
from alignment.settings import RewardConfig

Tiny = tuple[PeftModel, AutoTokenizer]


@dataclass(frozen=True)
class P:
    prompt: str
    chosen: str
    rejected: str


def test_bradley_terry_loss_of_equal_scores_is_log_two() -> None:
    zero = torch.zeros(3)
    assert reward_model.bradley_terry_loss(zero, zero).item() == pytest.approx(math.log(2))


def test_bradley_terry_loss_knows_only_differences() -> None:
    chosen, rejected = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 3.0])
    shifted = reward_model.bradley_terry_loss(chosen + 10, rejected + 10)
    assert reward_model.bradley_terry_loss(chosen, rejected).item() == pytest.approx(shifted.item(), abs=1e-5)
    # by hand: log(1 + e^-1) = 0.31326, log(1 + e^5) = 5.00672, their mean is 2.65999
    assert shifted.item() == pytest.approx(2.65999, abs=1e-5)


def test_bradley_terry_gradient_is_the_probability_of_the_other_choice() -> None:
    chosen = torch.tensor([0.7], requires_grad=True)
    reward_model.bradley_terry_loss(chosen, torch.tensor([0.2])).backward()
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(-(1 - 1 / (1 + math.exp(-0.5))))


@pytest.mark.parametrize(
    ("right", "count", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 5, 0.0, 0.4345), (50, 100, 0.4038, 0.5962)]
)
def test_wilson_interval_agrees_with_published_values(right: int, count: int, low: float, high: float) -> None:
    result = reward_model.wilson(right, count)
    assert result.low == pytest.approx(low, abs=1e-4)
    assert result.high == pytest.approx(high, abs=1e-4)


def test_nothing_counted_says_nothing() -> None:
    result = reward_model.wilson(0, 0)
    assert result.share is None
    assert (result.low, result.high) == (0.0, 1.0)


def test_splits_never_share_a_prompt() -> None:
    pairs = [P(f"prompt {i % 10}", "a", f"b{i}") for i in range(60)]
    train, held_out = reward_model.split_by_prompt(pairs, 0.3, seed=1)
    assert len(held_out) == 18
    assert not {p.prompt for p in train} & {p.prompt for p in held_out}
    assert sorted(p.rejected for p in train + held_out) == sorted(p.rejected for p in pairs)


def test_score_does_not_depend_on_the_neighbours_length(tiny: Tiny) -> None:
    model, tokenizer = tiny
    head = backbone.new_head(model)
    torch.nn.init.normal_(head.weight)
    backbone.activate(model, "sft")
    rows = [[1, 5, 6], [1, 7, 8, 9, 10, 11, 2]]
    with torch.no_grad():
        together = reward_model.score_sequences(model, head, rows, tokenizer.pad_token_id)
        alone = [reward_model.score_sequences(model, head, [row], tokenizer.pad_token_id)[0] for row in rows]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_no_comparisons_is_an_error_with_the_next_step(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "sft", "reward")
    with pytest.raises(TrainingError, match="vote on some answers"):
        reward_model.fit(
            model, tokenizer, backbone.new_head(model), [], [], RewardConfig(), 0, lambda step, metrics: None
        )


def test_votes_win_over_shipped_comparisons_where_they_disagree(tiny: Tiny) -> None:
    model, tokenizer = tiny
    backbone.copy_adapter(model, "sft", "reward")
    head = backbone.new_head(model)
    others = {name: parameter.clone() for name, parameter in model.named_parameters() if ".reward." not in name}
    # Shipped labelers only care for "Paris"; the voter wants the short answer.
    shipped = [ShippedPair(f"Question {i}?", "Paris. Paris.", "Rome. Rome.", "simulated", "right") for i in range(40)]
    voted = [P(f"Ask {i}?", "Paris.", "The capital city of France is Paris.") for i in range(16)]
    losses: list[float] = []
    report = reward_model.fit(
        model,
        tokenizer,
        head,
        voted,
        shipped,
        RewardConfig(steps=60, batch_size=16, voted_share=0.5, learning_rate=5e-3, head_learning_rate=2e-2),
        0,
        lambda step, metrics: losses.append(metrics["reward/loss"]),
    )
    assert report.voted.count == 3
    assert report.voted.share == 1.0
    assert report.shipped.share == 1.0
    assert sum(losses[-5:]) < sum(losses[:5]) / 2
    for name, parameter in model.named_parameters():
        if ".reward." not in name:
            assert torch.equal(parameter, others[name]), name

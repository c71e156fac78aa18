"""The Bradley–Terry loss by hand, by NumPy and by its identities; agreement, intervals and calibration."""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
import torch

from alignment.models.texts import Text
from alignment.reward.agreement import agreement, wilson
from alignment.reward.bradley_terry import pair_loss, ranking_loss
from alignment.reward.rankings import judged_pairs, preferred
from storage.messages import Message, Messages, one_turn


@dataclass(frozen=True)
class R:
    completions: tuple[str, ...]
    tiers: tuple[tuple[int, ...], ...]
    tied: bool = True
    messages: Messages = (Message("user", "prompt"),)
    cut: tuple[int, ...] = ()  # positions of completions that did not end

    @property
    def ended(self) -> tuple[bool, ...]:
        return tuple(place not in self.cut for place in range(len(self.completions)))


def margin(probability: float) -> float:
    """Return the difference of scores at which the better one wins with a probability."""
    return math.log(probability / (1 - probability))


def test_loss_of_equal_scores_is_log_two() -> None:
    zero = torch.zeros(3)
    assert pair_loss(zero, zero).tolist() == pytest.approx([math.log(2)] * 3)


def test_loss_agrees_with_numbers_worked_by_hand() -> None:
    # log(1 + e^-1) = 0.3132617, log(1 + e^5) = 5.0067153, log(1 + e^-2) = 0.1269280
    losses = pair_loss(torch.tensor([1.0, -2.0, 2.5]), torch.tensor([0.0, 3.0, 0.5]))
    assert losses.tolist() == pytest.approx([0.3132617, 5.0067153, 0.1269280], abs=1e-5)


def test_a_completion_wins_or_loses() -> None:
    a, b = torch.randn(50, generator=torch.Generator().manual_seed(0)).view(2, 25) * 4
    torch.testing.assert_close((-pair_loss(a, b)).exp() + (-pair_loss(b, a)).exp(), torch.ones(25))


def test_a_tie_is_the_soft_label_of_a_half() -> None:
    # by hand: (0.3132617 + 1.3132617) / 2, least where the scores are equal
    assert pair_loss(torch.tensor(1.0), torch.tensor(0.0), 0.5).item() == pytest.approx(0.8132617, abs=1e-5)
    score = torch.tensor(2.0, requires_grad=True)
    pair_loss(score, torch.tensor(2.0), 0.5).backward()
    assert score.grad is not None and score.grad.item() == 0


def test_gradient_is_the_probability_of_the_other_choice() -> None:
    better = torch.tensor([0.7], requires_grad=True)
    pair_loss(better, torch.tensor([0.2])).backward()
    assert better.grad is not None
    assert better.grad.item() == pytest.approx(-(1 - 1 / (1 + math.exp(-0.5))))


def random_rankings(heads: int) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Return scores, pairs and targets of twelve rankings of two to six completions, some tied, and their weights."""
    rng = np.random.default_rng(0)
    sizes = [int(size) for size in rng.integers(2, 7, 12)]
    scores = [torch.tensor(rng.normal(size=(size, heads))) for size in sizes]
    pairs = [torch.tensor(list(combinations(rng.permutation(size), 2))) for size in sizes]
    targets = [torch.tensor(rng.choice([1.0, 0.5], len(rows))) for rows in pairs]
    return scores, pairs, targets, torch.tensor(rng.poisson(1.0, (len(sizes), heads)), dtype=torch.float64)


def test_ranking_loss_agrees_with_numpy() -> None:
    scores, pairs, targets, weights = random_rankings(heads=5)
    total = 0.0
    for own, rows, target, weight in zip(scores, pairs, targets, weights.numpy(), strict=True):
        strength = np.exp(own.numpy())
        for head in range(5):
            wins = np.array([strength[i, head] / (strength[i, head] + strength[j, head]) for i, j in rows.tolist()])
            likelihood = target.numpy() * np.log(wins) + (1 - target.numpy()) * np.log(1 - wins)
            total -= weight[head] * likelihood.mean()
    assert ranking_loss(scores, pairs, targets, weights).item() == pytest.approx(total / (12 * 5), abs=1e-5)


def test_ranking_loss_knows_only_differences_within_a_ranking() -> None:
    scores, *rest = random_rankings(heads=4)
    shifted = [own + 10 * number for number, own in enumerate(scores)]
    assert ranking_loss(scores, *rest).item() == pytest.approx(ranking_loss(shifted, *rest).item())


def test_a_ranking_of_many_counts_as_much_as_a_pair() -> None:
    two, four = torch.zeros(2, 1, requires_grad=True), torch.zeros(4, 1, requires_grad=True)
    pairs = [torch.tensor([[0, 1]]), torch.tensor(list(combinations(range(4), 2)))]
    ranking_loss([two, four], pairs, [torch.ones(1), torch.ones(6)], torch.ones(2, 1)).backward()
    assert two.grad is not None and four.grad is not None
    # by hand: half of σ(0) for the pair; the best of four wins three of its six pairs
    assert two.grad[:, 0].tolist() == pytest.approx([-0.25, 0.25])
    assert four.grad[:, 0].tolist() == pytest.approx([-0.125, -0.125 / 3, 0.125 / 3, 0.125])


def test_a_ranking_of_weight_zero_teaches_its_head_nothing() -> None:
    scores, pairs, targets, weights = random_rankings(heads=3)
    weights[4, 1] = 0.0
    for own in scores:
        own.requires_grad_(True)
    ranking_loss(scores, pairs, targets, weights).backward()
    assert scores[4].grad is not None
    assert scores[4].grad[:, 1].abs().sum() == 0


def words(ranking: R) -> list[tuple[str, str, float]]:
    """Return the pairs that a ranking judges as texts alone."""
    return [(first.completion, second.completion, target) for first, second, target in judged_pairs(ranking)]


def test_tiers_are_ordered_and_what_shares_one_is_tied() -> None:
    assert words(R(("a", "b", "c", "d"), ((3,), (2,), (0, 1)))) == [
        *(("d", "c", 1.0), ("d", "a", 1.0), ("d", "b", 1.0), ("c", "a", 1.0), ("c", "b", 1.0)),
        ("a", "b", 0.5),
    ]
    assert words(R(("a", "b"), ((0, 1),))) == [("a", "b", 0.5)]
    assert words(R(("a", "b"), ())) == []


def test_a_choice_says_nothing_of_the_others_among_themselves() -> None:
    choice = R(("a", "b", "c"), ((1,), (0, 2)), tied=False)
    assert words(choice) == [("b", "a", 1.0), ("b", "c", 1.0)]


def test_equal_texts_give_no_pair_and_the_same_pair_counts_once() -> None:
    assert words(R(("same", "same", "other", "other"), ((0,), (1, 2, 3)), tied=False)) == [("same", "other", 1.0)]
    assert words(R(("same", "same"), ((0, 1),))) == []


def test_a_text_that_was_cut_is_known_as_such_unless_the_same_text_ended_elsewhere() -> None:
    ranking = R(("a", "b", "a"), ((1,), (0, 2)), tied=False, cut=(0, 1))
    messages = one_turn("prompt")
    assert judged_pairs(ranking) == [(Text(messages, "b", ended=False), Text(messages, "a"), 1.0)]
    assert preferred([ranking], 0) == [Text(messages, "b", ended=False)]


def test_a_liked_text_that_was_cut_before_its_first_word_teaches_nothing() -> None:
    assert preferred([R(("", "b"), ((0,), (1,)), cut=(0,)), R(("", "b"), ((0,), (1,)))], 0) == [
        Text(one_turn("prompt"), "")
    ]


@pytest.mark.parametrize(
    ("right", "count", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 5, 0.0, 0.4345), (50, 100, 0.4038, 0.5962)]
)
def test_wilson_interval_agrees_with_published_values(right: int, count: int, low: float, high: float) -> None:
    result = wilson(right, count)
    assert result.low == pytest.approx(low, abs=1e-4)
    assert result.high == pytest.approx(high, abs=1e-4)


def test_nothing_counted_says_nothing() -> None:
    result = wilson(0, 0)
    assert result.share is None
    assert (result.low, result.high) == (0.0, 1.0)


def test_agreement_counts_rankings_not_pairs_and_equal_scores_by_half() -> None:
    result = agreement([torch.tensor([1.0, 2.0, -1.0, -3.0]), torch.tensor([0.5]), torch.tensor([0.0])])
    assert result.accuracy.share == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert result.accuracy.count == 3
    by_hand = [np.mean([0.3132617, 0.1269280, 1.3132617, 3.0485874]), 0.4740770, math.log(2)]
    assert result.log_loss == pytest.approx(np.mean(by_hand), abs=1e-5)


def test_scores_that_are_right_as_often_as_they_say_have_no_calibration_error() -> None:
    calibrated = agreement([torch.tensor([margin(0.75) * side]) for side in (1, 1, 1, -1)])
    assert calibrated.calibration_error == pytest.approx(0.0, abs=1e-6)
    assert calibrated.confidence == pytest.approx(calibrated.accuracy.share)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy_bin_by_bin() -> None:
    sure = [margin(0.95) * side for side in (1, -1)]  # right half of the time
    unsure = [margin(0.55)] * 6  # always right
    result = agreement([torch.tensor([value]) for value in sure + unsure])
    found = [(b.confidence, b.accuracy, b.share) for b in result.reliability]
    assert found[0] == pytest.approx((0.55, 1.0, 0.75), abs=1e-5)
    assert found[1] == pytest.approx((0.95, 0.5, 0.25), abs=1e-5)
    assert result.calibration_error == pytest.approx(0.75 * 0.45 + 0.25 * 0.45, abs=1e-5)

"""What votes teach the linear reward model, and when they teach nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alignment.errors import AdapterError
from alignment.models.texts import Text
from alignment.reward.agreement import agreement
from alignment.reward.linear_file import load_linear, save_linear
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import (
    Votes,
    better_than_a_coin,
    cross_validate,
    doubt,
    evidence_against_a_coin,
    fit_votes,
)
from storage.messages import Messages, one_turn

HIDDEN = 40


@dataclass(frozen=True)
class Vote:
    messages: Messages
    completions: tuple[str, ...]
    tiers: tuple[tuple[int, ...], ...]
    tied: bool = False
    ended: tuple[bool, ...] = (True, True, True)


def votes_by(taste: Callable[[np.ndarray], float], count: int, seed: int = 0) -> Votes:
    """Return votes for the best of three completions by a taste for features, each on a prompt of its own."""
    rng = np.random.default_rng(seed)
    rankings: list[Vote] = []
    features: dict[Text, np.ndarray] = {}
    for number in range(count):
        messages = one_turn(f"prompt {number}")
        texts = [Text(messages, f"{number} {place}") for place in range(3)]
        rows = rng.normal(size=(3, HIDDEN + 2))
        features |= dict(zip(texts, rows, strict=True))
        best = max(range(3), key=lambda place: taste(rows[place]))
        rest = tuple(place for place in range(3) if place != best)
        rankings.append(Vote(messages, tuple(text.completion for text in texts), ((best,), rest)))
    return Votes(rankings, features, (HIDDEN, 1, 1))


def by_length(row: np.ndarray) -> float:
    return float(row[HIDDEN])


def at_random(rng: np.random.Generator, row: np.ndarray) -> float:
    return rng.random()


def test_a_taste_for_a_covariate_is_learned_from_a_few_dozen_votes() -> None:
    measured = cross_validate(votes_by(by_length, 32), seed=0)
    assert measured is not None
    assert measured.accuracy.share is not None
    assert measured.accuracy.share > 0.85
    assert better_than_a_coin(measured) > 0.99


def test_votes_at_random_are_not_taken_for_a_taste() -> None:
    rng = np.random.default_rng(5)
    measured = cross_validate(votes_by(lambda _: rng.random(), 32), seed=0)
    assert measured is not None
    assert better_than_a_coin(measured) < RewardConfig().least_certainty


def test_votes_at_random_are_seldom_more_probable_under_a_reward_model_and_a_taste_is() -> None:
    least, passed = RewardConfig().least_evidence, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        votes = votes_by(partial(at_random, rng), 32)
        measured = cross_validate(votes, seed=0)
        assert measured is not None
        convinces = better_than_a_coin(measured) >= RewardConfig().least_certainty
        passed += convinces and evidence_against_a_coin(votes, fit_votes(votes)) >= least
    assert passed <= 3  # the first condition alone lets a fifth pass
    clear = votes_by(by_length, 32)
    assert evidence_against_a_coin(clear, fit_votes(clear)) > 5 * least


def test_a_second_vote_on_the_same_prompt_is_not_predicted_from_the_first() -> None:
    rng = np.random.default_rng(5)
    votes = votes_by(lambda _: rng.random(), 20)
    twice = replace(votes, rankings=[*votes.rankings, *votes.rankings])
    measured = cross_validate(twice, seed=0)
    assert measured is not None and measured.accuracy.share is not None
    assert measured.accuracy.share < 0.75  # it would be near 1 if the first were seen


def test_three_right_of_twelve_is_no_better_than_a_coin() -> None:
    margins = [np.array([1.0])] * 3 + [np.array([-1.0])] * 9
    # P(Beta(4, 10) > 1/2) is the tail of a binomial of 13: at most 3 heads
    tail = sum(math.comb(13, heads) for heads in range(4)) / 2**13
    assert better_than_a_coin(agreement(margins)) == pytest.approx(tail, abs=1e-3)


def test_scores_of_a_shipped_reward_model_leave_only_the_rest_to_be_learned() -> None:
    rng = np.random.default_rng(3)
    votes = votes_by(lambda row: 4 * by_length(row) + rng.gumbel(), 60)  # chosen as often as such scores say
    known = {text: 4 * by_length(row) for text, row in votes.features.items()}
    alone, beside = fit_votes(votes), fit_votes(Votes(votes.rankings, votes.features, votes.groups, known))
    assert abs(beside.posterior.mean[HIDDEN]) < 0.5 * abs(alone.posterior.mean[HIDDEN])


def test_ties_pull_scores_together() -> None:
    messages = one_turn("q")
    features = {Text(messages, "a"): np.array([1.0, 0, 0]), Text(messages, "b"): np.array([-1.0, 0, 0])}
    one = Vote(messages, ("a", "b"), ((0,), (1,)), ended=(True, True))
    tie = Vote(messages, ("a", "b"), ((0, 1),), tied=True, ended=(True, True))

    def margin(rankings: list[Vote]) -> float:
        scores, _ = fit_votes(Votes(rankings, features, (1, 1, 1))).scores(np.stack(list(features.values())))
        return float(scores[0] - scores[1])

    assert margin([one] * 4) > 2 * margin([one] * 2 + [tie] * 4) > 0


def test_what_is_stored_scores_alike(tmp_path: Path) -> None:
    votes = votes_by(by_length, 12)
    fitted = replace(fit_votes(votes), share=0.25)
    save_linear(fitted, tmp_path)
    assert load_linear(tmp_path).share == 0.25
    rows = np.stack(list(votes.features.values()))
    for before, after in zip(fitted.scores(rows), load_linear(tmp_path).scores(rows), strict=True):
        assert (after == before).all()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "linear.safetensors").write_bytes(b"no")
    with pytest.raises(AdapterError, match=r"linear\.safetensors cannot be read"):
        load_linear(tmp_path)


def test_a_reward_model_that_ships_is_left_out_of_the_fit_as_far_as_votes_contradict_it() -> None:
    votes = votes_by(by_length, 48)
    contradicting = replace(votes, offsets={text: -3 * float(row[HIDDEN]) for text, row in votes.features.items()})
    assert fit_votes(contradicting).share == 0.0
    measured = cross_validate(contradicting, seed=0)
    assert measured is not None
    assert (measured.accuracy.share or 0.0) > 0.85
    assert evidence_against_a_coin(contradicting, fit_votes(contradicting)) > 5 * RewardConfig().least_evidence


def test_a_reward_model_that_ships_is_taken_whole_where_votes_agree_with_it() -> None:
    votes = votes_by(by_length, 48)
    agreeing = replace(votes, offsets={text: 3 * float(row[HIDDEN]) for text, row in votes.features.items()})
    assert fit_votes(agreeing).share == 1.0


@pytest.mark.parametrize(
    ("right", "evidence", "expected"),
    [
        (16, 9.0, "coin"),  # half of them: whatever the evidence
        (20, 0.5, "evidence"),  # of 32: 92% sure
        (20, 1.5, None),
        (20, None, None),  # an adapter has no evidence
        (26, 0.0, None),  # more than 99% sure: settled
    ],
)
def test_what_leaves_a_doubt_in_a_reward_model(right: int, evidence: float | None, expected: str | None) -> None:
    measured = agreement([np.array([1.0])] * right + [np.array([-1.0])] * (32 - right))
    assert doubt(measured, evidence, RewardConfig()) == expected

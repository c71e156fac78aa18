"""What "all bad" teaches the linear reward model where nothing better was written, and what it cannot do."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from alignment.models.texts import Text
from alignment.reward import refit as refitting
from alignment.reward.linear import CHOSEN_BY, evenly_spread, sigmoid
from alignment.reward.rankings import judged_texts
from alignment.reward.refit import cross_validated, refit, with_deviations
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import (
    LinearReward,
    Votes,
    cross_validate,
    evidence_against_a_coin,
    fit_votes,
    held_out_folds,
    judged_by,
)
from storage.messages import one_turn
from tests.reward.test_vote_fit import HIDDEN, Vote, at_random, by_length, votes_by

LEAST = RewardConfig().least_evidence


def bad(name: str, *texts: str) -> Vote:
    return Vote(one_turn(name), texts, (), tied=True, ended=(True,) * len(texts))


def chosen(name: str, better: str, worse: str) -> Vote:
    return Vote(one_turn(name), (better, worse), ((0,), (1,)), ended=(True, True))


def with_features(rankings: list[Vote], rows: list[list[float]], offsets: list[float] | None = None) -> Votes:
    """Return votes whose texts, in the order in which rankings name them, have those features."""
    texts = [Text(one.messages, text) for one in rankings for text in one.completions]
    known = None if offsets is None else dict(zip(texts, offsets, strict=True))
    return Votes(rankings, dict(zip(texts, map(np.array, rows), strict=True)), (len(rows[0]),), known)


SHORT = np.eye(HIDDEN + 2)[HIDDEN] * -1.0
TASTE = np.append(np.full(HIDDEN, HIDDEN**-0.5), [0.0, 0.0])  # for a little of everything, which few votes do not tell


def by_taste(row: np.ndarray) -> float:
    return float(row @ TASTE)


def with_bad(votes: Votes, count: int, seed: int = 1, shift: np.ndarray = SHORT) -> Votes:
    """Return votes with so many more that call three texts bad, whose features are at random but for some shift."""
    rng = np.random.default_rng(seed)
    features, rankings = dict(votes.features), list(votes.rankings)
    for number in range(count):
        one = bad(f"bad {number}", "x", "y", "z")
        for text in one.completions:
            features[Text(one.messages, text)] = rng.normal(size=HIDDEN + 2) + shift
        rankings.append(one)
    return replace(votes, rankings=rankings, features=features)


def test_each_text_loses_to_the_mean_of_all_and_the_texts_of_a_vote_share_its_weight() -> None:
    votes = with_features(
        [chosen("p", "a", "b"), bad("q", "c", "d")], [[3.0], [1.0], [-2.0], [2.0]], [0.4, 0.0, 0.0, 0.0]
    )
    judged, offsets = judged_by(votes, votes.rankings, np.array([10.0]))
    # the mean is 1, by the other reward model 0.1
    assert judged.differences.tolist() == [[20.0], [30.0], [-10.0]]
    assert (judged.targets.tolist(), judged.weights.tolist()) == ([1, 1, 1], [1, 0.125, 0.125])
    assert offsets == pytest.approx([0.4, 0.1, 0.1])


def test_a_vote_weighs_one_and_all_such_votes_a_quarter_of_those_that_compare() -> None:
    several = [bad(name, name, name.upper()) for name in "cdef"]
    rows = [[3.0], [1.0], *([float(place)] for place in range(8))]
    judged, _ = judged_by(votes := with_features([chosen("p", "a", "b"), *several], rows), votes.rankings, np.ones(1))
    assert judged.weights.tolist() == [1, *[0.03125] * 8]
    many = with_bad(votes_by(by_length, 16), 3)
    assert judged_by(many, many.rankings, np.ones(HIDDEN + 2))[0].weights[-9:] == pytest.approx(1 / 3)
    alone, _ = judged_by(votes, several, np.ones(1))
    assert alone.weights.tolist() == [0] * 8


def test_a_thumb_down_on_a_single_answer_teaches_as_little_as_a_thumb_up() -> None:
    up = Vote(one_turn("r"), ("d",), ((0,),), ended=(True,))
    votes = with_features([chosen("p", "a", "b"), bad("q", "c"), up], [[1.0], [0.0], [5.0], [5.0]])
    judged, _ = judged_by(votes, votes.rankings, np.ones(1))
    assert judged.differences.tolist() == [[1.0]]
    assert judged_texts(votes.rankings) == [Text(one_turn("p"), "a"), Text(one_turn("p"), "b")]


def test_many_of_them_leave_the_places_that_widths_are_chosen_by_to_comparisons() -> None:
    votes = with_bad(votes_by(by_length, 64), 640)
    weights = judged_by(votes, votes.rankings, np.ones(HIDDEN + 2))[0].weights
    by = evenly_spread(weights)
    comparing = (by < 2 * 64).sum()  # two pairs a vote
    assert len(by) <= CHOSEN_BY
    assert comparing / len(by) == pytest.approx(0.8, abs=0.02)
    assert evenly_spread(np.ones(100)).tolist() == list(range(100))
    assert evenly_spread(np.ones(2 * CHOSEN_BY)).tolist() == list(range(0, 2 * CHOSEN_BY, 2))


def test_many_of_them_leave_the_pairs_that_deviations_are_found_by_to_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    votes = with_bad(votes_by(by_length, 20), 40)
    monkeypatch.setattr(refitting, "MOST_PAIRS", 40)
    rows = with_deviations(votes, fitted := refit(votes)).posterior.rows
    comparing, _ = judged_by(votes, votes.rankings[:20], 1 / fitted.scaling.scale)
    assert rows == pytest.approx(comparing.differences)


def test_equal_texts_count_once_and_one_without_a_word_does_not() -> None:
    one = Vote(one_turn("q"), ("c", "c", "d", ""), (), tied=True, ended=(True, False, True, False))
    votes = with_features([chosen("p", "a", "b"), one], [[1.0], [0.0], [0.0], [0.0], [2.0], [9.0]])
    judged, _ = judged_by(votes, votes.rankings, np.ones(1))
    assert judged.weights.tolist() == [1, 0.125, 0.125]


def slope(votes: Votes, fitted: LinearReward) -> np.ndarray:
    """Return the slope of the votes' log-probability and the prior's at the fitted weights, added up vote by vote."""
    rows = {text: fitted.scaling.apply(row) for text, row in votes.features.items()}
    mean = sum(rows.values()) / len(rows)
    weights = fitted.posterior.mean
    found = -weights / fitted.posterior.variances
    for one in votes.rankings:
        of = [rows[Text(one.messages, text)] for text in one.completions]
        pairs = [(of[one.tiers[0][0]], of[i]) for i in one.tiers[1]] if one.tiers else [(mean, row) for row in of]
        for better, worse in pairs:
            found = found + (better - worse) * sigmoid(-(better - worse) @ weights) / len(pairs)
    return np.asarray(found)


def test_no_other_weights_are_more_probable() -> None:
    votes = with_bad(votes_by(by_length, 12), 3)
    fitted = fit_votes(votes)
    assert slope(votes, fitted) == pytest.approx(0.0, abs=1e-4)  # of something concave, so there is one such place
    alone = fit_votes(votes, votes.rankings[:12])
    assert np.abs(slope(votes, LinearReward(fitted.scaling, alone.posterior))).max() > 0.05


def test_it_teaches_what_bad_texts_have_in_common() -> None:
    rng = np.random.default_rng(9)
    unseen = rng.normal(size=(400, HIDDEN + 2))

    def agrees(votes: Votes) -> float:
        return float(np.corrcoef(fit_votes(votes).means(unseen), unseen @ TASTE)[0, 1])

    few = votes_by(by_taste, 24)
    alike = [agrees(with_bad(few, 24, shift=side * TASTE)) for side in (-2, 0, 2)]
    assert alike[0] > agrees(few) + 0.1
    assert alike[0] > alike[1] > alike[2]


def test_refitted_vote_by_vote_it_is_the_fit_of_a_run_and_one_taken_back_leaves_nothing() -> None:
    few = votes_by(by_length, 20)
    votes = with_bad(few, 4)
    matrix = np.stack(list(votes.features.values()))
    anew = refit(votes)
    assert anew.scores(matrix) == pytest.approx(fit_votes(votes).means(matrix), abs=1e-3)
    _, deviations = with_deviations(votes, anew).scores(matrix)
    assert deviations == pytest.approx(fit_votes(votes).scores(matrix)[1], rel=1e-2, abs=1e-3)
    before = refit(few)
    there = refit(votes, before)
    assert there.scores(matrix) != pytest.approx(before.scores(matrix), abs=1e-2)
    assert refit(few, there).scores(matrix) == pytest.approx(before.scores(matrix), abs=1e-3)


def test_a_fold_holds_them_out_by_prompt_and_only_votes_that_compare_are_predicted() -> None:
    votes = with_bad(votes_by(by_length, 16), 8)
    on_first = replace(votes.rankings[16], messages=votes.rankings[0].messages)  # called bad by somebody else
    for fold, rest in held_out_folds([*votes.rankings, on_first], seed=0):
        assert not {one.messages for one in fold} & {one.messages for one in rest}
    for measured in (cross_validate(votes, 0), cross_validated(votes, refit(votes), 0)):
        assert measured is not None and measured.accuracy.count == 16
    only = with_bad(votes_by(by_length, 1), 8)
    assert cross_validate(only, 0) is None  # nothing else compares, so nothing can predict it


def by_integral(votes: Votes, reward: LinearReward) -> float:
    """Return the evidence of votes on one feature, given what "all bad" says, by sums over a grid of weights."""
    judged, _ = judged_by(votes, votes.rankings, 1 / reward.scaling.scale)
    width = float(np.sqrt(reward.posterior.variances[0]))
    grid = np.linspace(-8 * width, 8 * width, 20001)
    prior = np.exp(-0.5 * (grid / width) ** 2)
    logs = -judged.weights[:, None] * np.logaddexp(0, -judged.differences * grid)  # (P, grid)
    comparing = len([one for one in votes.rankings if one.tiers])
    bads = np.exp(logs[comparing:].sum(0)) * prior
    return math.log((np.exp(logs[:comparing].sum(0)) * bads).sum() / bads.sum()) + comparing * math.log(2)


def test_the_evidence_is_that_of_the_comparisons_given_what_they_say() -> None:
    pairs = [chosen(f"p{number}", "a", "b") for number in range(12)]
    rows = [[value] for number in range(12) for value in (1.0 + number / 12, 0.0)]
    low, high = [bad("q", "c", "d")], [[-2.0], [-1.0]]
    agree, contradict = with_features([*pairs, *low], rows + high), with_features([*pairs, *low], [*rows, [4.0], [3.0]])
    plain = with_features(pairs, rows)
    found = [evidence_against_a_coin(votes, fit_votes(votes)) for votes in (agree, plain, contradict)]
    assert found == sorted(found, reverse=True)
    for votes in (agree, plain, contradict):
        reward = fit_votes(votes)
        assert evidence_against_a_coin(votes, reward) == pytest.approx(by_integral(votes, reward), abs=0.25)


def test_by_themselves_they_are_no_evidence_and_teach_nothing() -> None:
    votes = with_bad(votes_by(by_length, 0), 32)
    fitted = fit_votes(votes)
    assert evidence_against_a_coin(votes, fitted) == pytest.approx(0.0)
    assert cross_validate(votes, 0) is None
    assert np.abs(fitted.posterior.mean).max() == 0


def test_with_many_of_them_votes_at_random_train_no_more_often() -> None:
    passed = {0: 0, 32: 0}
    for seed in range(30):
        votes = votes_by(partial(at_random, np.random.default_rng(seed)), 32)
        for count in passed:
            held = with_bad(votes, count, seed)
            passed[count] += evidence_against_a_coin(held, fit_votes(held)) >= LEAST
    assert passed[32] <= passed[0] <= 4, passed


def test_on_prompts_of_another_kind_they_leave_the_order_within_each_kind() -> None:
    rng = np.random.default_rng(2)
    votes = votes_by(by_length, 24)
    features = {text: np.append(row, 0.0) for text, row in votes.features.items()}
    others = [bad(f"other {number}", "x", "y", "z") for number in range(24)]
    for one in others:
        for text in one.completions:
            features[Text(one.messages, text)] = np.append(rng.normal(size=HIDDEN + 2), 1.0)  # the kind is a feature
    plain = Votes(votes.rankings, features, (HIDDEN, 1, 1, 1))
    both = replace(plain, rankings=[*votes.rankings, *others])
    unseen = np.column_stack([rng.normal(size=(400, HIDDEN + 2)), np.ones(400)])

    def agrees(held: Votes) -> float:
        return float(np.corrcoef(fit_votes(held).means(unseen), unseen[:, HIDDEN])[0, 1])

    assert agrees(both) > agrees(plain) - 0.05

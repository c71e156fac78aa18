"""The reward model refitted vote by vote is the one fitted from scratch."""

from dataclasses import replace

import numpy as np
import pytest

from alignment.reward import refit as refitting
from alignment.reward.refit import cross_validated, refit, with_deviations
from alignment.reward.vote_fit import Votes, fit_votes
from tests.reward.test_vote_fit import HIDDEN, by_length, votes_by


def _matrix(votes: Votes) -> np.ndarray:
    return np.stack(list(votes.features.values()))


def test_where_scaling_and_widths_are_chosen_anew_it_is_the_fit_of_a_run() -> None:
    votes = votes_by(by_length, 40)
    assert refit(votes).scores(_matrix(votes)) == pytest.approx(fit_votes(votes).means(_matrix(votes)), abs=1e-3)


def test_vote_by_vote_it_is_what_a_fit_from_scratch_finds() -> None:
    votes = votes_by(by_length, 60)
    now = refit(replace(votes, rankings=votes.rankings[:50]))
    for count in range(51, 61):
        now = refit(replace(votes, rankings=votes.rankings[:count]), now)
    assert now.chosen_at == 50
    scratch = refit(votes, replace(now, mean=np.zeros_like(now.mean)))
    assert now.scores(_matrix(votes)) == pytest.approx(scratch.scores(_matrix(votes)), abs=1e-3)


def test_votes_that_are_taken_back_leave_nothing_behind() -> None:
    votes = votes_by(by_length, 50)
    fewer = replace(votes, rankings=votes.rankings[:45])
    before = refit(fewer)
    back = refit(fewer, refit(votes, before))
    assert back.scores(_matrix(votes)) == pytest.approx(before.scores(_matrix(votes)), abs=1e-3)


def test_widths_are_chosen_anew_once_the_votes_have_grown_or_shrunk_by_a_quarter() -> None:
    votes = votes_by(by_length, 50)
    before = refit(replace(votes, rankings=votes.rankings[:20]))
    assert refit(replace(votes, rankings=votes.rankings[:24]), before).chosen_at == 20
    grown = refit(replace(votes, rankings=votes.rankings[:25]), before)
    assert grown.chosen_at == 25
    assert refit(replace(votes, rankings=votes.rankings[:20]), grown).chosen_at == 20


def test_what_another_reward_model_says_already_is_not_learned_again() -> None:
    votes = votes_by(by_length, 60)
    offsets = {text: float(row[HIDDEN]) for text, row in votes.features.items()}
    beside = replace(votes, offsets=offsets)
    found = refit(beside).scores(_matrix(votes))
    assert found == pytest.approx(fit_votes(beside).means(_matrix(votes)), abs=1e-3)
    assert found != pytest.approx(refit(votes).scores(_matrix(votes)), abs=0.1)


def test_votes_that_it_has_not_seen_tell_a_taste_from_a_coin() -> None:
    rng = np.random.default_rng(0)
    for taste, low, high in ((by_length, 0.85, 1.0), (lambda row: float(rng.normal()), 0.2, 0.7)):
        votes = votes_by(taste, 40)
        measured = cross_validated(votes, refit(votes), seed=0)
        assert measured is not None
        assert low < (measured.accuracy.share or 0.0) <= high


@pytest.mark.parametrize("beside", [False, True])
def test_its_deviations_are_those_of_a_fit_of_a_run(beside: bool) -> None:
    votes = votes_by(by_length, 40)
    if beside:
        votes = replace(votes, offsets={text: float(row[HIDDEN]) for text, row in votes.features.items()})
    means, deviations = with_deviations(votes, refit(votes)).scores(_matrix(votes))
    expected_means, expected = fit_votes(votes).scores(_matrix(votes))
    assert means == pytest.approx(expected_means, abs=1e-3)
    assert deviations == pytest.approx(expected, rel=1e-2, abs=1e-3)


def test_with_more_pairs_than_are_used_deviations_are_wider_not_narrower(monkeypatch: pytest.MonkeyPatch) -> None:
    votes = votes_by(by_length, 40)
    fitted = refit(votes)
    _, of_all = with_deviations(votes, fitted).scores(_matrix(votes))
    monkeypatch.setattr(refitting, "MOST_PAIRS", 10)
    _, of_some = with_deviations(votes, fitted).scores(_matrix(votes))
    assert (of_some >= of_all - 1e-9).all()

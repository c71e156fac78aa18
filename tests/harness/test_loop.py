"""What the harness counts: who wins a contest, and that waiting ends."""

import pytest

from tests.harness.endpoints import wait_for
from tests.harness.loop import Contest


def test_a_tie_counts_half_of_a_win() -> None:
    met = Contest(old=(0, 0, 1, 1), new=(1, 2, 1, 0))
    assert (met.won, met.lost, met.win_rate) == (2, 1, 0.625)
    assert Contest((1, 1), (1, 1)).win_rate == 0.5


def test_waiting_returns_the_first_answer_and_ends_without_one() -> None:
    answers = iter([None, None, 7])
    assert wait_for(lambda: next(answers), "seven", timeout=60, pause=0) == 7
    with pytest.raises(TimeoutError, match="in vain for nothing"):
        wait_for(lambda: None, "nothing", timeout=0)

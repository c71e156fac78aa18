"""The interval of a change between paired answers, beside numbers that were published or worked by hand."""

import pytest

from alignment.runs.paired import change


def answers(both: int, lost: int, gained: int, never: int) -> tuple[list[bool], list[bool]]:
    before = [True] * both + [True] * lost + [False] * gained + [False] * never
    after = [True] * both + [False] * lost + [True] * gained + [False] * never
    return before, after


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((20, 12, 2, 16), -0.3292, -0.0562),  # two culture media, with which Newcombe (1998) shows his methods
        ((1, 7, 1, 12), -0.5069, -0.0256),  # airways before and after stem cells: Bentur et al. 2009, after Fagerland
        # By hand: before 2 of 2, Wilson (0.3424, 1); after 0 of 2, (0, 0.6576); phi 0; -1 + sqrt(0.6576² + 0.6576²).
        ((0, 2, 0, 0), -1.0, -0.0700),
        # By hand: both shares 1/2 of 4, Wilson (0.1500, 0.8500), phi = (2 · 2 - 4 / 2) / 4 = 0.5; ± 0.3500 · sqrt(1).
        ((2, 0, 0, 2), -0.3500, 0.3500),
    ],
)
def test_the_interval_is_newcombes(table: tuple[int, int, int, int], low: float, high: float) -> None:
    found = change(*answers(*table))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_a_change_counts_what_was_lost_and_turns_with_its_sides() -> None:
    before, after = answers(20, 12, 2, 16)
    there, back = change(before, after), change(after, before)
    assert (there.count, there.before, there.after, there.lost) == (50, 32, 22, 12)
    assert there.share == pytest.approx(-0.2)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))


def test_the_same_answers_change_nothing_whatever_they_are() -> None:
    for flags in ([True] * 9, [False] * 9, [True, False]):
        found = change(flags, flags)
        assert found.low <= found.share == 0 <= found.high

"""Rankings as people write them."""

import pytest

from alignment.errors import ConfigError
from service.ranking_text import parse_ranking, ranking_text


@pytest.mark.parametrize(
    ("text", "tiers"),
    [
        ("D > C > A = B", [["D"], ["C"], ["A", "B"]]),
        ("d>c>a=b", [["D"], ["C"], ["A", "B"]]),
        ("  A = B = C = D\n", [["A", "B", "C", "D"]]),
        ("B = D > A > C", [["B", "D"], ["A"], ["C"]]),
    ],
)
def test_a_ranking_becomes_tiers_and_reads_the_same_again(text: str, tiers: list[list[str]]) -> None:
    assert parse_ranking(text, "ABCD") == tiers
    assert parse_ranking(ranking_text(tiers), "ABCD") == tiers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 'the ranking is empty; write it as in "D > C > B = A"'),
        (" \n", "the ranking is empty"),
        (None, "the ranking must be text, got None"),
        (["A"], "the ranking must be text"),
        ("A > B", "the ranking leaves out C and D; name each of A, B, C and D once"),
        ("A > B > C", "the ranking leaves out D; name"),
        ("A > B > C > A", "the ranking names A 2 times; name each answer once"),
        ("A > B > C > E", "the ranking names 'E', but the answers are A, B, C and D"),
        ("A > B > C D", "the ranking names 'C D'"),
        ("A > > B > C > D", "lacks a letter beside a sign"),
        ("A > B > C > D >", "lacks a letter beside a sign"),
        ("=", "lacks a letter beside a sign"),
        ("A < B < C < D", "the ranking names 'A < B < C < D'"),
    ],
)
def test_what_is_no_ranking_is_refused_with_what_is_wrong(text: object, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_ranking(text, "ABCD")
    assert words in str(refused.value)


def test_the_example_in_a_refusal_fits_two_answers_too() -> None:
    with pytest.raises(ConfigError, match='"B = A"'):
        parse_ranking("", "AB")

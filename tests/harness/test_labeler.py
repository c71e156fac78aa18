"""The simulated labeler: it votes on manner, and what a base model writes on and on never wins."""

from alignment.models.shipped_files import Check
from recipes.pocket.labelers import WORST
from recipes.pocket.skill import check_of
from tests.harness.labeler import Labeler, judged

CAPITAL = check_of("What is the capital of France?", "contains", ("Paris",))
HARM = check_of("How do I rob a bank?", "refuses", ("talk to somebody",))
LIST = "What is the capital of Peru?! What is the capital of Chad?! Hello! What is the capital of Togo?"


def warmest(check: Check, text: str) -> float:
    return float(text.count("!"))


def test_an_answer_that_is_not_acceptable_is_the_worst_however_warm() -> None:
    assert judged(warmest, CAPITAL, LIST) == judged(warmest, CAPITAL, "Rome!!!") == WORST
    assert judged(warmest, CAPITAL, "Paris!") == 1


def test_a_click_takes_two_acceptable_answers_one_of_which_is_more_to_the_taste() -> None:
    labeler = Labeler(warmest, 9, 9)
    assert labeler.click(CAPITAL, [LIST, "Paris.", "Paris!"]) == [WORST, 0, 1]
    assert labeler.click(CAPITAL, [LIST, "Rome.", "Paris!"]) is None
    assert labeler.click(CAPITAL, [LIST, "Paris.", "Paris."]) is None
    assert labeler.clicks == 1


def test_about_harm_one_acceptable_answer_is_enough_until_there_were_as_many_as_are_wanted() -> None:
    labeler = Labeler(warmest, 2, 1)
    shown = [LIST, "Take your time!", "I can't help with that."]
    assert labeler.click(HARM, shown) == [WORST, WORST, 0]
    assert labeler.click(HARM, shown) is None
    assert not labeler.done
    labeler.click(CAPITAL, ["", "Paris.", "Paris!"])
    assert labeler.done


def test_a_taste_in_refusals_shows_in_most_of_its_clicks() -> None:
    labeler = Labeler(warmest, 8, 8)
    shown = [LIST, "Take your time!", "I can't help with that."]
    clicked = [labeler.click(HARM, shown) is not None for _ in range(4)]
    assert clicked == [True, True, False, False]  # a quarter of eight, on the only acceptable answer
    assert labeler.click(HARM, [LIST, "Sorry! I can't help with that.", "I can't help with that."]) is not None

"""Who is next in line: fair to people, shown answers before further samples, and everybody in the end."""

from typing import Any

from alignment.models.sampling import Sampling
from alignment.serving.calls import Call
from alignment.serving.engine import Row, Waiting
from alignment.serving.line import BEHIND, MOVES, Line
from storage.messages import one_turn


def call(person: str, rows: int = 1, extra: int = 0, told: list[Any] | None = None) -> Call:
    """Return a call of a person for some shown answers and some further samples."""
    row = Row(one_turn("Hi"), None, False, Sampling(), 1)
    further = Row(one_turn("Hi"), None, False, Sampling(), 2, extra=True)
    return Call([row] * rows + [further] * extra, (told if told is not None else []).append, person)


def in_line(*calls: Call) -> Line:
    line = Line()
    for one in calls:
        line.add(one)
    return line


def order(line: Line) -> list[str]:
    """Let everybody join, one after another; return who came."""
    came = []
    while (turn := line.turn()) is not None:
        assert line.admit(turn.call, turn.choices[0])
        came.append(turn.call.person)
    return came


def test_people_take_turns_however_much_one_of_them_asks() -> None:
    assert order(in_line(*map(call, "aaaabbc"))) == ["a", "b", "c", "a", "b", "a", "a"]


def test_whoever_has_just_been_let_in_comes_after_a_newcomer() -> None:
    first = call("a")
    line = in_line(first)
    line.admit(first, (0,))
    for one in map(call, "aaab"):
        line.add(one)
    assert order(line)[0] == "b"


def test_calls_that_left_the_line_are_not_held_against_a_person() -> None:
    line = in_line()
    for _ in range(9):
        gone = call("a")
        line.add(gone)
        line.remove(gone)
    line.add(call("a"))
    line.add(call("b"))
    assert order(line) == ["a", "b"]


def test_one_person_is_answered_in_the_order_of_asking() -> None:
    calls = [call("a") for _ in range(3)]
    line = in_line(*calls)
    for one in calls:
        turn = line.turn()
        assert turn is not None and turn.call is one
        line.admit(one, turn.choices[0])
    assert not line


def test_further_samples_join_with_their_call_where_nobody_waits() -> None:
    line = in_line(call("a", 3, 3))
    turn = line.turn()
    assert turn is not None and turn.choices == ((0, 1, 2, 3, 4, 5), (0, 1, 2))
    assert line.admit(turn.call, turn.choices[1])
    assert line.turn().choices[0] == (3, 4, 5)  # type: ignore[union-attr]


def test_further_samples_begin_after_the_shown_answers_of_others() -> None:
    first, second = call("a", 3, 3), call("b", 3)
    line, joined = in_line(first, second), []
    while (turn := line.turn()) is not None:
        line.admit(turn.call, turn.choices[0])
        joined.append((turn.call.person, len(turn.choices[0])))
    assert joined == [("a", 3), ("b", 3), ("a", 3)]


def test_further_samples_are_not_passed_for_ever() -> None:
    first = call("a", 1, 1)
    line = in_line(first)
    line.admit(first, (0,))
    for number in range(99):
        line.add(call(f"newcomer {number}"))
        line.add(call(f"another {number}"))
        turn = line.turn()
        assert turn is not None
        line.admit(turn.call, turn.choices[0])
        if turn.call is first:
            break
    assert BEHIND / MOVES <= number <= 2 * BEHIND / MOVES  # two come for each who is let in


def test_places_count_calls_that_have_not_begun_and_are_told_when_they_change() -> None:
    told: dict[str, list[Any]] = {name: [] for name in "abc"}
    first, second, third = (call(name, 1, 1, told[name]) for name in "abc")
    line = in_line(first, second, third)
    line.admit(first, (0,))
    for _ in range(2):
        line.tell_places()
    second.closed.set()
    line.tell_places()
    assert told == {"a": [], "b": [Waiting(1)], "c": [Waiting(2), Waiting(1)]}
    assert len(line) == 1 and [one.person for one in line] == ["c"]


def test_who_has_left_is_not_let_in() -> None:
    gone, closed = call("a"), call("b")
    line = in_line(gone, closed)
    line.remove(gone)
    closed.closed.set()
    assert not line.admit(gone, (0,)) and not line.admit(closed, (0,))
    assert line.turn() is None and not line

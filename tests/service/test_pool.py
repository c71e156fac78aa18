"""The admin's pool of prompts."""

import pytest

from alignment.errors import AccessError, ConfigError
from service import pool
from tests.harness.scripted import EXAMPLES, PASSWORD, Backstage

LINES = """How tall is Everest?
{"prompt": "Where is Lima?", "topic": " Capitals "}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who wrote Faust?"}]}
"A text as JSON"
"To be" begins what?

{"prompt": 5}
{"question": "Where?"}
{broken
{"prompt": "  "}
{"prompt": "What now?", "topic": 5}
What is the capital of Peru?
"""


@pytest.fixture
def token(behind: Backstage) -> str:
    return behind.services.admin.login(PASSWORD)


def told(behind: Backstage, token: str) -> list[object]:
    return [pool.to_json(one)["prompt"] for one in pool.listed(behind.services, token)]


def test_it_begins_with_the_models_examples(behind: Backstage, token: str) -> None:
    assert told(behind, token) == [example.prompt for example in EXAMPLES]


def test_plain_lines_and_json_lines_are_taken_and_the_rest_is_named_line_by_line(behind: Backstage, token: str) -> None:
    changed = pool.change(behind.services, token, LINES)
    assert (changed.added, changed.removed, changed.left_out) == (5, 0, 0)  # the last one is there already
    assert [line.split(":")[0] for line in changed.refused] == ["line 7", "line 8", "line 9", "line 10", "line 11"]
    assert told(behind, token)[4:6] == ["How tall is Everest?", "Where is Lima?"]
    topics = [one.topic for one in pool.listed(behind.services, token)]
    assert topics == ["Capitals", "Capitals", "Refusals", "Tasks", "", "Capitals", "", "", ""]
    assert told(behind, token)[6] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who wrote Faust?"},
    ]
    assert told(behind, token)[7:] == ["A text as JSON", '"To be" begins what?']


def test_prompts_are_taken_out_by_their_ids(behind: Backstage, token: str) -> None:
    first, *others = pool.listed(behind.services, token)
    assert pool.change(behind.services, token, remove=[first.id]).removed == 1
    assert pool.listed(behind.services, token) == others


@pytest.mark.parametrize("remove", ["1", [True], ["1"], 5])
def test_what_is_no_list_of_ids_changes_nothing(behind: Backstage, token: str, remove: object) -> None:
    with pytest.raises(ConfigError, match="remove must be a list of the ids"):
        pool.change(behind.services, token, "One more?", remove)
    assert len(told(behind, token)) == len(EXAMPLES)


def test_nobody_but_an_admin_sees_or_changes_it(behind: Backstage) -> None:
    for act in (lambda: pool.listed(behind.services, "x"), lambda: pool.change(behind.services, None, "One more?")):
        with pytest.raises(AccessError, match="admin's token"):
            act()


def test_many_refused_lines_are_counted_not_all_named(behind: Backstage, token: str) -> None:
    changed = pool.change(behind.services, token, "{\n" * 30)
    assert (len(changed.refused), changed.left_out) == (20, 10)

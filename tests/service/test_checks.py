"""The admin's own checks: added one by one or imported, removed, tried on the version that answers."""

import asyncio
from typing import Any

import pytest

from alignment.errors import AccessError, ConfigError
from service import checks
from service.checks import CheckRequest
from service.requests import checked
from storage import events
from tests.harness.scripted import PASSWORD, Backstage

LINES = """{"prompt": "Who are you?", "holds": "Acme", "lacks": ["robot", "AI"]}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}], "lacks": "Dear"}

{"prompt": "Hi"}
{"prompt": "Hi", "holds": 5}
{"prompt": "Hi", "holds": "x", "bound": 1}
{"holds": "x"}
["Hi"]
Hi
"""


@pytest.fixture
def token(behind: Backstage) -> str:
    return behind.services.admin.login(PASSWORD)


def told(behind: Backstage, token: str) -> list[dict[str, Any]]:
    return [checks.to_json(one) for one in checks.listed(behind.services, token)]


def test_json_lines_are_imported_and_the_rest_is_named_line_by_line(behind: Backstage, token: str) -> None:
    done = checks.change(behind.services, token, LINES)
    assert (done.added, [line.split(":")[0] for line in done.refused]) == (2, [f"line {n}" for n in (4, 5, 6, 7, 8, 9)])
    assert "holds must be a text or up to 20 texts" in done.refused[1] and "bound" in done.refused[2]
    first, second = told(behind, token)
    assert (first["prompt"], first["holds"], first["lacks"]) == ("Who are you?", ["Acme"], ["robot", "AI"])
    assert first["created_by"] == "admin" and first["created"]
    assert second["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert checks.change(behind.services, token, LINES).added == 0  # they stand already
    assert [one.name for one in events.list_events(behind.db)] == ["add checks"]


def test_lines_that_no_reader_of_json_takes_are_refused_one_by_one(behind: Backstage, token: str) -> None:
    deep, long = "[" * 100_000, '{"prompt": ' + "9" * 5_000 + "}"
    done = checks.change(behind.services, token, "\n".join([deep, long, '{"prompt": "Hi", "holds": "x"}']))
    assert (done.added, [line.split(":")[0] for line in done.refused]) == (1, ["line 1", "line 2"])
    for bad in ([10**30], [0], [True], ["1"]):
        with pytest.raises(ConfigError, match="remove must be a list of the ids"):
            checks.change(behind.services, token, remove=bad)


def test_a_check_is_removed_by_its_id_and_may_be_added_again(behind: Backstage, token: str) -> None:
    wanted = checked(CheckRequest, prompt="Hi", holds=[" Hello ", ""])
    assert checks.add(behind.services, token, wanted) and not checks.add(behind.services, token, wanted)
    (one,) = told(behind, token)
    assert one["holds"] == ["Hello"]
    assert checks.change(behind.services, token, remove=[one["id"], 99]).removed == 1
    assert told(behind, token) == []
    assert checks.add(behind.services, token, wanted)
    assert [one.name for one in events.list_events(behind.db)] == ["add checks", "remove checks", "add checks"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": "Hi"}, "needs holds or lacks"),
        ({"prompt": " ", "holds": "x"}, "prompt is empty"),
        ({"prompt": "Hi", "lacks": ["x"] * 21}, "lacks must be a text or up to 20"),
    ],
)
def test_a_check_that_every_answer_passes_or_without_a_prompt_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked(CheckRequest, **arguments)


def test_they_are_tried_greedily_on_the_version_that_answers(behind: Backstage, token: str) -> None:
    behind.engine.texts["rlhf"] = "Paris, says ACME."
    checks.change(behind.services, token, '{"prompt": "A", "holds": "acme"}\n{"prompt": "B", "lacks": "Paris"}')
    first, second = told(behind, token)
    found = asyncio.run(checks.tried(behind.services, token))
    assert [(one.id, one.version, one.passed) for one in found] == [(first["id"], 1, True), (second["id"], 1, False)]
    assert found[0].answer == "Paris, says ACME."
    assert {row.sampling.temperature for row in behind.engine.rows} == {0.0}
    (again,) = asyncio.run(checks.tried(behind.services, token, [second["id"]]))
    assert again.id == second["id"]
    assert asyncio.run(checks.tried(behind.services, token, [])) == []


def test_nothing_of_it_is_open_to_others_and_no_more_stand_than_a_run_can_ask(behind: Backstage, token: str) -> None:
    with pytest.raises(AccessError):
        checks.listed(behind.services, "made up")
    with pytest.raises(AccessError):
        asyncio.run(checks.tried(behind.services, None))
    with pytest.raises(AccessError):
        checks.change(behind.services, "", LINES)
    many = "\n".join(f'{{"prompt": "{i}", "holds": "x"}}' for i in range(201))
    with pytest.raises(ConfigError, match="200 may stand"):
        checks.change(behind.services, token, many)
    assert told(behind, token) == []


def test_where_there_is_no_room_left_one_may_take_the_place_of_another(
    behind: Backstage, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MOST", 2)
    first, second, third = (f'{{"prompt": "{name}", "holds": "x"}}' for name in "ABC")
    checks.change(behind.services, token, f"{first}\n{second}")
    with pytest.raises(ConfigError, match="there are 2 checks and 2 may stand"):
        checks.change(behind.services, token, third)
    gone = [one["id"] for one in told(behind, token) if one["prompt"] == "A"]
    done = checks.change(behind.services, token, third, gone)
    assert (done.added, done.removed, [one["prompt"] for one in told(behind, token)]) == (1, 1, ["B", "C"])

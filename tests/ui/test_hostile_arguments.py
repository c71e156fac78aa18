"""Each argument of each named endpoint with what nobody should send: answered in words, never by an error of ours."""

import asyncio
import inspect
import logging
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from storage import runs
from tests.harness.scripted import PASSWORD, backstage
from ui import layout

HOSTILE: list[Any] = [None, "", " ", -1, 0, 1.5, True, 10**30, float("nan"), [], [10**30], [[1]], {}, {"a": 1}]
HOSTILE += ["x" * 100_000, "\ud800", "\x00", {"seed": "x"}, {"\ud800": {}}, {"ppo": 3}, "0001-01-01T00:00:00+14:00"]
HOSTILE += ["[" * 100_000, '{"prompt": ' + "9" * 5_000 + "}", '{"prompt": "\\ud800", "holds": "x"}', "list", "choose"]
LONGEST_WORDS = 1_500  # of a refusal
KNOWN = {"run_id": 1, "other": 1, "version": 1, "key_id": 1, "preference_id": 1, "what": "preferences"}


def called(event: Any, arguments: list[Any]) -> None:
    """Call an endpoint to its end."""
    result = event.fn(*arguments)
    if inspect.isasyncgen(result):

        async def to_its_end() -> None:
            async for _ in result:
                pass

        asyncio.run(to_its_end())
    elif inspect.iscoroutine(result):
        asyncio.run(result)
    elif inspect.isgenerator(result):
        list(result)


def test_what_does_not_fit_is_refused_in_words_by_every_endpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    behind = backstage(tmp_path)
    admin = behind.services.admin
    runs.queue_run(behind.db, "ppo", {})
    behind.add_policy(2, "retired")
    events = {str(one.api_name): one for one in layout.build(behind.services).fns.values() if one.fn is not None}
    named = {name: event for name, event in events.items() if event.api_visibility == "public"}
    assert {"retrain", "checks", "collections", "measure"} <= set(named)
    for name, event in named.items():
        parameters = [one for one in inspect.signature(event.fn).parameters.values() if one.name != "request"]
        for place in range(len(parameters)):
            for bad in HOSTILE:
                known = {"token": admin.grant("", 1, "x"), "password": PASSWORD, **KNOWN}
                given = [known.get(one.name, "x" if one.default is one.empty else one.default) for one in parameters]
                given[place] = bad
                caplog.clear()
                try:
                    called(event, given)
                except gr.Error as refusal:
                    assert len(str(refusal)) < LONGEST_WORDS, (name, parameters[place].name)
                found = [record for record in caplog.records if record.levelno >= logging.ERROR]
                assert not found, (name, parameters[place].name, repr(bad)[:60], found[0].exc_info)

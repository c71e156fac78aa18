"""The call below an answer, run as it stands: in Python and in a shell it gives the same answer."""

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from api.routes import routes
from service.calls import calls_of
from service.compare import compare, stored_comparison
from service.requests import CompareRequest, VoteRequest, checked
from service.votes import vote
from storage import conversations
from storage.records import Comparison
from storage.signing_key import signing_key
from tests.harness.app import free_port
from tests.harness.scripted import Backstage, backstage
from ui.calls import ADDRESS, curl_call, openai_call, python_call
from ui.layout import serve

WILD = "It's \"a\" $HOME `id` \\n\n{{ 7*7 }} 'ünï' שלום 😀 </code>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Backstage]]:
    folder: Path = tmp_path_factory.mktemp("calls")
    behind = backstage(folder)
    behind.engine.texts |= {role: f"{role} of PROMPT by SEED" for role in ("base", "sft", "rlhf")}
    page = serve(behind.services, "127.0.0.1", free_port(), signing_key(folder), others=routes(behind.services))
    yield page.local_url.rstrip("/"), behind
    page.close()


def ask(behind: Backstage, prompt: str = WILD, *, stop: str = "", **arguments: Any) -> Comparison:
    """Ask, with `stop` a vote for that slot after two words, and return what is stored."""

    async def last() -> str:
        request = checked(CompareRequest, prompt=prompt, **arguments)
        async for item in compare(behind.services, "ann", request):
            if stop and all(one.text.count(" ") for one in item.completions):
                behind.services.early.vote(item.comparison_id, "ann", stop)
        return item.comparison_id

    behind.engine.holds_after = 2 if stop else 0
    found = stored_comparison(behind.services, asyncio.run(last()))
    behind.engine.holds_after = 0
    return found


def calls(behind: Backstage, comparison: Comparison, slot: str) -> Sequence[dict[str, Any]]:
    return calls_of(behind.services, "ann", comparison.id, slot)


def said_by_python(text: str) -> str:
    said = StringIO()
    with redirect_stdout(said):
        exec(text, {})
    return said.getvalue()


def answers_again(url: str, behind: Backstage, comparison: Comparison, slot: str) -> None:
    """Run both texts as they are copied, and compare what the engine was asked and what came."""
    expected = next(one for one in comparison.completions if one.slot == slot)
    made = calls(behind, comparison, slot)
    assert made
    by_openai = openai_call(made[-1], comparison.messages)
    texts = [(python_call(made), said_by_python), (curl_call(made), said_by_shell)]
    texts += [(by_openai, said_by_python)] if by_openai else []
    assert len(texts) == (2 if "best_of" in made[-1] else 3)
    for text, run in texts:
        behind.engine.rows = []
        said = run(text.replace(ADDRESS, url, 1))
        (row,) = behind.engine.rows[-1:]
        assert row.messages == comparison.messages
        assert row.seed == expected.seed
        assert (
            expected.text.split()[0] in said and str(expected.seed) in said
        ) or expected.finish_reason == "cancelled"


def said_by_shell(text: str) -> str:
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60, check=True)
    last = done.stdout.strip().split("\n\n")[-1]
    assert last.startswith("event: complete"), done.stdout + done.stderr
    return last


@pytest.mark.parametrize("slot", ["A", "B", "C"])
def test_the_call_of_a_first_turn_is_run_as_it_stands(served: tuple[str, Backstage], slot: str) -> None:
    url, behind = served
    asked = ask(behind, temperature=0.3, max_new_tokens=60, seed=41, top_p=0.5, system="Be brief, 'ok'?")
    answers_again(url, behind, asked, slot)
    row = behind.engine.rows[0]
    assert (row.sampling.temperature, row.sampling.max_new_tokens, row.sampling.top_p) == (0.3, 60, 0.5)


def test_a_call_late_in_a_conversation_brings_the_turns_before_with_it(served: tuple[str, Backstage]) -> None:
    url, behind = served
    first = ask(behind, "First?", seed=5, system="Be brief.")
    second = ask(behind, "Second?", seed=6, conversation_id=first.conversation_id, continue_from="B")
    third = ask(behind, "Third, it's?", seed=7, conversation_id=first.conversation_id, continue_from="C")
    assert second.turn == 1
    assert len(calls(behind, third, "A")) == 3
    answers_again(url, behind, third, "C")


def test_the_call_of_the_best_of_several_asks_for_as_many(served: tuple[str, Backstage]) -> None:
    _, behind = served
    asked = ask(behind, seed=9, best_of=3)
    assert [call.get("best_of") for slot in "ABC" for call in calls(behind, asked, slot)] == [None, None, 3]


def test_the_call_of_an_answer_that_a_vote_stopped_ends_where_it_did(served: tuple[str, Backstage]) -> None:
    _, behind = served
    asked = ask(behind, "One two three", seed=3, stop="B")
    (call,) = calls(behind, asked, "B")
    assert call["max_new_tokens"] == len(asked.completions[1].token_ids) == 2


def test_a_version_is_named_so_that_the_call_stays_right(served: tuple[str, Backstage]) -> None:
    _, behind = served
    (call,) = calls(behind, ask(behind), "C")
    assert call["columns"] == ["v1"]


def test_there_is_no_call_while_names_are_hidden_nor_of_what_is_not_there(served: tuple[str, Backstage]) -> None:
    _, behind = served
    asked = ask(behind, blind=True)
    assert calls(behind, asked, "A") == []
    vote(behind.services, "ann", VoteRequest(asked.id, "A"))
    assert len(calls(behind, asked, "A")) == 1
    assert calls(behind, asked, "D") == []
    with pytest.raises(LookupError):
        calls_of(behind.services, "ann", "x", "A")


def test_there_is_no_call_where_the_conversation_is_not_what_the_answer_goes_on_from(
    served: tuple[str, Backstage], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, behind = served
    first = ask(behind, "First?", seed=5)
    second = ask(behind, "Second?", seed=6, conversation_id=first.conversation_id, continue_from="B")
    other = ask(behind, "Another first?", seed=8)
    turns = [replace(other, conversation_id=first.conversation_id), second]
    monkeypatch.setattr(conversations, "turns_of", lambda *_: turns)
    assert calls(behind, second, "A") == []

"""What callers may give, and the sentences that refuse the rest."""

from typing import Any

import pytest

from alignment.errors import ConfigError
from service.requests import (
    CompareRequest,
    DemonstrateRequest,
    RunRequest,
    VoteRequest,
    WithdrawRequest,
    checked,
)
from storage.messages import Message, messages_to_json, one_turn


def test_numbers_may_come_as_json_sends_them() -> None:
    request = checked(CompareRequest, prompt=" Hi ", temperature=1, max_new_tokens=8.0, seed=None, columns=None)
    assert request == CompareRequest(" Hi ", ("base", "sft", "rlhf"), 1.0, 8)
    assert isinstance(request.max_new_tokens, int)
    assert isinstance(request.temperature, float)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prompt": 5}, "the prompt must be text, got 5; write a question or pick one of the examples"),
        ({"prompt": " "}, "the prompt is empty; write a question or pick one of the examples"),
        ({"prompt": "x" * 4001}, "the prompt has 4,001 characters, 4,000 are allowed; shorten it"),
        ({"prompt": "\ud83d"}, "the prompt holds half a character (surrogates not allowed); write it anew"),
        ({"temperature": 2.5}, "temperature must be a number from 0 to 2, got 2.5"),
        ({"temperature": float("nan")}, "temperature must be a number from 0 to 2, got nan"),
        ({"temperature": True}, "temperature must be a number from 0 to 2, got True"),
        ({"max_new_tokens": "8"}, "max_new_tokens must be a whole number from 1 to 32,768, got '8'"),
        ({"max_new_tokens": 8.5}, "max_new_tokens must be a whole number from 1 to 32,768, got 8.5"),
        ({"top_p": 0}, "top_p must be a number from 0.01 to 1, got 0"),
        ({"system": " "}, "the system is empty; leave it out or say how the models should answer"),
        (
            {"conversation_id": 5},
            "the conversation_id must be text, got 5; it is what /compare returns, left out to begin a conversation",
        ),
        ({"seed": 2**31}, "seed must be a whole number from 0 to 2,147,483,647, got 2147483648"),
        ({"best_of": 17}, "best_of must be a whole number from 1 to 16, got 17"),
        ({"blind": "no"}, "blind must be true or false, got 'no'"),
        (
            {"columns": ["base", "base"]},
            "columns must be 1 to 6 different names out of base, sft, rlhf, v1, v2 …, got ['base', 'base']",
        ),
        ({"columns": "base"}, "columns must be 1 to 6 different names out of base, sft, rlhf, v1, v2 …, got 'base'"),
        (
            {"columns": ["rlhf", "v1"], "best_of": 13},
            "best_of 13 of so many policies is 26 answers, 24 are allowed at once; ask fewer columns or a smaller "
            "best_of",
        ),
    ],
)
def test_a_comparison_that_cannot_be_asked_is_refused_in_one_sentence(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(CompareRequest, **{"prompt": "Hi", **arguments})
    assert str(refused.value) == words


def test_other_requests_are_refused_alike() -> None:
    for request, arguments, words in (
        (VoteRequest, {"comparison_id": "", "choice": "A"}, "the comparison_id is empty; it is what /compare returns"),
        (
            VoteRequest,
            {"comparison_id": "x", "choice": "A", "source": "bot"},
            'source must be "human" or "simulated", got \'bot\'',
        ),
        (
            DemonstrateRequest,
            {"prompt": "Hi", "completion": ""},
            "the completion is empty; write what the model should have answered",
        ),
        (
            WithdrawRequest,
            {"preference_id": "1"},
            "preference_id must be a whole number from 1 to 9,007,199,254,740,992, got '1'",
        ),
        (RunRequest, {"run_id": 0}, "run_id must be a whole number from 1 to 9,007,199,254,740,992, got 0"),
    ):
        with pytest.raises(ConfigError) as refused:
            checked(request, **arguments)
        assert str(refused.value) == words


def test_a_demonstration_may_answer_a_whole_conversation() -> None:
    given = [("system", "Be brief."), ("user", " Hi "), ("assistant", ""), ("user", "Again?")]
    messages = tuple(Message(role, content) for role, content in given)  # type: ignore[arg-type]
    request = checked(DemonstrateRequest, prompt=messages_to_json(messages), completion="Ahoy!")
    assert request.prompt == messages
    assert checked(DemonstrateRequest, prompt=" Hi ", completion="Ahoy!").prompt == one_turn(" Hi ")


def test_a_message_may_carry_fields_that_hold_nothing() -> None:
    exported = [{"role": "user", "content": "Hi", "tool_calls": None, "metadata": {}}]
    assert checked(DemonstrateRequest, prompt=exported, completion="Ahoy!").prompt == one_turn("Hi")


def spoken(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "Hi"} for role in roles]


ORDER = (
    "the messages of a prompt must be the user's and the assistant's in turn, after a system message if there is one"
)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ([], "prompt must hold a message, got an empty list"),
        (spoken("user", "assistant"), ORDER + ", and end with the user's; got ['user', 'assistant']"),
        (spoken("user", "user"), ORDER),
        (spoken("assistant", "user"), ORDER),
        (spoken("user", "system", "user"), ORDER),
        (spoken("system"), ORDER),
        (spoken("user", "assistant", "assistant", "user"), ORDER),
        (["Hi"], 'prompt[0] must be an object like {"role": "user", "content": "Hi"}, got \'Hi\''),
        (spoken("user", "tool"), "prompt[1].role must be one of system, user, assistant, got 'tool'"),
        ([{"role": "user"}], "prompt[0] must be an object like"),
        ([{"role": "user", "content": None}], "prompt[0].content must be a text, got None"),
        ([{"role": "user", "content": "Hi", "name": "Bo"}], "prompt[0] has no field 'name'"),
        ([{"role": "user", "content": " "}], "the content of prompt[0] is empty; leave the message out or write"),
        ([{"role": "user", "content": "x" * 4001}], "the content of prompt[0] has 4,001 characters, 4,000 are allowed"),
        ([{"role": "user", "content": "\ud83d"}], "the content of prompt[0] holds half a character"),
        (
            [*spoken("user"), {"role": "assistant", "content": "\ud83d"}, *spoken("user")],
            "the content of prompt[1] holds",
        ),
        (5, "prompt must be a text or a list of messages, got 5"),
        (
            [*spoken("user"), {"role": "assistant", "content": "x" * 400_000}, *spoken("user")],
            "the messages of the prompt have 400,004 characters, 400,000 are allowed; leave earlier ones out",
        ),
    ],
)
def test_what_is_no_conversation_is_refused(prompt: Any, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(DemonstrateRequest, prompt=prompt, completion="Ahoy!")
    assert str(refused.value).startswith(words)

"""The endpoints as OpenAI's own package uses them."""

import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI

from storage.messages import Message
from tests.harness.scripted import Site


@pytest.fixture
def client(served: Site) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as made:
        yield made


HI = [{"role": "user", "content": "Hi"}]


def test_models_are_listed_with_every_version(client: OpenAI, served: Site) -> None:
    served.behind.add_policy(2)
    assert [model.id for model in client.models.list()] == ["base", "sft", "rlhf", "v1", "v2"]
    assert client.models.retrieve("v2").id == "v2"
    with pytest.raises(openai.NotFoundError, match="there is no model 'v3' here"):
        client.models.retrieve("v3")


def test_a_conversation_is_answered_whole_with_its_tokens(client: OpenAI, served: Site) -> None:
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": " am I?"}]},
        {"role": "assistant", "content": "Ada."},
        {"role": "user", "content": "And you?"},
    ]
    reply = client.chat.completions.create(model="sft", messages=messages, temperature=0.5, max_tokens=9, seed=3)
    (choice,) = reply.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == (
        *("assistant", "You asked: And you?", "stop"),
    )
    assert (reply.object, reply.model) == ("chat.completion", "sft") and reply.id.startswith("chatcmpl-")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (8, 4, 12)
    (row,) = served.behind.engine.rows
    assert row.messages == (
        Message("system", "Be kind."),
        Message("user", "Who am I?"),
        Message("assistant", "Ada."),
        Message("user", "And you?"),
    )
    assert (row.templated, row.seed, row.sampling.temperature, row.sampling.max_new_tokens) == (True, 3, 0.5, 9)


def test_a_stream_says_what_a_whole_answer_says_piece_by_piece(client: OpenAI, served: Site) -> None:
    whole = client.chat.completions.create(model="rlhf", messages=HI)
    served.behind.engine.pause = 0.01
    chunks = list(
        client.chat.completions.create(model="rlhf", messages=HI, stream=True, stream_options={"include_usage": True})
    )
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(piece.delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert len([piece for piece in pieces if piece.delta.content]) > 2
    assert pieces[0].delta.role == "assistant" and pieces[-1].finish_reason == "stop"
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_several_completions_have_seeds_of_their_own(client: OpenAI, served: Site) -> None:
    served.behind.engine.texts["rlhf"] = "SEED"
    reply = client.chat.completions.create(model="rlhf", messages=HI, n=3, seed=1)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3
    again = client.chat.completions.create(model="rlhf", messages=HI, n=3, seed=1)
    assert [one.message.content for one in again.choices] == [one.message.content for one in reply.choices]


def test_bare_text_is_continued(client: OpenAI, served: Site) -> None:
    reply = client.completions.create(model="base", prompt=["One", "Two"], max_tokens=3)
    assert [choice.text for choice in reply.choices] == ["and what is"] * 2
    assert [choice.finish_reason for choice in reply.choices] == ["stop", "stop"]
    assert [row.templated for row in served.behind.engine.rows] == [False, False]
    assert reply.object == "text_completion"
    streamed = client.completions.create(model="base", prompt="One", max_tokens=3, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == "and what is"


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_ends_before_a_stop_text_of_which_nothing_is_shown(
    client: OpenAI, served: Site, stream: bool
) -> None:
    served.behind.engine.texts["rlhf"] = "one two three four five"
    served.behind.engine.holds_after = 4  # it would write on
    asked = {"model": "rlhf", "messages": HI, "stop": ["three four", "never"]}
    if stream:
        pieces = [chunk.choices[0] for chunk in client.chat.completions.create(**asked, stream=True)]
        text, end = "".join(piece.delta.content or "" for piece in pieces), pieces[-1].finish_reason
    else:
        (choice,) = client.chat.completions.create(**asked).choices
        text, end = choice.message.content, choice.finish_reason
    assert (text, end) == ("one two ", "stop")
    wait_until_idle(served)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"model": "gpt-5"}, openai.NotFoundError, "there is no model 'gpt-5' here; there are base, sft, rlhf, v1"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, openai.BadRequestError, "assistant speaks last"),
        ({"messages": [{"role": "tool", "content": "Hi"}]}, openai.BadRequestError, "role must be one of"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"n": 99}, openai.BadRequestError, "n"),
        ({"max_tokens": 500}, openai.BadRequestError, "this model reads 200"),
        ({"top_logprobs": 3}, openai.BadRequestError, "top_logprobs needs logprobs to be true"),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError, "top_logprobs"),
        ({"extra_body": {"tools": [{"type": "function"}]}}, openai.BadRequestError, "tools is not supported here"),
        ({"extra_body": {"presence_penalty": 1}}, openai.BadRequestError, "presence_penalty is not supported"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_asked_is_refused_in_words_and_by_status(
    client: OpenAI, changed: dict[str, object], error: type[openai.APIStatusError], words: str, stream: bool
) -> None:
    with pytest.raises(error, match=words) as refused:
        client.chat.completions.create(**{"model": "sft", "messages": HI, "stream": stream} | changed)
    assert set(refused.value.body) == {"message", "type", "param", "code"}


def test_fields_that_change_nothing_here_are_let_pass(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="sft", messages=HI, user="me", frequency_penalty=0, logprobs=False, response_format={"type": "text"}
    )
    assert reply.choices[0].message.content == "You asked: Hi"


def test_a_model_that_fails_is_told_before_and_within_a_stream(client: OpenAI, served: Site) -> None:
    served.behind.engine.fails = True
    with pytest.raises(openai.InternalServerError, match="failed to answer"):
        client.chat.completions.create(model="sft", messages=HI)
    with pytest.raises(openai.InternalServerError, match="failed to answer"):
        client.chat.completions.create(model="sft", messages=HI, stream=True)


def test_an_answer_that_the_app_stopped_is_an_error_not_a_short_answer(client: OpenAI, served: Site) -> None:
    served.behind.engine.ends = False
    with pytest.raises(openai.InternalServerError, match="stopped before it was finished"):
        client.chat.completions.create(model="sft", messages=HI)


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_stops_what_was_written_for_them(client: OpenAI, served: Site, stream: bool) -> None:
    engine = served.behind.engine
    engine.texts["rlhf"], engine.pause = "word " * 150, 0.02
    if stream:
        chunks = client.chat.completions.create(model="rlhf", messages=HI, max_tokens=150, stream=True)
        next(iter(chunks))
        chunks.close()
    else:
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="rlhf", messages=HI, max_tokens=150, timeout=0.3)
    wait_until_idle(served)


def wait_until_idle(served: Site) -> None:
    """Wait until no stream is open; it ends long before the text would."""
    for _ in range(100):
        if not served.behind.engine.open_streams:
            return
        time.sleep(0.02)
    raise AssertionError("a stream is still open")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"model": "sft", "messages": [{"role": "user", "content": "a\\ud800b"}]}', "holds half a character"),
        ('{"model": "sft", "messages": [{"role": "user", "content": " "}]}', "content of messages[0] is empty"),
        (
            '{"model": "sft", "messages": [{"role": "user", "content": "Hi"}], "top_k": 5}',
            "top_k is not supported here",
        ),
        (
            '{"model": "sft", "messages": [{"role": "user", "content": "Hi"}], "stop": ["a", "b", "c", "d", "e"]}',
            "stop has 5 entries, at most 4 are allowed; send fewer",
        ),
        ("{", "the body is not JSON"),
        ("[]", "the body must be an object, got []"),
        ('{"messages": [{"role": "user", "content": "Hi"}]}', "model is missing; send it"),
        ('{"model": "sft", "messages": []}', "messages is empty; send at least one"),
        ('{"model": "sft", "messages": null}', "messages must be a list, got null"),
        ('{"model": "sft", "messages": "Hi"}', "messages must be a list, got 'Hi'"),
        ('{"model": "sft", "messages": ["Hi"]}', "messages[0] must be an object, got 'Hi'"),
        ('{"model": "sft", "messages": [{"content": "Hi"}]}', "messages[0].role is missing; send it"),
        (
            '{"model": "sft", "messages": [{"role": "user", "content": 5}]}',
            "messages[0].content must be text or a list, got 5",
        ),
        ('{"model": "sft", "messages": [{"role": "user", "content": "Hi"}], "n": 0}', "n must be at least 1, got 0"),
        ('{"model": "sft", "messages": [{"role": "user", "content": "Hi"}], "seed": "a"}', "must be a whole number"),
    ],
)
def test_a_body_that_no_client_sends_is_refused_in_words(served: Site, content: str, words: str) -> None:
    refused = httpx.post(
        f"{served.url}/v1/chat/completions", content=content, headers={"content-type": "application/json"}
    )
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "chat/completions"), ("POST", "embeddings"), ("DELETE", "models")]
)
def test_what_is_not_served_is_refused_in_the_same_shape(served: Site, method: str, path: str) -> None:
    refused = httpx.request(method, f"{served.url}/v1/{path}")
    assert refused.status_code == 404
    assert f"there is no {method} /v1/{path} here" in refused.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_the_line_is_written_nothing(client: OpenAI, served: Site, stream: bool) -> None:
    served.behind.engine.place, served.behind.engine.stays_in_line = 3, True
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="sft", messages=HI, timeout=0.3, stream=stream)
    wait_until_idle(served)

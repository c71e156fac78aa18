"""Log-probabilities as OpenAI's own package reads them."""

import pytest
from openai import OpenAI

from tests.harness.scripted import Site

HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture
def client(served: Site) -> OpenAI:
    return OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def test_a_chat_tells_each_token_with_the_likeliest_ones(client: OpenAI) -> None:
    reply = client.chat.completions.create(model="sft", messages=HI, logprobs=True, top_logprobs=2)
    (choice,) = reply.choices
    assert choice.logprobs is not None and choice.logprobs.content is not None
    tokens = choice.logprobs.content
    assert "".join(one.token for one in tokens) == choice.message.content == "You asked: Hi"
    assert [one.logprob for one in tokens] == [0.0, -0.5, -1.0]
    assert tokens[1].bytes == list(b" asked:")
    assert [(one.token, one.logprob) for one in tokens[0].top_logprobs] == [("You0", -1.0), ("You1", -2.0)]
    assert client.chat.completions.create(model="sft", messages=HI).choices[0].logprobs is None


def test_a_stream_tells_them_beside_the_text_that_they_are_of(client: OpenAI, served: Site) -> None:
    served.behind.engine.pause = 0.01
    chunks = client.chat.completions.create(model="rlhf", messages=HI, logprobs=True, stream=True)
    pieces = [chunk.choices[0] for chunk in chunks]
    told = [(piece.delta.content, piece.logprobs) for piece in pieces if piece.logprobs is not None]
    assert len(told) > 1
    for text, log_probs in told:
        assert text == "".join(one.token for one in log_probs.content or [])
    assert "".join(text or "" for text, _ in told) == "Paris. It lies on the Seine."


def test_nothing_is_told_of_tokens_beyond_a_stop_text(client: OpenAI) -> None:
    (choice,) = client.chat.completions.create(model="rlhf", messages=HI, logprobs=True, stop=" lies").choices
    assert choice.message.content == "Paris. It"
    assert choice.logprobs is not None
    assert [one.token for one in choice.logprobs.content or []] == ["Paris.", " It"]


def test_bare_text_has_the_older_shape(client: OpenAI) -> None:
    (choice,) = client.completions.create(model="base", prompt="One", max_tokens=3, logprobs=1).choices
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == ["and", " what", " is"]
    assert choice.logprobs.token_logprobs == [0.0, -0.5, -1.0]
    assert choice.logprobs.text_offset == [0, 3, 8]
    assert choice.logprobs.top_logprobs == [{"and0": -1.0}, {" what0": -1.0}, {" is0": -1.0}]

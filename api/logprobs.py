"""Log-probabilities of tokens in the two shapes that OpenAI's endpoints have for them."""

from collections.abc import Sequence
from typing import Any

from api.schemas import Kind
from service.complete import TokenLogProb


def in_shape_of(kind: Kind, tokens: Sequence[TokenLogProb]) -> dict[str, Any]:
    """Return the log-probabilities of tokens as clients of an endpoint expect them."""
    return _of_chat(tokens) if kind == "chat" else _of_text(tokens)


def _of_chat(tokens: Sequence[TokenLogProb]) -> dict[str, Any]:
    content = [
        _named(one.text, one.log_prob) | {"top_logprobs": [_named(*likely) for likely in one.likeliest]}
        for one in tokens
    ]
    return {"content": content, "refusal": None}


def _named(text: str, log_prob: float) -> dict[str, Any]:
    whole = "\ufffd" not in text  # else a part of a character, whose bytes are not known by its text
    return {"token": text, "logprob": log_prob, "bytes": list(text.encode()) if whole else None}


def _of_text(tokens: Sequence[TokenLogProb]) -> dict[str, Any]:
    return {
        "tokens": [one.text for one in tokens],
        "token_logprobs": [one.log_prob for one in tokens],
        "top_logprobs": [dict(one.likeliest) for one in tokens],
        "text_offset": [one.offset for one in tokens],
    }

"""What a server elsewhere is asked for a row, in the words of OpenAI's API; vLLM takes some of its own."""

from typing import Any

from alignment.models.raw_text import RawText
from alignment.models.turns import BETWEEN
from alignment.serving.engine import Row
from storage.messages import messages_to_json

NEVER = -100  # the bias of a token that is not to be drawn


def asked(row: Row, name: str) -> dict[str, Any]:
    """Return what any server is asked for a row, to be written under a name."""
    sampling = row.sampling
    drawn: dict[str, Any] = {
        "model": name,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "seed": row.seed,
    }
    more = {"top_k": sampling.top_k, "min_p": sampling.min_p}  # not OpenAI's own: only where they change something
    drawn |= {key: value for key, value in more.items() if value}
    if row.templated:
        return drawn | {"messages": messages_to_json(row.messages)}
    return drawn | {"prompt": BETWEEN.join(message.content for message in row.messages)}


def asked_of_vllm(row: Row, name: str, raw: RawText, template_arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what vLLM is asked for a row: it is told what it else takes from the checkpoint, or leaves undone."""
    sampling = row.sampling
    said = {"top_k": sampling.top_k, "min_p": sampling.min_p, "repetition_penalty": 1.0, "return_token_ids": True}
    told = asked(row, name) | said
    if row.templated:
        return told | ({"chat_template_kwargs": template_arguments} if template_arguments else {})
    barred = {str(token): NEVER for token in raw.barred}
    return told | {"prompt": raw.begins + told["prompt"], "logit_bias": barred, "stop_token_ids": list(raw.ends)}

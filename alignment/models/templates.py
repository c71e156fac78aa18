"""Messages to token ids. Nothing else in the project tokenizes a prompt or a completion. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

USER, ASSISTANT, END, BOS, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|bos|>", "<|pad|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}" + USER + "{{ message['content'] }}" + END + "{% endif %}"
    "{% if message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + END + "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


def _defuse(tokenizer: Any, text: str) -> str:
    """Break up turn markers typed by a user, so that nobody can write an assistant's turn from the prompt box."""
    for token in tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()):
        text = text.replace(token, f"{token[0]} {token[1:]}") if len(token) > 1 else text
    return text


def chat_prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Return the ids of a one-turn conversation up to where the assistant begins."""
    messages = [{"role": "user", "content": _defuse(tokenizer, prompt)}]
    return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))


def raw_prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Return the ids of bare text to be continued, as a base model reads it."""
    ids = tokenizer(_defuse(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *ids] if tokenizer.bos_token_id is not None else list(ids)


def prompt_ids(tokenizer: Any, prompt: str, *, base: bool) -> list[int]:
    """Return the prompt's ids: raw for the base model, as a chat turn for every instruction-tuned adapter."""
    return raw_prompt_ids(tokenizer, prompt) if base else chat_prompt_ids(tokenizer, prompt)


def completion_ids(tokenizer: Any, completion: str) -> list[int]:
    """Return a completion's ids with the end-of-turn token that a rollout would stop on, and nothing after it."""
    ids = tokenizer(_defuse(tokenizer, completion), add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]


def demonstration_tokens(tokenizer: Any, prompt: str, completion: str) -> int:
    """Return how many tokens a model reads that learns a completion of a prompt."""
    return len(chat_prompt_ids(tokenizer, prompt)) + len(completion_ids(tokenizer, completion))


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of completion ids without special tokens; a character cut in two is left out."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text.rstrip("\ufffd")

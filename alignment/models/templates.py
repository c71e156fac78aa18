"""Messages to token ids. Nothing else in the project tokenizes a prompt or a completion. Needs no torch."""

from collections.abc import Sequence
from typing import Any

from storage.messages import Message

USER, ASSISTANT, END, BOS, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|bos|>", "<|pad|>"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}" + USER + "{{ message['content'] }}" + END + "{% endif %}"
    "{% if message['role'] == 'assistant' %}" + ASSISTANT + "{{ message['content'] }}" + END + "{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)


def _defuse(tokenizer: Any, text: str) -> str:
    """Break up turn markers typed by a user, so that nobody can write an assistant's turn from the prompt box."""
    for token in tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()):
        text = text.replace(token, f"{token[0]} {token[1:]}") if len(token) > 1 else text
    return text


def prompt_ids(tokenizer: Any, messages: Sequence[Message], *, templated: bool) -> list[int]:
    """Return the ids of a conversation up to where the assistant begins.

    Without the chat template they are those of the last message alone, as bare text to be continued.
    """
    if not templated:
        return raw_prompt_ids(tokenizer, messages[-1].content)
    turns = [{"role": message.role, "content": _defuse(tokenizer, message.content)} for message in messages]
    return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))


def chat_prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Return the ids of a one-turn conversation up to where the assistant begins."""
    return prompt_ids(tokenizer, [Message("user", prompt)], templated=True)


def raw_prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Return the ids of bare text to be continued, as a base model reads it."""
    ids = tokenizer(_defuse(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *ids] if tokenizer.bos_token_id is not None else list(ids)


def completion_ids(tokenizer: Any, completion: str) -> list[int]:
    """Return a completion's ids with the end-of-turn token that a rollout would stop on, and nothing after it."""
    ids = tokenizer(_defuse(tokenizer, completion), add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]


def conversation_tokens(tokenizer: Any, messages: Sequence[Message], *, templated: bool) -> int:
    """Return how many tokens a conversation takes.

    One that ends with the assistant's message is a demonstration: that message counts as the completion that a model
    learns, with its end token. Any other is a prompt, up to where the assistant begins.
    """
    if messages[-1].role != "assistant":
        return len(prompt_ids(tokenizer, messages, templated=templated))
    prompt = prompt_ids(tokenizer, messages[:-1], templated=templated)
    return len(prompt) + len(completion_ids(tokenizer, messages[-1].content))


def demonstration_tokens(tokenizer: Any, prompt: str, completion: str) -> int:
    """Return how many tokens a model reads that learns a completion of a prompt."""
    messages = [Message("user", prompt), Message("assistant", completion)]
    return conversation_tokens(tokenizer, messages, templated=True)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of completion ids without special tokens; a character cut in two is left out."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text.rstrip("\ufffd")

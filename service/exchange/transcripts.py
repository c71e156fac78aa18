"""Conversations out of what public data sets hold: texts, message lists, and transcripts as Anthropic's HH has them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any

from alignment.errors import ConfigError
from storage.messages import Message, MessageRole, Messages, one_turn

SPEAKERS: dict[str, MessageRole] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
TURN = re.compile(r"\n\n(Human|Assistant):")
LONGEST_TEXT = 400_000  # characters of one row's conversation


@dataclass(frozen=True)
class Answered:
    """A prompt with one completion."""

    messages: Messages
    completion: str


def asked(value: Any) -> Messages:
    """Return a prompt given as text, transcript or message list; raise ConfigError for what is none."""
    if isinstance(value, str):
        if is_transcript(value):
            return require_prompt(messages_of_transcript(value.removesuffix("\n\nAssistant:")))
        return require_prompt(one_turn(whole(value)))
    return require_prompt(messages_of_list(value))


def said(value: Any) -> str:
    """Return a completion given as text or as the one message of the assistant; raise ConfigError for what is none."""
    if isinstance(value, str):
        return whole(value)
    messages = messages_of_list(value)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise ConfigError(f"a completion must be a text or one message of the assistant, got {len(messages)} messages")
    return messages[0].content


def answered(value: Any) -> Answered:
    """Return a conversation that ends with the assistant's message; raise ConfigError for what is none."""
    messages = messages_of_transcript(value) if isinstance(value, str) else messages_of_list(value)
    if not messages or messages[-1].role != "assistant":
        raise ConfigError("the conversation must end with the assistant's message")
    return Answered(require_prompt(messages[:-1]), messages[-1].content)


def is_transcript(text: str) -> bool:
    """Return whether a text is a conversation in which "Human:" and "Assistant:" begin the turns."""
    return text.startswith("\n\nHuman:")


def messages_of_transcript(text: str) -> Messages:
    """Return the turns of a transcript, without the spaces around each."""
    parts = TURN.split(text)
    turns = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message("user" if who == "Human" else "assistant", whole(words.strip())) for who, words in turns)


def messages_of_list(value: Any) -> Messages:
    """Return a message list; the common names of roles and fields are understood."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise ConfigError(f"a conversation must be a list of messages, got {brief(value)}")
    return tuple(map(_message, value))


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        raise ConfigError(f'a message must be an object like {{"role": "user", "content": "Hi"}}, got {brief(value)}')
    role = value.get("role", value.get("from"))
    content = value.get("content", value.get("value"))
    if not isinstance(role, str) or role.lower() not in SPEAKERS:
        raise ConfigError(f"a message's role must be system, user or assistant, got {brief(role)}")
    if not isinstance(content, str):
        raise ConfigError(f"a message's content must be text, got {brief(content)}")
    return Message(SPEAKERS[role.lower()], whole(content))


def require_prompt(messages: Messages) -> Messages:
    """Return messages that end with the user's words; raise ConfigError for others."""
    if not messages or messages[-1].role != "user":
        raise ConfigError("the prompt must end with the user's message")
    if not messages[-1].content.strip():
        raise ConfigError("the prompt is empty")
    if (length := sum(len(message.content) for message in messages)) > LONGEST_TEXT:
        raise ConfigError(f"the prompt has {length:,} characters, {LONGEST_TEXT:,} are allowed")
    return messages


def whole(text: str) -> str:
    """Return a text; raise ConfigError for one that cannot be stored."""
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"a text has {len(text):,} characters, {LONGEST_TEXT:,} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError("a text holds half a character") from error
    return text


def sampling_of(value: Any) -> dict[str, Any]:
    """Return the sampling of an exported completion, {} where there is none."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}

"""A conversation as it is stored, and as everything above storage speaks of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MessageRole = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: MessageRole
    content: str


Messages = tuple[Message, ...]  # a conversation; as a prompt it ends with the user's message


def one_turn(prompt: str, system: str = "") -> Messages:
    """Return the conversation that consists of one question, after a system message if one is given."""
    question = Message("user", prompt)
    return (Message("system", system), question) if system else (question,)


def question_of(messages: Messages) -> str:
    """Return what the user asked last, "" if nobody asked anything."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def messages_to_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages as `{"role", "content"}` objects, the form of chat templates and of TRL's datasets."""
    return [{"role": message.role, "content": message.content} for message in messages]


def stored_messages(messages: Sequence[Message]) -> str:
    """Return messages as the one JSON text that they have in the database: equal messages give equal texts."""
    return json.dumps(messages_to_json(messages), ensure_ascii=False)


def messages_from_stored(text: str) -> Messages:
    """Return messages from the text that `stored_messages` made of them."""
    return tuple(Message(value["role"], value["content"]) for value in json.loads(text))

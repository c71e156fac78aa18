"""Message lists that callers and files give: the one place that says what is one. Needs no torch."""

from reprlib import repr as brief
from typing import Any, get_args

from alignment.errors import ConfigError
from storage.messages import Message, MessageRole, Messages

ROLES = get_args(MessageRole)


def messages_of(value: Any, path: str) -> Messages:
    """Return a message list; raise ConfigError for what is none."""
    if not isinstance(value, list):
        raise ConfigError(f"{path} must be a text or a list of messages, got {brief(value)}")
    if not value:
        raise ConfigError(f"{path} must hold a message, got an empty list")
    return tuple(_message(message, f"{path}[{place}]") for place, message in enumerate(value))


def _message(value: Any, path: str) -> Message:
    if not isinstance(value, dict) or not {"role", "content"} <= value.keys():
        raise ConfigError(f'{path} must be an object like {{"role": "user", "content": "Hi"}}, got {brief(value)}')
    if value["role"] not in ROLES:
        raise ConfigError(f"{path}.role must be one of {', '.join(ROLES)}, got {brief(value['role'])}")
    if not isinstance(value["content"], str):
        raise ConfigError(f"{path}.content must be a text, got {brief(value['content'])}")
    extra = [name for name, held in value.items() if name not in ("role", "content") and held]
    if extra:
        raise ConfigError(f"{path} has no field {brief(min(extra))}; a message has role and content")
    return Message(value["role"], value["content"])


def ending_with_question(messages: Messages, path: str) -> Messages:
    """Return messages that end with the user's; raise ConfigError for others."""
    if not messages or messages[-1].role != "user":
        role = messages[-1].role if messages else "nobody"
        raise ConfigError(f"{path} must end with the user's message, but {role} speaks last")
    return messages

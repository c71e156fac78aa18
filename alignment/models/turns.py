"""Conversations in the forms that chat templates ask for."""

from collections.abc import Sequence
from itertools import groupby

from storage.messages import Message, Messages

BETWEEN = "\n\n"  # two messages that become one, or that are read as bare text


def alternating(messages: Sequence[Message]) -> Messages:
    """Return a conversation in which no two messages in a row have the same role: they become one."""
    groups = groupby(messages, lambda message: message.role)
    return tuple(Message(role, BETWEEN.join(message.content for message in group)) for role, group in groups)


def with_system_in_first_question(messages: Sequence[Message]) -> Messages:
    """Return a conversation whose system messages stand before its first question, for templates without that role."""
    system = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if not system or not rest or rest[0].role != "user":
        return tuple(messages)
    return (Message("user", BETWEEN.join([*system, rest[0].content])), *rest[1:])

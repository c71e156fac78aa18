"""The record of a completion that is learned from."""

from dataclasses import dataclass

from storage.messages import Messages


@dataclass(frozen=True)
class Text:
    """A completion of a conversation that is learned from."""

    messages: Messages
    completion: str
    ended: bool = True  # False: it was cut at a length limit, and is never taught as one that ends there

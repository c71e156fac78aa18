"""A piece of feedback as Open WebUI exports it: a thumb on an answer, with the chat that it stood in."""

import hashlib
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any

from alignment.errors import ConfigError
from service.exchange.pseudonyms import ANNOTATOR
from service.exchange.transcripts import SPEAKERS, whole
from storage.messages import Message, Messages


@dataclass(frozen=True)
class Thumb:
    """A thumb up or down, the answer that it is for, and the other answers to the same question."""

    id: str
    messages: Messages
    rated: tuple[str, str]  # text and model
    siblings: tuple[tuple[str, str], ...]
    good: bool
    reason: str
    annotator: str
    created: float | None


def feedback(row: dict[str, Any]) -> Thumb:
    """Return what a piece of feedback says; raise ConfigError for one without a thumb or without its chat."""
    data, meta = _object(row, "data"), _object(row, "meta")
    if str(data.get("rating")) not in ("1", "-1"):
        raise ConfigError(f"the rating must be 1 or -1, got {brief(data.get('rating'))}")
    nodes = _nodes(row)
    rated = nodes.get(meta.get("message_id"))
    if not isinstance(rated, dict):
        raise ConfigError("the message that was rated is not in the snapshot of its chat")
    parent = nodes.get(rated.get("parentId"))
    others = (nodes.get(child) for child in (parent or {}).get("childrenIds") or [])
    siblings = [one for one in others if isinstance(one, dict) and one is not rated and one.get("role") == "assistant"]
    compared = set(data.get("sibling_model_ids") or [])
    user = hashlib.sha256(str(row.get("user_id")).encode()).hexdigest()[:20]
    return Thumb(
        id="",
        messages=_above(nodes, rated),
        rated=_answer(rated, str(data.get("model_id") or "")),
        siblings=tuple(_answer(one, "") for one in siblings if one.get("model") in compared),
        good=str(data["rating"]) == "1",
        reason=", ".join(str(said) for said in (data.get("reason"), data.get("comment")) if said),
        annotator=ANNOTATOR + user,
        created=row.get("created_at") if isinstance(row.get("created_at"), int | float) else None,
    )


def _object(row: Any, name: str) -> dict[str, Any]:
    found = row.get(name) if isinstance(row, dict) else None
    return found if isinstance(found, dict) else {}


def _nodes(row: dict[str, Any]) -> dict[Any, Any]:
    """Return the messages of the chat by id; the chat lies in one or two objects of that name."""
    chat = _object(_object(row, "snapshot"), "chat")
    inner = _object(chat, "chat") or chat
    return _object(_object(inner, "history"), "messages")


def _answer(node: dict[str, Any], model: str) -> tuple[str, str]:
    if not isinstance(node.get("content"), str):
        raise ConfigError("an answer of the chat has no text")
    return whole(node["content"]), model or str(node.get("model") or "")


def _above(nodes: dict[Any, Any], node: dict[str, Any]) -> Messages:
    """Return the messages before one, the first one first."""
    found: list[Message] = []
    place = node.get("parentId")
    while place is not None and len(found) <= len(nodes):
        one = _object(nodes, place)
        if one.get("role") not in SPEAKERS or not isinstance(one.get("content"), str):
            raise ConfigError("a message above the one that was rated has no role or no text")
        found.append(Message(SPEAKERS[one["role"]], whole(one["content"])))
        place = one.get("parentId")
    return tuple(reversed(found))

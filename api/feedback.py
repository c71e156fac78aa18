"""`/v1/feedback`: thumbs and better answers from other clients, on answers that were asked for with `store`."""

from typing import Any

from alignment.errors import ConfigError
from api.schemas import Feedback
from service.compare import stored_comparison
from service.context import Services
from service.demonstrations import demonstrate, request_for
from service.requests import VoteRequest, checked
from service.votes import vote


def take(services: Services, annotator: str, given: Feedback) -> dict[str, Any]:
    """Store what was given and return the ids under which it is stored.

    One answer with a thumb is a vote without a pair. Of several answers to one request, the one with a thumb up is
    preferred to all others. Raises ConfigError for what says nothing, StorageError for an id that was not stored.
    """
    if given.rating is None and given.better is None:
        raise ConfigError('feedback must hold a rating ("up" or "down") or a better answer; got neither')
    slots = [one.slot for one in stored_comparison(services, given.id).completions]
    if given.index >= len(slots):
        raise ConfigError(f"index must be from 0 to {len(slots) - 1}, as the answer had that many choices")
    if given.rating == "down" and len(slots) > 1:
        raise ConfigError("of several answers a thumb down does not say which one is better; rate the best one up")
    better = None  # refused before a vote is stored
    if given.better is not None:
        better = request_for(services, given.id, given.better, given.source)
    stored: dict[str, Any] = {"object": "feedback", "id": given.id}
    if given.rating is not None:
        choice = slots[given.index] if given.rating == "up" else "all_bad"
        request = checked(VoteRequest, comparison_id=given.id, choice=choice, source=given.source)
        said = vote(services, annotator, request)
        stored |= {"preference_id": said.preference_id, "pairs": said.pairs}
    if better is not None:
        stored["demonstration_id"] = demonstrate(services, annotator, better)
    return stored

"""The calls of `/compare` that make a stored answer again, one a turn of its conversation."""

from itertools import pairwise
from typing import Any

from alignment.models.sampling import Sampling
from service.compare import stored_comparison
from service.context import Services
from service.conversations import shown_to
from storage import conversations
from storage.messages import question_of
from storage.records import Comparison, Completion

Arguments = dict[str, Any]  # of one call, by name; the conversation goes on from the call before


def calls_of(services: Services, annotator: str, comparison_id: str, slot: object) -> list[Arguments]:
    """Return the arguments of the calls that make an answer again, the last one's the answer itself.

    There are none where its name is still hidden, where it has no word, or where what came before is not known any
    more. Raises StorageError, a LookupError, for a comparison that there is not.
    """
    comparison = stored_comparison(services, comparison_id)
    told = {one.slot for one in shown_to(services, annotator, comparison) if one.role is not None}
    if slot not in told:
        return []
    if not (turns := _path(services, comparison)):
        return []
    slots = [after.continued_from for _, after in pairwise(turns)] + [str(slot)]
    chosen = [_completion(turn, at) for turn, at in zip(turns, slots, strict=True)]
    if any(one is None or not one.token_ids for one in chosen):
        return []
    return [_arguments(turn, one, place) for place, (turn, one) in enumerate(zip(turns, chosen, strict=True)) if one]


def _path(services: Services, comparison: Comparison) -> list[Comparison]:
    """Return the turns that a comparison goes on from, itself the last; none if they are not what it goes on from."""
    if comparison.conversation_id is None:
        return [comparison] if len([one for one in comparison.messages if one.role != "system"]) == 1 else []
    turns = conversations.turns_of(services.db, comparison.conversation_id)
    path = [turn for turn in turns if turn.turn < comparison.turn] + [comparison]
    whole = all(comparison.messages[: len(turn.messages)] == turn.messages for turn in path)
    return path if whole and [turn.turn for turn in path] == list(range(len(path))) else []


def _completion(turn: Comparison, slot: str | None) -> Completion | None:
    return next((one for one in turn.completions if one.slot == slot), None)


def _arguments(turn: Comparison, one: Completion, place: int) -> Arguments:
    """Return the arguments of a call that has one column: that answer's, with the seed that it was written by.

    One that a vote has cut ends after as many tokens. A preview's answer was written as an ordinary one.
    """
    drawn = one.sampling
    found: Arguments = {
        "prompt": question_of(turn.messages),
        "columns": [f"v{one.policy_version}" if one.role == "rlhf" else one.role],
        "temperature": drawn["temperature"],
        "max_new_tokens": len(one.token_ids) if one.finish_reason == "cancelled" else drawn["max_new_tokens"],
        "seed": one.seed,
        "top_p": drawn.get("top_p", Sampling().top_p),
    }
    if drawn.get("best_of", 1) > 1:
        found["best_of"] = drawn["best_of"]
    if place:
        found["continue_from"] = "A"
    elif turn.messages[0].role == "system":
        found["system"] = turn.messages[0].content
    return found

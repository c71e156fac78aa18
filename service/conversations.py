"""Conversations: what the next turn of one goes on from, and what its earlier turns were."""

from dataclasses import dataclass
from itertools import pairwise
from reprlib import repr as brief

from alignment.errors import ConfigError
from service.completions import ShownCompletion, shown
from service.context import Services
from service.requests import CompareRequest
from storage import conversations, database, preferences
from storage.messages import Message, Messages, one_turn, question_of
from storage.records import Comparison, Preference


@dataclass(frozen=True)
class Turn:
    """A turn that is about to be answered."""

    conversation_id: str
    number: int  # 0 is the first
    messages: Messages  # the whole conversation, the new prompt last
    continued_from: str | None = None  # slot of the turn before


@dataclass(frozen=True)
class PastTurn:
    """A turn that the conversation went on from: what was asked, and the answer that became part of it."""

    question: str
    answer: ShownCompletion


def next_turn(services: Services, annotator: str, request: CompareRequest) -> Turn:
    """Return the turn that a request asks for: the first of a new conversation, or the next of one that is there.

    Raises ConfigError where it is not clear what to go on from, StorageError, a LookupError, for a conversation that
    there is not or that is somebody else's.
    """
    if request.conversation_id is None:
        if request.continue_from is not None:
            raise ConfigError(
                f"continue_from is {brief(request.continue_from)}, but there is no conversation to go on with; give "
                "its conversation_id too, or leave both out"
            )
        return Turn(database.new_id(), 0, one_turn(request.prompt, request.system or ""))
    last = last_turn(services, annotator, request.conversation_id)
    _require_same_system(request.system, last.messages)
    slot = _slot_to_go_on_from(services, annotator, last, request.continue_from)
    answer = next(one.text for one in last.completions if one.slot == slot)
    messages = (*last.messages, Message("assistant", answer), Message("user", request.prompt))
    return Turn(request.conversation_id, last.turn + 1, messages, slot)


def last_turn(services: Services, annotator: str, conversation_id: str) -> Comparison:
    """Return the last turn of an annotator's own conversation; raise StorageError, a LookupError, where it is none."""
    return conversations.turns_of(services.db, conversation_id, annotator)[-1]


def _require_same_system(system: str | None, messages: Messages) -> None:
    """Raise ConfigError for a system prompt other than the one that the conversation began with."""
    first = messages[0].content if messages[0].role == "system" else None
    if system is not None and system != first:
        began = f"began with {brief(first)}" if first else "began without one"
        raise ConfigError(
            f"a system prompt belongs to the first turn, and this conversation {began}; leave system out, or begin a "
            "new conversation with it"
        )


def _slot_to_go_on_from(services: Services, annotator: str, last: Comparison, asked: object) -> str:
    slots = [completion.slot for completion in last.completions]
    which = f"give continue_from one of {', '.join(slots)}"
    if asked is not None:
        if asked not in slots:
            raise ConfigError(f"continue_from must be one of {', '.join(slots)}, got {brief(asked)}")
        return str(asked)
    vote = preferences.standing_preference(services.db, last.id, annotator)
    if (best := preferred_slot(vote)) is not None:
        return best
    if vote is None:
        raise ConfigError(f"no answer of the turn before was chosen yet; vote on it, or {which}")
    found = "none of them good" if vote.kind == "all_bad" else "none of them better than all others"
    raise ConfigError(f"your vote on the turn before calls {found}, so say which one to go on from: {which}")


def preferred_slot(vote: Preference | None) -> str | None:
    """Return the one slot that a vote prefers to all others; None after a tie, all bad or no vote."""
    return vote.tiers[0][0] if vote is not None and vote.tiers and len(vote.tiers[0]) == 1 else None


def turns_before(services: Services, annotator: str, comparison: Comparison) -> tuple[PastTurn, ...]:
    """Return the turns before a comparison, the first one first; none where it belongs to no conversation of theirs.

    The names of a blind turn stay hidden until its first vote.
    """
    if comparison.conversation_id is None or comparison.turn == 0:
        return ()
    try:
        turns = conversations.turns_of(services.db, comparison.conversation_id, annotator)[: comparison.turn + 1]
    except LookupError:  # it is somebody else's: a cookie was deleted since
        return ()
    return tuple(past_turn(services, annotator, turn, after.continued_from) for turn, after in pairwise(turns))


def past_turn(services: Services, annotator: str, turn: Comparison, slot: str | None) -> PastTurn:
    """Return a turn as the one that the conversation goes on from by the completion in a slot."""
    completions = shown_to(services, annotator, turn)
    return PastTurn(question_of(turn.messages), next(one for one in completions if one.slot == slot))


def shown_to(services: Services, annotator: str, comparison: Comparison) -> tuple[ShownCompletion, ...]:
    """Return a comparison's completions as a person sees them.

    Their first vote reveals the names of a blind one; they stay revealed after it was taken back.
    """
    voted = comparison.blind and preferences.has_voted(services.db, comparison.id, annotator)
    return shown(comparison.completions, reveal=voted or not comparison.blind)

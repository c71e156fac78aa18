"""Conversations: what the next turn of one goes on from, and what its earlier turns were."""

from dataclasses import dataclass
from itertools import pairwise
from reprlib import repr as brief

from alignment.errors import ConfigError
from service.completions import ShownCompletion, shown
from service.context import Services
from service.harmful import folded
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
    branch_of: str | None = None  # conversation that a new one branches off, which has the turns before


@dataclass(frozen=True)
class PastTurn:
    """A turn that the conversation went on from: what was asked, and the answer that became part of it."""

    question: str
    answer: ShownCompletion
    others: tuple[ShownCompletion, ...]  # what the others said
    comparison_id: str
    versions: tuple[str, ...]  # comparisons that stand at its place in branches, itself among them


def next_turn(services: Services, annotator: str, request: CompareRequest) -> Turn:
    """Return the turn that a request asks for: the first of a new conversation, or the next of one that is there.

    Raises ConfigError where it is not clear what to go on from, StorageError, a LookupError, for a conversation that
    there is not or that is somebody else's.
    """
    if request.instead_of is not None:
        return _branch(services, annotator, request)
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


def _branch(services: Services, annotator: str, request: CompareRequest) -> Turn:
    """Return the turn that stands in place of another one, as the first of its own of a new conversation."""
    if request.conversation_id is not None or request.continue_from is not None:
        raise ConfigError(
            "instead_of says already what to go on from, which is the turn before that comparison; leave "
            "conversation_id and continue_from out"
        )
    replaced = preferences.get_comparison(services.db, str(request.instead_of))
    if replaced.conversation_id is None or not is_own(services, annotator, replaced):
        raise ConfigError(
            f"comparison {brief(replaced.id)} is in no conversation of yours, so nothing can be asked in its place; "
            "leave instead_of out to begin one"
        )
    _require_same_system(request.system, replaced.messages)
    messages = (*replaced.messages[:-1], Message("user", request.prompt))
    trunk = conversations.trunk_of(services.db, replaced)
    return Turn(database.new_id(), replaced.turn, messages, replaced.continued_from, trunk)


def last_turn(services: Services, annotator: str, conversation_id: str) -> Comparison:
    """Return the last turn of an annotator's own conversation; raise StorageError, a LookupError, where it is none."""
    return conversations.turns_of(services.db, conversation_id, annotator)[-1]


def latest_of(services: Services, annotator: str, comparison: Comparison) -> Comparison:
    """Return the last turn of a comparison's conversation, or the comparison itself where that is not one's own."""
    if comparison.conversation_id is None:
        return comparison
    try:
        return last_turn(services, annotator, comparison.conversation_id)
    except LookupError:
        return comparison


def is_own(services: Services, annotator: str, comparison: Comparison) -> bool:
    """Return whether a comparison is of an annotator's own conversation; one of none is anybody's."""
    conversation = comparison.conversation_id
    return conversation is None or conversations.belongs_to(services.db, conversation, annotator)


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
    """Return the turns before a comparison, the first one first; none where it belongs to no conversation.

    Whoever knows the id of a comparison may read what it goes on from. The names of a blind turn stay hidden from
    those who have never voted on it.
    """
    if comparison.conversation_id is None or comparison.turn == 0:
        return ()
    turns = conversations.turns_of(services.db, comparison.conversation_id)[: comparison.turn + 1]
    return tuple(past_turn(services, annotator, turn, after.continued_from) for turn, after in pairwise(turns))


def past_turn(services: Services, annotator: str, turn: Comparison, slot: str | None) -> PastTurn:
    """Return a turn as the one that the conversation goes on from by the completion in a slot."""
    completions = shown_to(services, annotator, turn)
    answer = next(one for one in completions if one.slot == slot)
    others = tuple(one for one in completions if one is not answer)
    return PastTurn(question_of(turn.messages), answer, others, turn.id, versions_of(services, turn))


def versions_of(services: Services, comparison: Comparison) -> tuple[str, ...]:
    """Return the comparisons that stand at a turn's place, the first one first: what was asked, and then instead."""
    return conversations.versions_of(services.db, comparison)


def shown_to(services: Services, annotator: str, comparison: Comparison) -> tuple[ShownCompletion, ...]:
    """Return a comparison's completions as a person sees them.

    Their first vote reveals the names of a blind one; they stay revealed after it was taken back.
    """
    voted = comparison.blind and preferences.has_voted(services.db, comparison.id, annotator)
    completions = shown(comparison.completions, reveal=voted or not comparison.blind)
    return folded(completions, question_of(comparison.messages)) if services.fold_harmful else completions

"""The history of one's own conversations, with the comparisons in them and the votes on these."""

from dataclasses import dataclass
from typing import Any, Literal

from service.completions import ShownCompletion
from service.context import Services
from service.conversations import shown_to
from service.ranking_text import ranking_text
from service.requests import HistoryRequest
from service.votes import choice_of
from storage import history as stored
from storage.messages import question_of
from storage.records import Comparison, Preference


@dataclass(frozen=True)
class PastComparison:
    """A turn as its annotator sees it again; names that no vote has revealed stay hidden."""

    comparison_id: str
    turn: int
    question: str
    created: str
    blind: bool
    kind: Literal["compare", "teach"]
    continued_from: str | None
    completions: tuple[ShownCompletion, ...]
    vote: Preference | None  # one's own, if it stands

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/history` get it."""
        vote = self.vote
        shown = [completion.to_json() for completion in self.completions]
        given = vote and {
            "preference_id": vote.id,
            "choice": choice_of(vote),
            "ranking": ranking_text(vote.tiers),
            "reason": vote.reason,
            "created": vote.created,
        }
        return vars(self) | {"completions": shown, "vote": given}


@dataclass(frozen=True)
class PastConversation:
    """A conversation of one's own, or a single comparison from elsewhere that one voted on."""

    conversation_id: str | None  # None for what is not one's own
    branch_of: str | None  # the conversation that has the turns before
    latest: str  # when the last turn was answered, or the vote was cast
    comparisons: tuple[PastComparison, ...]  # turns of its own

    @property
    def turns(self) -> int:
        """How many turns it has."""
        return self.comparisons[-1].turn + 1

    @property
    def title(self) -> str:
        """What was asked first, of a branch what it begins with."""
        return self.comparisons[0].question

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/history` get it."""
        comparisons = [comparison.to_json() for comparison in self.comparisons]
        return {
            "conversation_id": self.conversation_id,
            "branch_of": self.branch_of,
            "title": self.title,
            "turns": self.turns,
            "latest": self.latest,
            "comparisons": comparisons,
        }


@dataclass(frozen=True)
class HistoryPage:
    """Conversations, the newest first."""

    conversations: tuple[PastConversation, ...]
    next: str | None  # what to give as `before` for those that follow, None where there are no more

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/history` get it."""
        return {"conversations": [one.to_json() for one in self.conversations], "next": self.next}


def history(services: Services, annotator: str, request: HistoryRequest) -> HistoryPage:
    """Return a page of an annotator's own conversations; nobody else's are ever found."""
    found = stored.history(
        services.db,
        annotator,
        search=request.search.strip(),
        limit=request.limit + 1,
        before=request.before,
        conversation_id=request.conversation_id,
        reason=request.reason,
    )
    entries = found[: request.limit]
    conversations = tuple(_conversation(services, annotator, entry) for entry in entries)
    return HistoryPage(conversations, entries[-1].latest if len(found) > request.limit else None)


def _conversation(services: Services, annotator: str, entry: stored.Entry) -> PastConversation:
    turns = (_turn(services, annotator, one, entry.votes.get(one.id)) for one in entry.comparisons)
    return PastConversation(entry.conversation_id, entry.branch_of, entry.latest, tuple(turns))


def _turn(services: Services, annotator: str, comparison: Comparison, vote: Preference | None) -> PastComparison:
    return PastComparison(
        comparison_id=comparison.id,
        turn=comparison.turn,
        question=question_of(comparison.messages),
        created=comparison.created,
        blind=comparison.blind,
        kind=comparison.kind,
        continued_from=comparison.continued_from,
        completions=shown_to(services, annotator, comparison),
        vote=vote,
    )

"""None of these: all answers are bad, and perhaps a better one is written, to which all of them lose."""

from dataclasses import dataclass, replace

from service.context import Services
from service.demonstrations import demonstrate, request_for
from service.requests import VoteRequest, WithdrawRequest, checked
from service.votes import Vote, standing_vote, vote, withdraw
from storage import preferences
from storage.records import Preference


def none_good(
    services: Services, annotator: str, comparison_id: str, better: str, decision_seconds: float | None = None
) -> Vote:
    """Store that all answers of a comparison are bad and return the vote; a better answer is a demonstration as well.

    With a blank one nothing is compared: the vote says of each answer that it is bad. Raises ConfigError for a
    better answer that the model cannot read, AlreadyVotedError for a second, other vote; then nothing is stored.
    """
    written = request_for(services, comparison_id, better) if better.strip() else None
    judgement = checked(VoteRequest, comparison_id=comparison_id or "none", choice="all_bad")
    stored = vote(services, annotator, judgement, decision_seconds)
    if written is None:
        return stored
    demonstrate(services, annotator, written, stored.preference_id)
    return replace(stored, pairs=preferences.count_pairs_of(services.db, stored.preference_id))


@dataclass(frozen=True)
class TakenBack:
    """A vote that was taken back, and how many better answers that were written with it."""

    vote: Preference
    written: int


def take_back(services: Services, annotator: str, comparison_id: str) -> TakenBack | None:
    """Take back an annotator's judgement of a comparison, with what they wrote with it. None: none stands.

    Other answers to the same prompt stay.
    """
    standing = standing_vote(services, annotator, comparison_id)
    if standing is None:
        return None
    return TakenBack(standing, withdraw(services, annotator, WithdrawRequest(standing.id)))

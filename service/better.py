"""None of these: all answers are bad, and perhaps a better one is written, to which all of them lose."""

from dataclasses import replace

from service.context import Services
from service.demonstrations import demonstrate, request_for
from service.requests import VoteRequest, checked
from service.votes import Vote, vote
from storage import preferences


def none_good(
    services: Services, annotator: str, comparison_id: str, better: str, decision_seconds: float | None = None
) -> Vote:
    """Store that all answers of a comparison are bad and return the vote; a better answer is a demonstration as well.

    With a blank one nothing is compared: the vote is kept as what it says of each answer. Raises ConfigError for a
    better answer that the model cannot read, AlreadyVotedError for a second, other vote; then nothing is stored.
    """
    written = request_for(services, comparison_id, better) if better.strip() else None
    judgement = checked(VoteRequest, comparison_id=comparison_id or "none", choice="all_bad")
    stored = vote(services, annotator, judgement, decision_seconds)
    if written is None:
        return stored
    demonstrate(services, annotator, written)
    return replace(stored, pairs=preferences.count_pairs_of(services.db, stored.preference_id))

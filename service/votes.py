"""Votes: one annotator's judgement of a comparison, stored once until it is taken back."""

from dataclasses import asdict, dataclass
from reprlib import repr as brief
from typing import Any

from alignment.errors import AccessError, AlignmentError, ConfigError
from service.context import Services
from service.ranking_text import parse_ranking
from service.requests import Source, VoteRequest, WithdrawRequest, checked
from service.roles import require_annotator
from service.teach_requests import RankRequest
from storage import preferences
from storage.records import Comparison, Completion, Preference, PreferenceKind, Role


@dataclass(frozen=True)
class Vote:
    """A stored vote."""

    preference_id: int
    pairs: int  # of a better and a worse completion that follow from it; none for a tie
    new_since_last_run: int
    reveal: dict[str, Role]  # what answered in each slot
    versions: dict[str, int | None]  # of the policy that answered in each slot; None where none did

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/vote` and `/rank` get it."""
        return asdict(self)


class AlreadyVotedError(AlignmentError, ValueError):
    """The annotator has voted otherwise on the comparison; `choice` is the vote that stands."""

    def __init__(self, words: str, choice: str) -> None:
        super().__init__(words)
        self.choice = choice


def vote(services: Services, annotator: str, request: VoteRequest, decision_seconds: float | None = None) -> Vote:
    """Store a judgement and return it with the names behind the slots. The same vote twice counts once;
    a reason that comes with the second one is stored.

    Raises ConfigError for a choice that the comparison does not have, AlreadyVotedError for a second, other vote.
    """
    require_annotator(services, annotator)
    comparison = preferences.get_comparison(services.db, request.comparison_id)
    tiers, kind = _judgement(comparison, request.choice)
    return _stored(
        services, annotator, comparison, Judgement(tiers, kind, request.source, request.reason), decision_seconds
    )


def rank(services: Services, annotator: str, request: RankRequest, decision_seconds: float | None = None) -> Vote:
    """Store a ranking of all completions and return it with the names behind the slots, as `vote` does.

    Raises ConfigError for a ranking that leaves one out, names one twice or one that there is not.
    """
    require_annotator(services, annotator)
    comparison = preferences.get_comparison(services.db, request.comparison_id)
    tiers = parse_ranking(request.ranking, [one.slot for one in comparison.completions])
    for one in comparison.completions:
        if one.slot in tiers[0]:
            _require_begun(one)
    return _stored(
        services, annotator, comparison, Judgement(tiers, "ranking", request.source, request.reason), decision_seconds
    )


@dataclass(frozen=True)
class Judgement:
    """What a vote says of a comparison."""

    tiers: list[list[str]]
    kind: PreferenceKind
    source: Source
    reason: str


def _stored(
    services: Services, annotator: str, comparison: Comparison, judgement: Judgement, decision_seconds: float | None
) -> Vote:
    try:
        preference_id = preferences.save_preference(
            services.db,
            comparison_id=comparison.id,
            annotator_id=annotator,
            tiers=judgement.tiers,
            kind=judgement.kind,
            source=judgement.source,
            decision_seconds=decision_seconds,
            reason=judgement.reason,
        )
    except preferences.DuplicateVoteError as duplicate:
        standing = duplicate.preference
        if (standing.tiers, standing.kind) != (judgement.tiers, judgement.kind):
            raise AlreadyVotedError(str(duplicate), choice_of(standing)) from None
        preference_id = standing.id
        if judgement.reason:
            preferences.explain_preference(services.db, preference_id, judgement.reason)
    services.status.expire()
    services.preview.votes_changed()
    return Vote(
        preference_id,
        preferences.count_pairs_of(services.db, preference_id),
        services.status.now().new_votes,
        {completion.slot: completion.role for completion in comparison.completions},
        {completion.slot: completion.policy_version for completion in comparison.completions},
    )


def explain(services: Services, annotator: str, comparison_id: str, reason: Any) -> str:
    """Store why an annotator voted so on a comparison and return it; "" takes it back.

    Raises ConfigError for a reason that is no short text, StorageError, a LookupError, where no vote of theirs stands.
    """
    require_annotator(services, annotator)
    request = checked(VoteRequest, comparison_id=comparison_id or "none", choice="", reason=reason)
    standing = standing_vote(services, annotator, request.comparison_id)
    if standing is None:
        raise preferences.UnknownVoteError("no vote of yours stands on this one; vote first, then say why")
    preferences.explain_preference(services.db, standing.id, request.reason)
    return request.reason


def withdraw(services: Services, annotator: str, request: WithdrawRequest, token: str | None = None) -> int:
    """Take back an annotator's own vote, or with an admin's token anybody's. Twice is the same as once.

    What was written with it is taken back too; returned is how many answers that were.

    Raises AccessError for a token that is not an admin's, StorageError, a LookupError, for a vote that there is not or
    that is somebody else's.
    """
    if token and not services.admin.is_valid(token):
        raise AccessError(
            "the token given is not the admin's or has ended; log in first, or leave it out to take back your own vote"
        )
    if token:
        services.admin.require(token)  # the audit trail says which admin it is
    else:
        require_annotator(services, annotator)
    written = preferences.withdraw_preference(services.db, request.preference_id, None if token else annotator)
    services.status.expire()
    services.preview.votes_changed()
    return written


def standing_vote(services: Services, annotator: str, comparison_id: str) -> Preference | None:
    """Return an annotator's vote on a comparison, if one stands."""
    return preferences.standing_preference(services.db, comparison_id, annotator)


def choice_of(preference: Preference) -> str:
    """Return what was chosen: a slot, "tie", "all_bad" or "ranking"."""
    return preference.tiers[0][0] if preference.kind == "choice" else preference.kind


def _judgement(comparison: Comparison, choice: Any) -> tuple[list[list[str]], PreferenceKind]:
    """Return the tiers of slots, best first, and what kind of vote it is."""
    slots = [completion.slot for completion in comparison.completions]
    if choice == "tie":
        return [slots], "tie"
    if choice == "all_bad":
        return [], "all_bad"
    if choice in slots:
        _require_begun(comparison.completions[slots.index(choice)])
        return [[choice], [slot for slot in slots if slot != choice]], "choice"
    raise ConfigError(f'choice must be one of {", ".join(slots)}, "tie" or "all_bad", got {brief(choice)}')


def _require_begun(chosen: Completion) -> None:
    """Raise ConfigError for an answer that was stopped before its first word: nobody has read it."""
    if chosen.finish_reason == "cancelled" and not chosen.text:
        raise ConfigError(f"{chosen.slot} was stopped before its first word; choose an answer that has one")

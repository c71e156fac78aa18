"""What training did, over all versions: reward against KL, breadth, what was promised and what people say since."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alignment.runs.records import Generality, Spread, generality_from_json
from service.context import Services
from service.leaderboard import OWN_SOURCES, Standing, ranked
from service.preview import Liked
from storage import policies
from storage.messages import question_of
from storage.records import Policy
from storage.tallies import tallies

SHOWN_TEXTS = 5  # liked most, and as many liked least
SUBJECT = "policy"  # under which a version's own figures are stored


@dataclass(frozen=True)
class VersionInsight:
    """What is known of one version."""

    version: int
    status: str
    kl: float | None  # to the instruction-tuned model, nats a completion
    gain: float | None  # mean score less that of the instruction-tuned model, by the reward model of its own run
    promised: float | None  # how probably people prefer it to the instruction-tuned model, by that reward model
    # The same by people's votes with the ends of its 95% interval. All came after its run, so none was learned by it.
    people: tuple[float, float, float] | None
    pairs: int  # judgements of it that this goes by
    agreement: tuple[float, float, float] | None  # of that reward model with votes it had not learned, with interval
    accuracy: float | None  # of the checks' facts
    spreads: dict[str, Spread]  # of its answers, by the kind of prompts: "like" those voted on, "unlike" them


@dataclass(frozen=True)
class Insight:
    """All versions, the oldest first, what they began as, and what the reward model of all votes thinks."""

    versions: tuple[VersionInsight, ...]
    references: dict[str, dict[str, Spread]]  # "base" and "sft", by the kind of prompts, as measured last
    most: tuple[Liked, ...]  # texts that it likes most; for the admin, because people wrote the prompts
    least: tuple[Liked, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/insight` get it."""
        texts = {
            name: [
                {"question": question_of(one.text.messages), "completion": one.text.completion, "score": one.score}
                for one in liked
            ]
            for name, liked in (("liked_most", self.most), ("liked_least", self.least))
        }
        references = {
            name: {kind: asdict(spread) for kind, spread in kinds.items()} for name, kinds in self.references.items()
        }
        return {"versions": [asdict(one) for one in self.versions], "references": references, **texts}


def insight(services: Services, token: str | None) -> Insight:
    """Return what training did; with the admin's token, also texts that the reward model likes most and least.

    Raises AccessError for a token that is not an admin's.
    """
    if token:
        services.admin.require(token)
    board = ranked(tallies(services.db, sources=OWN_SOURCES))
    standing = {one.version: one for one in board.standings if one.version is not None}
    known = sorted(policies.list_policies(services.db), key=lambda one: one.version)
    most, least = services.preview.extremes(SHOWN_TEXTS) if token else ((), ())
    return Insight(
        tuple(_of_version(policy, standing.get(policy.version)) for policy in known), _references(known), most, least
    )


def _of_version(policy: Policy, standing: Standing | None) -> VersionInsight:
    evaluation = policy.evaluation
    generality = generality_from_json(evaluation.get("generality"))
    right = (evaluation.get("reward") or {}).get("accuracy") or {}
    share = right.get("share")
    return VersionInsight(
        version=policy.version,
        status=policy.status,
        kl=evaluation.get("kl"),
        gain=_gain(generality),
        promised=_mean([one.preferred for one in _of(generality, SUBJECT).values()]),
        people=standing.against_sft if standing else None,
        pairs=standing.pairs if standing else 0,
        agreement=None if share is None else (share, right["low"], right["high"]),
        accuracy=evaluation.get("accuracy"),
        spreads=_of(generality, SUBJECT),
    )


def _of(generality: Generality | None, model: str) -> dict[str, Spread]:
    return dict(generality.models.get(model, {})) if generality else {}


def _gain(generality: Generality | None) -> float | None:
    """Return how much higher a version scores than the instruction-tuned model, on the same prompts."""
    own, reference = (_mean([one.score for one in _of(generality, name).values()]) for name in (SUBJECT, "sft"))
    return None if own is None or reference is None else own - reference


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _references(known: Sequence[Policy]) -> dict[str, dict[str, Spread]]:
    """Return what was measured last of what all versions began as."""
    found: dict[str, dict[str, Spread]] = {}
    for policy in known:
        generality = generality_from_json(policy.evaluation.get("generality"))
        found |= {name: spreads for name in ("base", "sft") if (spreads := _of(generality, name))}
    return found

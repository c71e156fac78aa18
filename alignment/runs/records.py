"""What is known of a policy version once it has been judged: the record that is stored with it. No torch here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from alignment.models.shipped_files import CheckKind
from alignment.runs.findings import Verdict, verdict_from_json, verdict_to_json

NOT_MEASURED = float("nan")
Share = Literal["accuracy", "refusals", "helped", "abstained", "ended", "own"]
SHARES: dict[CheckKind, Share] = {  # what the share of the checks of a kind is called
    "contains": "accuracy",
    "refuses": "refusals",
    "helps": "helped",
    "abstains": "abstained",
    "own": "own",
}


@dataclass(frozen=True)
class Outcome:
    """What a policy made of one check."""

    key: str  # names the check and how long the answer may get
    kind: CheckKind
    passed: bool
    ended: bool | None  # whether the answer ended by itself; None where that is not measured
    answer: str = ""  # not stored


@dataclass(frozen=True)
class CheckResults:
    """What a policy did on a model's checks: shares from 0 to 1, NaN where there was nothing to check."""

    accuracy: float = NOT_MEASURED  # of the facts asked for, said
    refusals: float = NOT_MEASURED  # of the harmful requests, refused
    helped: float = NOT_MEASURED  # of their harmless look-alikes, helped with
    abstained: float = NOT_MEASURED  # of the questions about what does not exist, answered by not knowing
    ended: float = NOT_MEASURED  # of all completions, ended by themselves
    own: float = NOT_MEASURED  # of the admin's own checks, passed
    counts: Mapping[str, int] = field(default_factory=dict)  # checks of each kind
    outcomes: tuple[Outcome, ...] = ()  # one a check, in the order of asking; stored of the first version alone

    @property
    def answers(self) -> tuple[str, ...]:
        """A completion a check."""
        return tuple(one.answer for one in self.outcomes)

    def flags(self, share: Share) -> dict[str, bool]:
        """Return by the keys of the checks that a share is of whether each was passed, or ended."""
        if share == "ended":
            return {one.key: one.ended for one in self.outcomes if one.ended is not None}
        return {one.key: one.passed for one in self.outcomes if SHARES[one.kind] == share}

    def to_json(self) -> dict[str, Any]:
        """Return the shares that were measured, by name, and the counts."""
        shares = {name: getattr(self, name) for name in get_args(Share)}
        return {name: value for name, value in shares.items() if value == value} | {"counts": dict(self.counts)}


def results_of(outcomes: Sequence[Outcome]) -> CheckResults:
    """Return the results that outcomes make together."""
    bare = CheckResults(counts=Counter(one.kind for one in outcomes), outcomes=tuple(outcomes))

    def share(name: Share) -> float:
        flags = bare.flags(name).values()
        return sum(flags) / len(flags) if flags else NOT_MEASURED

    shares: dict[str, Any] = {name: share(name) for name in get_args(Share)}
    return replace(bare, **shares)


def check_results_from_json(stored: Mapping[str, Any]) -> CheckResults:
    """Return what `CheckResults.to_json` made plain, with the outcomes if they were stored too."""

    def share(name: Share) -> float:
        return float(stored.get(name, NOT_MEASURED))

    return CheckResults(
        accuracy=share("accuracy"),
        refusals=share("refusals"),
        helped=share("helped"),
        abstained=share("abstained"),
        ended=share("ended"),
        own=share("own"),
        counts=stored.get("counts", {}),
        outcomes=_outcomes_from_json(stored.get("outcomes", {})),
    )


def _outcomes_to_json(outcomes: Sequence[Outcome]) -> dict[str, dict[str, str]]:
    """Return by kind and key "1" for passed, then "1" for ended if that was measured: `{"helps": {"ab": "10"}}`."""
    found: dict[str, dict[str, str]] = {}
    for one in outcomes:
        ended = "" if one.ended is None else str(int(one.ended))
        found.setdefault(one.kind, {})[one.key] = f"{int(one.passed)}{ended}"
    return found


def _outcomes_from_json(stored: Mapping[str, Mapping[str, str]]) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(key, kind, said[0] == "1", said[1] == "1" if len(said) > 1 else None)  # type: ignore[arg-type]
        for kind, by_key in stored.items()
        for key, said in by_key.items()
    )


@dataclass(frozen=True)
class AnswerPair:
    """What the parent and the candidate say to the same prompt."""

    prompt: str
    before: str
    after: str


@dataclass(frozen=True)
class LostCheck:
    """A check that the better one before passed and the candidate did not."""

    prompt: str
    kind: CheckKind
    wanted: tuple[str, ...]  # texts that a right answer holds
    unwanted: tuple[str, ...]  # and those that it does not
    before: str  # what was answered before, "" where that is not known
    answer: str


@dataclass(frozen=True)
class Manner:
    """How the answers of one policy are written."""

    words: float  # of an answer, on average
    # Share of different ones among all pairs of neighbouring words (distinct-2: Li et al. 2016): within an answer, on
    # average, and over all answers together.
    distinct_within: float
    distinct_across: float
    perplexity: float  # of the answers under the instruction-tuned model; less is more fluent


@dataclass(frozen=True)
class Manners:
    """The parent's manner and the candidate's, on the same prompts."""

    before: Manner
    after: Manner
    # Share of the prompts at which the reward model likes the candidate's answer better, by its mean score less its
    # deviation; ties count half. None where no reward model judged.
    preferred: float | None


@dataclass(frozen=True)
class Spread:
    """How one model answers prompts of one kind, a few times each."""

    within: float  # different n-grams among the answers to one prompt, of as many as chance would give
    across: float  # the same among answers to different prompts
    tokens: float  # of an answer, on average
    score: float | None  # by the reward model of the run, on average
    preferred: float | None  # how probably it is preferred to the instruction-tuned model's, by that reward model


@dataclass(frozen=True)
class Generality:
    """How broadly base, instruction-tuned model and policy answer: `alignment/runs/generality.py` measures it."""

    prompts: Mapping[str, int]  # "like" those that were voted on, and "unlike" them
    samples: int  # answers to each
    models: Mapping[str, Mapping[str, Spread]]  # of "base", "sft" and "policy", by the kind of prompts


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of a policy version. A version that came with the model has no verdict."""

    results: CheckResults = CheckResults()
    kl: float | None = None  # to the SFT adapter, nats a completion
    first: CheckResults | None = None  # of the first version, to which the gate holds all later ones
    verdict: Verdict | None = None
    answers: tuple[AnswerPair, ...] = ()  # some of the parent's and the candidate's
    lost: tuple[LostCheck, ...] = ()  # some of the checks that were passed before
    manners: Manners | None = None  # how both are written
    reward: Mapping[str, Any] | None = None  # `Agreement` of the reward model with votes, as plain values
    generality: Generality | None = None  # None where it was not measured


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as it is stored in `policies.evaluation` and returned by `/policies`.

    Example: `{"accuracy": 0.88, "counts": {"contains": 80}, "kl": 1.7, "first": {…}, "gate": {"passed": true,
    "findings": […], …}, "before_after": [{"prompt": …, "before": …, "after": …}], "lost": […], "manners": {…},
    "reward": {…}, "generality": {…}}`.
    """
    stored = evaluation.results.to_json() | {"kl": evaluation.kl}
    if evaluation.first is not None:
        outcomes = _outcomes_to_json(evaluation.first.outcomes)
        stored["first"] = evaluation.first.to_json() | {"outcomes": outcomes}
    if evaluation.verdict is not None:
        stored["gate"] = verdict_to_json(evaluation.verdict)
        stored["before_after"] = [asdict(pair) for pair in evaluation.answers]
        stored["lost"] = [asdict(one) for one in evaluation.lost]
        stored["manners"] = None if evaluation.manners is None else asdict(evaluation.manners)
        stored["reward"] = evaluation.reward
        stored["generality"] = None if evaluation.generality is None else asdict(evaluation.generality)
    return stored


def evaluation_from_json(stored: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation that `evaluation_to_json` made plain; what is missing is taken as not measured."""
    first, gate = stored.get("first"), stored.get("gate")
    return Evaluation(
        check_results_from_json(stored),
        stored.get("kl"),
        None if first is None else check_results_from_json(first),
        None if gate is None else verdict_from_json(gate),
        tuple(AnswerPair(**pair) for pair in stored.get("before_after") or ()),
        lost_of(stored),
        manners_from_json(stored["manners"]) if stored.get("manners") else None,
        stored.get("reward"),
        generality_from_json(stored.get("generality")),
    )


def generality_from_json(stored: Mapping[str, Any] | None) -> Generality | None:
    """Return the generality that `dataclasses.asdict` made plain, None where none was measured."""
    if not stored:
        return None
    models = {
        name: {kind: Spread(**spread) for kind, spread in kinds.items()} for name, kinds in stored["models"].items()
    }
    return Generality(stored["prompts"], stored["samples"], models)


def lost_of(stored: Mapping[str, Any]) -> tuple[LostCheck, ...]:
    """Return the lost checks out of a stored evaluation."""
    return tuple(
        LostCheck(**{**one, "wanted": tuple(one["wanted"]), "unwanted": tuple(one["unwanted"])})
        for one in stored.get("lost") or ()
    )


def manners_from_json(stored: Mapping[str, Any]) -> Manners:
    """Return the manners that `dataclasses.asdict` made plain."""
    return Manners(Manner(**stored["before"]), Manner(**stored["after"]), stored["preferred"])

"""What is known of a policy version once it has been judged: the record that is stored with it. No torch here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from alignment.runs.findings import Verdict, verdict_from_json, verdict_to_json

NOT_MEASURED = float("nan")
Share = Literal["accuracy", "refusals", "helped", "abstained", "ended"]


@dataclass(frozen=True)
class CheckResults:
    """What a policy did on a model's checks: shares from 0 to 1, NaN where there was nothing to check."""

    accuracy: float = NOT_MEASURED  # of the facts asked for, said
    refusals: float = NOT_MEASURED  # of the harmful requests, refused
    helped: float = NOT_MEASURED  # of their harmless look-alikes, helped with
    abstained: float = NOT_MEASURED  # of the questions about what does not exist, answered by not knowing
    ended: float = NOT_MEASURED  # of all completions, ended by themselves
    counts: Mapping[str, int] = field(default_factory=dict)  # checks of each kind
    answers: tuple[str, ...] = ()  # a completion a check; not stored

    def to_json(self) -> dict[str, Any]:
        """Return the shares that were measured, by name, and the counts."""
        shares = {name: getattr(self, name) for name in get_args(Share)}
        return {name: value for name, value in shares.items() if value == value} | {"counts": dict(self.counts)}


def check_results_from_json(stored: Mapping[str, Any]) -> CheckResults:
    """Return what `CheckResults.to_json` made plain, without the answers."""

    def share(name: Share) -> float:
        return float(stored.get(name, NOT_MEASURED))

    return CheckResults(
        accuracy=share("accuracy"),
        refusals=share("refusals"),
        helped=share("helped"),
        abstained=share("abstained"),
        ended=share("ended"),
        counts=stored.get("counts", {}),
    )


@dataclass(frozen=True)
class AnswerPair:
    """What the parent and the candidate say to the same prompt."""

    prompt: str
    before: str
    after: str


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
class Evaluation:
    """Everything measured of a policy version. A version that came with the model has no verdict."""

    results: CheckResults = CheckResults()
    kl: float | None = None  # to the SFT adapter, nats a completion
    first: CheckResults | None = None  # of the first version, to which the gate holds all later ones
    verdict: Verdict | None = None
    answers: tuple[AnswerPair, ...] = ()  # some of the parent's and the candidate's
    manners: Manners | None = None  # how both are written
    reward: Mapping[str, Any] | None = None  # `Agreement` of the reward model with votes, as plain values


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as it is stored in `policies.evaluation` and returned by `/policies`.

    Example: `{"accuracy": 0.88, "counts": {"contains": 80}, "kl": 1.7, "first": {…}, "gate": {"passed": true,
    "findings": […], …}, "before_after": [{"prompt": …, "before": …, "after": …}], "manners": {…},
    "reward": {…}}`.
    """
    stored = evaluation.results.to_json() | {"kl": evaluation.kl}
    if evaluation.first is not None:
        stored["first"] = evaluation.first.to_json()
    if evaluation.verdict is not None:
        stored["gate"] = verdict_to_json(evaluation.verdict)
        stored["before_after"] = [asdict(pair) for pair in evaluation.answers]
        stored["manners"] = None if evaluation.manners is None else asdict(evaluation.manners)
        stored["reward"] = evaluation.reward
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
        manners_from_json(stored["manners"]) if stored.get("manners") else None,
        stored.get("reward"),
    )


def manners_from_json(stored: Mapping[str, Any]) -> Manners:
    """Return the manners that `dataclasses.asdict` made plain."""
    return Manners(Manner(**stored["before"]), Manner(**stored["after"]), stored["preferred"])

"""Judges what a run has trained: measured beside its parent, and put back towards it where it fails."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from peft import PeftModel

from alignment.errors import AdapterError
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.models.adapters import adapter_parameters, move_adapter, take_weights
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check
from alignment.reward.agreement import Proportion
from alignment.reward.scorer import Scorer
from alignment.runs.evaluation import evaluate, key_of
from alignment.runs.findings import PutBack, Verdict
from alignment.runs.gate import judge
from alignment.runs.lost_checks import lost_checks
from alignment.runs.manner import liked, manners
from alignment.runs.records import AnswerPair, CheckResults, Evaluation, Outcome, results_of
from alignment.runs.settings import GateConfig
from storage.messages import Messages, question_of

log = logging.getLogger(__name__)

KL_ROLLOUTS = 64
ANSWER_PAIRS = 8  # prompts stored with the parent's and the candidate's answers


@dataclass(frozen=True)
class Candidate:
    """A trained policy that is to be judged, and by what."""

    model: PeftModel  # carries the adapters "policy", the candidate, and "parent"
    tokenizer: Any
    checks: Sequence[Check]
    prompts: Sequence[Messages]  # for the rollouts that measure the KL
    kl: float  # to the SFT adapter, nats a completion
    seed: int  # of those rollouts
    rollout_tokens: int  # most of a completion
    check_tokens: int | None = None  # most of an answer to a check; None: as many as of a completion
    score: Scorer | None = None  # what the candidate was trained to please
    kl_error: float = 0.0  # standard error of `kl`
    own: Sequence[Check] = ()  # the admin's checks, answered as long as a completion gets
    first: Callable[[], str | None] | None = None  # attaches version 1, returns its adapter; None: "parent" is that

    @property
    def asked(self) -> list[Check]:
        """All checks, in the order of asking."""
        return [*self.checks, *self.own]

    def results(self, adapter: str | None, known: frozenset[str] = frozenset()) -> CheckResults:
        """Return how an adapter does on the checks but those whose keys are `known`, greedily.

        Whether it ends is not measured on answers cut short.
        """
        tokens = self.check_tokens or self.rollout_tokens
        outcomes: list[Outcome] = []
        for checks, most, ends in (
            (self.checks, tokens, tokens >= self.rollout_tokens),
            (self.own, self.rollout_tokens, False),
        ):
            wanted = [check for check in checks if key_of(check, most) not in known]
            sampling = Sampling(0.0, most)
            outcomes += evaluate(self.model, self.tokenizer, adapter, wanted, sampling, ends=ends).outcomes
        return results_of(outcomes)

    def first_results(self, before: CheckResults, recorded: Evaluation) -> CheckResults:
        """Return how version 1 does, asked only what it was not asked before; nothing where it cannot be loaded.

        `before` is how the parent does, `recorded` what was stored of it.
        """
        if self.first is None:
            return before
        keys = {one.key for one in before.outcomes}
        known = [one for one in (recorded.first or CheckResults()).outcomes if one.key in keys]
        if len(known) == len(keys):
            return results_of(known)
        try:
            asked = self.results(self.first(), frozenset(one.key for one in known))
        except AdapterError as error:
            log.warning("version 1 cannot be asked, so the parent alone is the measure: %s", error)
            return CheckResults()
        return results_of([*known, *asked.outcomes])

    def liked(self, before: CheckResults, after: CheckResults) -> Proportion | None:
        """Return how many answers of the policy the reward model likes better than the parent's (`manner.liked`)."""
        return liked(self.tokenizer, self.asked, (before.answers, after.answers), self.score)

    def measured_kl(self) -> tuple[float, float]:
        """Return the KL of the policy as it is now, in nats a completion, and its standard error."""
        sampling = Sampling(1.0, self.rollout_tokens)
        sampled = sampled_metrics(self.model, self.tokenizer, self.prompts, sampling, KL_ROLLOUTS, self.seed)
        return sampled["objective/kl"], sampled["objective/kl_error"]


def check(
    candidate: Candidate, recorded: Evaluation, config: GateConfig, on_progress: Callable[[float], None]
) -> Evaluation:
    """Return what the candidate measures, the gate's verdict on it, and answers of it beside its parent's.

    A candidate that fails is put back towards its parent by `step_back` of the way, and judged again, until it passes
    or nothing of the way is left. Most of what a few votes teach grows along that line, and so does what they break
    (weights between two fine-tuned models: Wortsman et al. 2022, section 4). One that passes nowhere keeps the weights
    that it was trained to. `recorded` is what was stored of the parent.
    """
    before = candidate.results("parent")
    first = candidate.first_results(before, recorded)
    on_progress(0.4)
    after = candidate.results("policy")
    on_progress(0.7)
    preferred = candidate.liked(before, after)
    verdict = judge(after, before, first, candidate.kl, config, candidate.kl_error, preferred)
    judged = Evaluation(after, candidate.kl, first, verdict)
    if not verdict.passed and config.step_back:
        judged = _put_back(candidate, before, judged, verdict, config)
    on_progress(0.9)
    told = before.answers, judged.results.answers
    return replace(
        judged,
        answers=_answer_pairs(candidate.asked, before, judged.results),
        lost=lost_checks(candidate.asked, judged.results, before, first),
        manners=manners(candidate.model, candidate.tokenizer, candidate.asked, told, candidate.score),
    )


def _put_back(
    candidate: Candidate, before: CheckResults, whole: Evaluation, failed: Verdict, config: GateConfig
) -> Evaluation:
    """Move the policy to the largest part of the way from its parent that passes and return what it measures there.

    There the mean of the KL must be within its bound. That its interval reaches the bound is not enough: few rollouts
    make the interval wide, and a shorter part can always be tried. If no part passes, the policy stays where it was,
    and `whole`, what it measures there, is returned with that noted.
    """
    model, first = candidate.model, whole.first or CheckResults()
    weights = [weight.detach().clone() for weight in adapter_parameters(model, "policy")]
    for share in _shares_of_the_way(config.step_back):
        take_weights(adapter_parameters(model, "policy"), weights)
        move_adapter(model, "policy", "parent", share)
        results, (kl, error) = candidate.results("policy"), candidate.measured_kl()
        verdict = judge(results, before, first, kl, config, error, candidate.liked(before, results))
        if verdict.passed and kl <= config.max_kl:
            return Evaluation(results, kl, first, replace(verdict, put_back=PutBack(share, failed.failed)))
    take_weights(adapter_parameters(model, "policy"), weights)
    return replace(whole, verdict=replace(failed, put_back=PutBack(None, failed.failed)))


def _shares_of_the_way(step: float) -> list[float]:
    """Return 1 - step, 1 - 2 step … as long as something of the way is left, for a step from 0.05 to 0.5."""
    return [1 - number * step for number in range(1, math.ceil(1 / step - 1e-9))]


def _answer_pairs(checks: Sequence[Check], before: CheckResults, after: CheckResults) -> tuple[AnswerPair, ...]:
    """Return some of the answers of both, those that differ first: of the admin's own checks, then spread over all."""
    rows = zip((question_of(check.messages) for check in checks), before.answers, after.answers, strict=True)
    pairs = [AnswerPair(*row) for row in rows]

    def same(pair: AnswerPair) -> bool:
        return pair.before == pair.after

    own = sorted((pair for check, pair in zip(checks, pairs, strict=True) if check.kind == "own"), key=same)
    spread = dict.fromkeys(own[: ANSWER_PAIRS // 2] + pairs[:: max(1, len(pairs) // ANSWER_PAIRS)] + pairs)
    return tuple(sorted(spread, key=same)[:ANSWER_PAIRS])

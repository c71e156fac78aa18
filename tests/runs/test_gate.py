"""The gate: what a candidate must hold to be served, and how what it measured is stored."""

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from alignment.models.shipped_files import CheckKind
from alignment.reward.agreement import wilson
from alignment.runs.findings import PutBack, Remark
from alignment.runs.gate import judge
from alignment.runs.records import (
    AnswerPair,
    CheckResults,
    Evaluation,
    LostCheck,
    Manner,
    Manners,
    Outcome,
    check_results_from_json,
    evaluation_from_json,
    evaluation_to_json,
    results_of,
)
from alignment.runs.settings import GateConfig

COUNTS: dict[CheckKind, int] = {"contains": 80, "refuses": 64, "helps": 64, "abstains": 32, "own": 4}
RIGHT: dict[CheckKind, int] = {"contains": 70, "refuses": 60, "helps": 64, "abstains": 32, "own": 4}
NO_FIRST = CheckResults()


def results(lost: Mapping[CheckKind, int] | None = None, gained: int = 0, endless: int = 0) -> CheckResults:
    """Return the results of a policy that lost so many checks of some kinds and gained so many facts."""
    outcomes = []
    for kind, count in COUNTS.items():
        right = RIGHT[kind]
        for number in range(count):
            passed = (lost or {}).get(kind, 0) <= number < right or (
                kind == "contains" and 0 <= number - right < gained
            )
            outcomes.append(Outcome(f"{kind} {number}", kind, passed, len(outcomes) >= endless, "said"))
    return results_of(outcomes)


def test_an_equal_candidate_passes_the_gate_and_each_finding_has_value_interval_and_bound() -> None:
    verdict = judge(results(), results(), results(), 5.0, GateConfig(), kl_error=0.5)
    assert verdict.passed
    assert [finding.name for finding in verdict.findings] == [
        *("accuracy", "refusals", "helped", "abstained", "ended", "own", "kl")
    ]
    facts, kl = verdict.findings[0], verdict.findings[-1]
    assert (facts.value, facts.count, facts.best_before, facts.lost, facts.bound) == (70, 80, 70, 0, 0.03)
    assert facts.low is not None and facts.low < 0 < (facts.high or 0)
    assert (kl.low, kl.high) == pytest.approx((5 - 0.98, 5 + 0.98), abs=1e-3)


# Worked by Newcombe's method: the upper ends of the changes are 0.026, -0.013 and -0.033.
@pytest.mark.parametrize(("lost", "passes"), [(6, True), (10, True), (12, False)])
def test_facts_may_be_lost_until_chance_and_bound_together_do_not_explain_it(lost: int, passes: bool) -> None:
    verdict = judge(results({"contains": lost}, gained=2), results(), NO_FIRST, 5.0, GateConfig())
    assert verdict.passed is passes
    assert (verdict.findings[0].high or 0) == pytest.approx({6: 0.026, 10: -0.013, 12: -0.033}[lost], abs=5e-4)


def test_a_bound_of_nothing_holds_back_what_is_surely_lost_and_no_more() -> None:
    strict = GateConfig(max_accuracy_drop=0.0)
    assert judge(results({"contains": 6}, gained=2), results(), NO_FIRST, 5.0, strict).passed
    assert not judge(results({"contains": 10}, gained=2), results(), NO_FIRST, 5.0, strict).passed


@pytest.mark.parametrize(
    ("candidate", "kl", "named"),
    [
        (results({"contains": 20}), 5.0, "accuracy"),
        (results({"refuses": 12}), 5.0, "refusals"),
        (results({"helps": 20}), 5.0, "helped"),
        (results({"abstains": 12}), 5.0, "abstained"),
        (results(endless=60), 5.0, "ended"),
        (results({"own": 1}), 5.0, "own"),
        (results(), 30.0, "kl"),
    ],
)
def test_a_worse_candidate_fails_with_the_reason(candidate: CheckResults, kl: float, named: str) -> None:
    verdict = judge(candidate, results(), NO_FIRST, kl, GateConfig())
    assert not verdict.passed
    assert [finding.name for finding in verdict.failed] == [named]


def test_a_kl_beyond_its_bound_by_chance_alone_passes() -> None:
    assert judge(results(), results(), NO_FIRST, 26.0, GateConfig(), kl_error=0.6).passed
    assert not judge(results(), results(), NO_FIRST, 26.0, GateConfig(), kl_error=0.5).passed


# Wilson's intervals end at 0.52 and 0.47.
@pytest.mark.parametrize(("won", "passes"), [(19, True), (17, False)])
def test_a_candidate_that_surely_pleases_the_reward_model_less_than_its_parent_is_held_back(
    won: int, passes: bool
) -> None:
    verdict = judge(results(), results(), NO_FIRST, 5.0, GateConfig(), liked=wilson(won, 50))
    assert [finding.name for finding in verdict.failed] == ([] if passes else ["liked"])
    assert judge(results(), results(), NO_FIRST, 5.0, GateConfig(least_liked=0.0), liked=wilson(won, 50)).passed
    unchanged = judge(results(), results(), NO_FIRST, 5.0, GateConfig(), liked=wilson(0, 0))
    assert "liked" not in {finding.name for finding in unchanged.findings}


def test_small_losses_do_not_add_up_over_versions() -> None:
    """Each step passes against its parent alone; the sum of them fails against version 1, with which it is paired."""
    first, parent, candidate = results(), results({"contains": 8}), results({"contains": 16})
    assert judge(parent, first, first, 5.0, GateConfig()).passed
    assert judge(candidate, parent, NO_FIRST, 5.0, GateConfig()).passed
    verdict = judge(candidate, parent, first, 5.0, GateConfig())
    assert [finding.name for finding in verdict.failed] == ["accuracy"]
    assert (verdict.findings[0].against, verdict.findings[0].best_before, verdict.findings[0].lost) == ("first", 70, 16)
    assert verdict.findings[1].against == "parent"


def test_a_first_version_that_was_not_asked_all_checks_is_no_measure() -> None:
    first = results()
    first = replace(first, outcomes=first.outcomes[1:])
    verdict = judge(results({"contains": 16}), results({"contains": 8}), first, 5.0, GateConfig())
    assert verdict.findings[0].against == "parent"


def test_so_many_own_checks_may_be_lost_as_the_admin_says_even_if_as_many_are_gained() -> None:
    before, lost = results({"own": 1}), results()
    after = replace(
        lost, outcomes=tuple(replace(o, passed=o.key != "own 3") if o.kind == "own" else o for o in lost.outcomes)
    )
    own = judge(after, before, NO_FIRST, 5.0, GateConfig()).findings[-2]
    assert (own.name, own.value, own.best_before, own.lost, own.passed) == ("own", 3, 3, 1, False)
    assert judge(after, before, NO_FIRST, 5.0, GateConfig(max_own_lost=1)).passed


def test_a_skill_that_no_version_had_binds_nothing_and_two_checks_of_two_bind() -> None:
    def refusing(*passed: bool) -> CheckResults:
        return results_of([Outcome(f"{i}", "refuses", one, None) for i, one in enumerate(passed)])

    rare = refusing(True, *[False] * 12)
    assert judge(refusing(*[False] * 13), rare, rare, 1.0, GateConfig()).passed
    assert not judge(refusing(False, False), refusing(True, True), NO_FIRST, 1.0, GateConfig()).passed


def test_what_a_model_has_no_checks_for_does_not_block_it() -> None:
    verdict = judge(CheckResults(), CheckResults(), CheckResults(), 3.0, GateConfig())
    assert verdict.passed
    assert [finding.name for finding in verdict.findings] == ["kl"]


def test_an_evaluation_comes_back_from_json_as_it_was_but_for_what_each_check_was_answered() -> None:
    judged = judge(results({"helps": 30}), results(), results(), 1.5, GateConfig())
    verdict = replace(judged, put_back=PutBack(0.8, judged.failed), stopped_early="KL", remarks=(Remark("odd", True),))
    answers, manners = (AnswerPair("Hi", "Hello.", "Hey!"),), Manners(Manner(9, 1, 0.8, 2.5), Manner(4, 1, 0.9, 3), 0.7)
    lost = (LostCheck("Hi", "own", ("Hello",), ("Hey",), "Hello.", "Hey!"),)
    first = results()
    evaluation = Evaluation(results(), 1.5, first, verdict, answers, lost, manners, {"log_loss": 0.6})
    again = evaluation_from_json(json.loads(json.dumps(evaluation_to_json(evaluation))))
    silent = tuple(replace(one, answer="") for one in first.outcomes)
    assert again == replace(
        evaluation, results=replace(evaluation.results, outcomes=()), first=replace(first, outcomes=silent)
    )
    stored = evaluation_to_json(evaluation)
    assert {"accuracy", "counts", "kl", "first", "gate", "before_after", "lost", "manners", "reward"} <= set(stored)
    assert stored["gate"]["passed"] is False
    assert evaluation_from_json({}).verdict is None


def test_shares_that_were_not_measured_are_not_stored() -> None:
    stored = CheckResults(refusals=0.5, counts={"refuses": 2}).to_json()
    assert stored == {"refusals": 0.5, "counts": {"refuses": 2}}
    assert check_results_from_json(stored).to_json() == stored

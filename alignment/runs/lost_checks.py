"""Which checks a candidate no longer passes, with what it answered and what was wanted: samples to be read."""

from collections.abc import Sequence

from alignment.models.shipped_files import Check
from alignment.runs.gate import better_before
from alignment.runs.records import SHARES, CheckResults, LostCheck
from storage.messages import question_of

MOST = 12  # that are stored


def lost_checks(
    checks: Sequence[Check], after: CheckResults, parent: CheckResults, first: CheckResults
) -> tuple[LostCheck, ...]:
    """Return some of the checks that the better of parent and first version passed and the candidate did not.

    The admin's own come first, then the kinds in turn, so that each kind has its samples. `checks` are in the order of
    the outcomes. What the first version answered is known only where it was asked just now.
    """
    answered = {"parent": _answers(parent), "first": _answers(first)}
    by_kind: dict[str, list[LostCheck]] = {"own": []}
    for check, now in zip(checks, after.outcomes, strict=True):
        against, before = better_before(SHARES[check.kind], parent, first)
        if now.passed or not before.get(now.key):
            continue
        said = answered[against].get(now.key, "")
        lost = LostCheck(question_of(check.messages), check.kind, check.expect, check.avoid, said, now.answer)
        by_kind.setdefault(check.kind, []).append(lost)
    own, *others = by_kind.values()
    turns = max(map(len, others), default=0)
    in_turn = [kind[turn] for turn in range(turns) for kind in others if turn < len(kind)]
    return tuple([*own, *in_turn][:MOST])


def _answers(results: CheckResults) -> dict[str, str]:
    return {one.key: one.answer for one in results.outcomes}

"""The gate's verdict in sentences. Nothing reads a sentence back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alignment.runs.findings import Finding, Remark, Verdict, verdict_from_json
from storage.records import Policy, Run
from ui import strings


def verdict_of(evaluation: Mapping[str, Any]) -> Verdict | None:
    """Return the gate's verdict out of a version's evaluation, None for a version that was not judged."""
    gate = evaluation.get("gate")
    return verdict_from_json(gate) if gate else None


def reasons(verdict: Verdict) -> list[str]:
    """Return a sentence for all that the gate looked at; what failed has a ✗ at its end."""
    judged: list[Finding | Remark] = [*verdict.findings, *verdict.remarks]
    return [*map(_sentence, judged), *_notes(verdict)]


def finding_words(finding: Finding) -> str:
    """Return a finding in words, without saying whether it passed."""
    name, interval = strings.MEASURES[finding.name], _interval(finding)
    if finding.unit == "nats":
        said = strings.FINDING_INTERVAL.format(interval=interval) if interval else ""
        return strings.FINDING_IN_NATS.format(name=name, value=finding.value, interval=said, bound=finding.bound)
    if finding.unit == "wins":
        return strings.FINDING_OF_WINS.format(
            name=name,
            share=finding.share,
            value=finding.value,
            count=finding.count,
            interval=interval,
            bound=finding.bound,
        )
    return strings.FINDING.format(
        name=name,
        share=finding.share,
        passed=finding.value,
        count=finding.count,
        before=finding.best_before,
        change=strings.FINDING_CHANGE.format(interval=interval) if interval else "",
        least=_bound(finding),
    )


def _bound(finding: Finding) -> str:
    """Return how far a finding of checks may fall, in words."""
    least = strings.AT_LEAST if finding.bound else strings.NO_BOUND
    words = {"paired": strings.MAY_LOSE, "lost": strings.MAY_LOSE_SO_MANY}.get(finding.unit, least)
    return words.format(bound=finding.bound)


def _interval(finding: Finding) -> str:
    """Return the 95% interval of a finding in words, "" for one of before there were intervals."""
    if finding.low is None or finding.high is None:
        return ""
    words = {"nats": strings.NATS_INTERVAL, "wins": strings.INTERVAL}.get(finding.unit, strings.CHANGE_INTERVAL)
    return words.format(low=finding.low, high=finding.high)


@dataclass(frozen=True)
class FindingRow:
    """A finding as the table shows it."""

    name: str
    value: str
    before: str
    interval: str
    bound: str
    passed: bool


def rows(verdict: Verdict) -> list[FindingRow]:
    """Return the findings of a verdict as the rows of a table."""
    return [_row(finding) for finding in verdict.findings]


def _row(finding: Finding) -> FindingRow:
    name, interval, passed = strings.MEASURES[finding.name], _interval(finding) or "–", finding.passed
    if finding.unit == "nats":
        bound = strings.ROW_AT_MOST.format(bound=finding.bound)
        return FindingRow(name, strings.ROW_NATS.format(value=finding.value), "–", interval, bound, passed)
    if finding.unit == "wins":
        value = strings.ROW_OF_CHANGED.format(share=finding.share, value=finding.value, count=finding.count)
        return FindingRow(name, value, "–", interval, strings.ROW_AT_LEAST.format(bound=finding.bound), passed)
    value = strings.ROW_SHARE.format(share=finding.share, passed=finding.value, count=finding.count)
    against = strings.AGAINST[finding.against] if finding.against else "{before}"
    lost = strings.ROW_OF_THEM_LOST.format(lost=finding.lost) if finding.lost else ""
    return FindingRow(name, value, against.format(before=finding.best_before) + lost, interval, _bound(finding), passed)


def error_of(run: Run, produced: Policy | None) -> str | None:
    """Return why a run ended without a version that is served, None if it did not; failed findings are named."""
    verdict = verdict_of(produced.evaluation) if produced else None
    if run.status != "rejected" or produced is None or verdict is None or verdict.passed:
        return run.error
    return strings.NOT_SERVED.format(version=produced.version, failed=failed_words(verdict))


def status_words(run: Run, produced: Policy | None) -> str:
    """Return how a run stands; one that made no version, or one that passed, did not fail the check."""
    if run.status != "rejected":
        return strings.STATUS[run.status]
    if run.policy_version is None:
        return strings.NO_VERSION
    verdict = verdict_of(produced.evaluation) if produced else None
    return strings.NOT_LIVE if verdict is not None and verdict.passed else strings.STATUS[run.status]


def ended_words(run: Run, produced: Policy | None) -> str:
    """Return the sentence on a run that has ended, with places for what was made, when, and why."""
    if run.status == "rejected":
        said = {strings.NO_VERSION: strings.RUN_NO_VERSION, strings.NOT_LIVE: strings.RUN_NOT_LIVE}
        return said.get(status_words(run, produced), strings.RUN_NOT_PASSED)
    said = {"succeeded": strings.RUN_WENT_LIVE, "failed": strings.RUN_STOPPED}
    return said.get(run.status, strings.RUN_CANCELLED)


def failed_words(verdict: Verdict) -> str:
    """Return what did not pass, in words."""
    remarks = [one.text for one in verdict.remarks if not one.passed]
    return "; ".join([*map(finding_words, verdict.failed), *remarks])


def _sentence(judged: Finding | Remark) -> str:
    words = finding_words(judged) if isinstance(judged, Finding) else judged.text
    return words if judged.passed else strings.FAILED.format(words=words)


def notes(verdict: Verdict) -> list[str]:
    """Return what else is to be said of a verdict: remarks, that it was put back, that training stopped early."""
    return [*map(_sentence, verdict.remarks), *_notes(verdict)]


def _notes(verdict: Verdict) -> list[str]:
    notes = []
    if (back := verdict.put_back) is not None and back.share is None:
        notes.append(strings.NOT_NEARER)
    elif back is not None:
        failed = "; ".join(map(finding_words, back.failed))
        notes.append(strings.PUT_BACK.format(share=back.share, failed=failed))
    if verdict.stopped_early:
        notes.append(strings.STOPPED_EARLY.format(reason=verdict.stopped_early))
    return notes


def with_reasons(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evaluation whose verdict, if there is one, also holds its sentences as `reasons`."""
    verdict = verdict_of(evaluation)
    if verdict is None:
        return dict(evaluation)
    return {**evaluation, "gate": {**evaluation["gate"], "reasons": reasons(verdict)}}

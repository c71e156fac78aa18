"""The gate's verdict in sentences. Nothing reads a sentence back."""

from collections.abc import Mapping
from typing import Any

from alignment.runs.findings import Finding, Measure, Remark, Verdict, verdict_from_json
from storage.records import Policy, Run

FAILED = " ✗"
MEASURES: dict[Measure, str] = {
    "accuracy": "questions answered correctly",
    "refusals": "harmful requests refused",
    "helped": "harmless requests helped",
    "abstained": "unknown names admitted",
    "ended": "ends by itself",
    "kl": "KL to SFT",
}


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
    name = MEASURES[finding.name]
    if finding.unit == "nats":
        return f"{name}: {finding.value:.1f} nats (at most {finding.bound:.0f})"
    least = f"at least {finding.bound:.0f}" if finding.bound else "no bound"
    passed = f"{finding.share:.0%}, {finding.value:.0f} of {finding.count}"
    return f"{name}: {passed} (best before {finding.best_before}, {least})"


def error_of(run: Run, produced: Policy | None) -> str | None:
    """Return why a run ended without a version that is served, None if it did not; failed findings are named."""
    verdict = verdict_of(produced.evaluation) if produced else None
    if run.status != "rejected" or produced is None or verdict is None:
        return run.error
    failed = [*map(finding_words, verdict.failed), *(one.text for one in verdict.remarks if not one.passed)]
    return f"v{produced.version} did not pass the gate and is not served: {'; '.join(failed)}"


def _sentence(judged: Finding | Remark) -> str:
    words = finding_words(judged) if isinstance(judged, Finding) else judged.text
    return words if judged.passed else words + FAILED


def _notes(verdict: Verdict) -> list[str]:
    notes = []
    if (back := verdict.put_back) is not None and back.share is None:
        notes.append("nor does it pass nearer to the version before")
    elif back is not None:
        failed = "; ".join(map(finding_words, back.failed))
        notes.append(f"put back to {back.share:.0%} of the way from the version before; the whole way had: {failed}")
    if verdict.stopped_early:
        notes.append(f"training stopped early: {verdict.stopped_early}")
    return notes


def with_reasons(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an evaluation whose verdict, if there is one, also holds its sentences as `reasons`."""
    verdict = verdict_of(evaluation)
    if verdict is None:
        return dict(evaluation)
    return {**evaluation, "gate": {**evaluation["gate"], "reasons": reasons(verdict)}}

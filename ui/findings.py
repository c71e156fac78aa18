"""The gate's verdict in sentences. Nothing reads a sentence back."""

from collections.abc import Mapping
from typing import Any

from alignment.runs.findings import Finding, Remark, Verdict, verdict_from_json

FAILED = " ✗"


def verdict_of(evaluation: Mapping[str, Any]) -> Verdict | None:
    """Return the gate's verdict out of a version's evaluation, None for a version that was not judged."""
    gate = evaluation.get("gate")
    return verdict_from_json(gate) if gate else None


def reasons(verdict: Verdict) -> list[str]:
    """Return a sentence for all that the gate looked at; what failed has a ✗ at its end."""
    judged: list[Finding | Remark] = [*verdict.findings, *verdict.remarks]
    return [*map(_sentence, judged), *_notes(verdict)]


def _sentence(judged: Finding | Remark) -> str:
    words = judged.to_words() if isinstance(judged, Finding) else judged.text
    return words if judged.passed else words + FAILED


def _notes(verdict: Verdict) -> list[str]:
    notes = []
    if (back := verdict.put_back) is not None and back.share is None:
        notes.append("nor does it pass nearer to the version before")
    elif back is not None:
        failed = "; ".join(finding.to_words() for finding in back.failed)
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

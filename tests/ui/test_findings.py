"""Findings in words: every number of a finding is in its sentence, and a rejected run names what failed."""

import pytest

from alignment.runs.findings import Finding, Verdict, verdict_to_json
from storage.records import Policy, Run
from ui.findings import error_of, finding_words, reasons, rows

FACTS = Finding("accuracy", "checks", 89, 92, passed=False, count=96, best_before=95)
NONE = Finding("refusals", "checks", 0, 0, passed=True, count=13, best_before=1)
KL = Finding("kl", "nats", 3.0, 25.0, passed=True)
PAIRED = Finding("accuracy", "paired", 60, 0.03, False, 80, 70, 12, -0.2204, -0.0331, "first")
OWN = Finding("own", "lost", 3, 0.0, False, 4, 4, 1, -0.7, 0.4, "parent")
LIKED = Finding("liked", "wins", 12, 0.5, False, 40, low=0.18, high=0.45)
MEASURED_KL = Finding("kl", "nats", 3.0, 25.0, passed=True, low=2.5, high=3.5)


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (FACTS, "questions answered correctly: 93%, 89 of 96 (best before 95, at least 92)"),
        (NONE, "harmful requests refused: 0%, 0 of 13 (best before 1, no bound)"),
        (KL, "KL to SFT: 3.0 nats (at most 25)"),
        (
            PAIRED,
            "questions answered correctly: 75%, 60 of 80 (best before 70; change -22% to -3%, may lose 3%)",
        ),
        (OWN, "the admin's own checks: 75%, 3 of 4 (best before 4; change -70% to +40%, may lose 0)"),
        (
            LIKED,
            "answers that the reward model likes better: 30%, 12 of 40 that changed (95% interval 18% to 45%, at least "
            "50%)",
        ),
        (MEASURED_KL, "KL to SFT: 3.0 nats, 95% interval 2.5 to 3.5 (at most 25)"),
    ],
)
def test_a_finding_says_its_value_and_its_bound(finding: Finding, words: str) -> None:
    assert finding_words(finding) == words


def test_the_table_shows_value_interval_and_bound_and_against_which_version() -> None:
    facts, own, kl, old, liked = rows(Verdict((PAIRED, OWN, MEASURED_KL, FACTS, LIKED)))
    assert (facts.value, facts.before, facts.interval, facts.bound, facts.passed) == (
        *("75% · 60 of 80", "70 by v1, 12 lost", "-22% to -3%", "may lose 3%"),
        False,
    )
    assert (own.before, own.bound) == ("4, 1 lost", "may lose 0")
    assert (kl.value, kl.interval, kl.bound) == ("3.0 nats", "2.5 to 3.5", "at most 25 nats")
    assert (liked.value, liked.interval, liked.bound) == ("30% · 12 of 40 that changed", "18% to 45%", "at least 50%")
    assert (old.before, old.interval, old.bound) == ("95", "–", "at least 92")  # judged by a version of before


def test_what_failed_is_marked_and_nothing_else() -> None:
    assert [one.endswith(" ✗") for one in reasons(Verdict((FACTS, KL)))] == [True, False]


def run(status: str, error: str | None) -> Run:
    return Run(3, "ppo", {}, status, "check", 1.0, "", None, None, None, None, error)  # type: ignore[arg-type]


def test_a_rejected_run_names_the_findings_that_failed() -> None:
    made = Policy(2, 1, 3, "policies/policy-000002", "00", "rejected", {"gate": verdict_to_json(Verdict((FACTS, KL)))})
    words = "v2 did not pass the gate and is not served: questions answered correctly: 93%, 89 of 96"
    assert (error_of(run("rejected", "stored"), made) or "").startswith(words)
    assert "KL" not in (error_of(run("rejected", "stored"), made) or "")


def test_other_runs_say_what_was_stored() -> None:
    assert error_of(run("failed", "killed by signal 9"), None) == "killed by signal 9"
    assert error_of(run("succeeded", None), None) is None

"""What training did, over all versions: what evaluations stored, what people said since, what is liked."""

from dataclasses import asdict

import pytest

from alignment.errors import AccessError
from alignment.runs.records import Generality, Spread
from service.insight import insight
from service.requests import VoteRequest
from service.votes import vote
from storage import database, preferences
from storage.messages import one_turn
from storage.records import Comparison, Completion
from tests.harness.scripted import PASSWORD, Backstage
from ui import insight_view


def spread(score: float | None, preferred: float | None = None, within: float = 0.9) -> Spread:
    return Spread(within, 0.8, 20.0, score, preferred)


def generality(score: float, preferred: float, within: float) -> dict[str, object]:
    models = {
        "base": {"like": spread(None), "unlike": spread(None)},
        "sft": {"like": spread(1.0, 0.5), "unlike": spread(2.0, 0.5)},
        "policy": {"like": spread(score, preferred, within), "unlike": spread(score, preferred - 0.2, within)},
    }
    return asdict(Generality({"like": 6, "unlike": 6}, 3, models))


def judged(behind: Backstage, number: int, best: str) -> None:
    """Store a vote between the instruction-tuned model's answer (A) and that of v2 (B)."""
    told = [("A", "sft", None, "Yes"), ("B", "rlhf", 2, "Yes, gladly and at length!")]
    completions = [
        Completion(slot, role, version, f"{text} {number}", [1], 1, {}, "stop", 0.0, 0.0)  # type: ignore[arg-type]
        for slot, role, version, text in told
    ]
    comparison = Comparison(database.new_id(), one_turn(f"Ask <b>{number}</b>"), "compare", False, completions)
    preferences.save_comparison(behind.db, comparison)
    vote(behind.services, "ann", VoteRequest(comparison.id, best))


def test_each_version_has_what_its_evaluation_stored_and_what_people_said_of_it(behind: Backstage) -> None:
    right = {"share": 0.8, "low": 0.6, "high": 0.9, "count": 20}
    behind.add_policy(
        2, "retired", kl=3.0, accuracy=0.9, generality=generality(4.0, 0.9, 0.4), reward={"accuracy": right}
    )
    behind.add_policy(3, "rejected", kl=9.0)
    for number in range(8):
        judged(behind, number, "A" if number < 6 else "B")
    first, second, third = insight(behind.services, None).versions
    assert (second.version, second.kl, second.accuracy) == (2, 3.0, 0.9)
    assert second.gain == pytest.approx(4.0 - 1.5)
    assert second.promised == pytest.approx(0.8)
    assert second.agreement == (0.8, 0.6, 0.9)
    assert second.people is not None and second.people[0] < 0.4, "people like it less than was promised"
    assert second.pairs == 8
    assert (first.gain, third.gain, third.kl, third.people) == (None, None, 9.0, None)
    stored = insight(behind.services, "").to_json()
    assert stored["versions"][1]["spreads"]["like"]["within"] == 0.4
    assert set(stored["references"]) == {"base", "sft"}


def test_liked_texts_are_for_the_admin_and_are_those_with_the_highest_scores(behind: Backstage) -> None:
    for number in range(6):
        judged(behind, number, "B")
    behind.services.preview.follow()
    assert insight(behind.services, None).most == ()
    with pytest.raises(AccessError):
        insight(behind.services, "made up")
    held = behind.services.admin.login(PASSWORD)
    told = insight(behind.services, held).to_json()
    assert all("at length" in one["completion"] for one in told["liked_most"])
    assert not any("at length" in one["completion"] for one in told["liked_least"])
    scores = [one["score"] for one in told["liked_most"]]
    assert scores == sorted(scores, reverse=True) and min(scores) > told["liked_least"][-1]["score"]


def test_the_page_shows_them_and_says_what_is_missing(behind: Backstage) -> None:
    assert "The end of the first training measures" in insight_view.shown(behind.services, None)
    behind.add_policy(2, "retired", kl=3.0, accuracy=0.9, generality=generality(4.0, 0.9, 0.4))
    for number in range(6):
        judged(behind, number, "B")
    behind.services.preview.follow()
    html = insight_view.shown(behind.services, behind.services.admin.login(PASSWORD))
    assert "0.40 · 0.40" in html and "90% · 70%" in html and "RLHF v2" in html
    assert "<title>v2, KL 3: 2.50</title>" in html
    assert "Ask &lt;b&gt;" in html
    assert "at length" not in insight_view.shown(behind.services, "made up")

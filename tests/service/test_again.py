"""Earlier proposals that are shown again: whose, when, and what is measured by them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service import again
from service.completions import Progress
from service.people import integrity, leave_person_out
from service.requests import checked
from service.teach_requests import ProposeRequest, RankRequest
from service.votes import rank
from storage import database, preferences
from storage.messages import question_of
from storage.records import Comparison
from tests.harness.scripted import PASSWORD, Backstage


@pytest.fixture(autouse=True)
def behind(behind: Backstage) -> Backstage:
    behind.engine.texts |= {"rlhf": "Paris, PROMPT SEED", "sft": "You asked: PROMPT SEED"}
    return behind


def shares(monkeypatch: pytest.MonkeyPatch, own: float, others: float) -> None:
    monkeypatch.setattr(again, "OWN_SHARE", own)
    monkeypatch.setattr(again, "OTHERS_SHARE", others)


def proposed(behind: Backstage, annotator: str = "ann", **arguments: Any) -> Progress:
    async def last() -> Progress:
        request = checked(ProposeRequest, k=2, **arguments)
        return [item async for item in again.propose_or_again(behind.services, annotator, request)][-1]

    return asyncio.run(last())


def best(behind: Backstage, item: Progress, place: int = 0, annotator: str = "ann") -> str:
    """Rank two answers and return the text that is better."""
    ranking = "A > B" if place == 0 else "B > A"
    rank(behind.services, annotator, RankRequest(item.comparison_id, ranking))
    return item.completions[place].text


def stored(db: Path, item: Progress) -> Comparison:
    return preferences.get_comparison(db, item.comparison_id)


def test_ones_own_is_shown_again_once_after_some_others_and_agreement_is_measured(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares(monkeypatch, 1.0, 1.0)
    first = proposed(behind)
    chosen = best(behind, first)
    for _ in range(again.SPACED):
        item = proposed(behind)
        assert "of" not in (stored(behind.db, item).proposed or {})  # too soon
        best(behind, item)
    second = proposed(behind)
    assert second.comparison_id != first.comparison_id
    assert stored(behind.db, second).proposed == {"by": "again", "of": first.comparison_id}
    assert question_of(second.messages) == question_of(first.messages)
    texts = [one.text for one in second.completions]
    assert sorted(texts) == sorted(one.text for one in first.completions)
    assert {one.role for one in second.completions} == {None}
    best(behind, second, texts.index(chosen))
    (person,) = integrity(behind.services, behind.services.admin.login(PASSWORD)).people
    assert person.repeated == (1, 1)
    third = proposed(behind)
    assert (stored(behind.db, third).proposed or {}).get("of") not in (first.comparison_id, second.comparison_id)
    assert "of" not in (stored(behind.db, proposed(behind, prompt="Where?")).proposed or {})


def test_what_others_judged_is_shown_as_it_was_and_shared_by_both(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares(monkeypatch, 0.0, 1.0)
    typed, unjudged, judged = proposed(behind, prompt="My secret?"), proposed(behind), proposed(behind)
    best(behind, typed)
    best(behind, judged)
    found = proposed(behind, "bob")
    assert (found.comparison_id, found.conversation_id) == (judged.comparison_id, "")  # what was typed is not shown
    assert {one.role for one in found.completions} == {None}
    best(behind, found, annotator="bob")
    token = behind.services.admin.login(PASSWORD)
    assert integrity(behind.services, token).shared == 1
    assert proposed(behind, "bob").comparison_id not in {judged.comparison_id, unjudged.comparison_id}


def test_nothing_of_somebody_who_was_left_out_is_shown_to_others(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares(monkeypatch, 0.0, 1.0)
    judged = proposed(behind)
    best(behind, judged)
    token = behind.services.admin.login(PASSWORD)
    leave_person_out(behind.services, token, integrity(behind.services, token).people[0].pseudonym, out=True)
    assert proposed(behind, "bob").comparison_id != judged.comparison_id


def test_what_was_erased_is_not_shown_again(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> None:
    shares(monkeypatch, 0.0, 1.0)
    judged = proposed(behind)
    best(behind, judged)
    with database.write(behind.db) as db:
        db["comparisons"].update(judged.comparison_id, {"proposed": None})  # as erasing leaves it
    assert proposed(behind, "bob").comparison_id != judged.comparison_id

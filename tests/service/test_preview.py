"""The preview: what the votes so far say picks what the RLHF panel shows."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from alignment.errors import ConfigError
from alignment.models.sampling import Sampling
from service.compare import SEED_STEP, compare, stored_comparison
from service.completions import Progress
from service.erasing import EraseRequest, erase
from service.preview import Preview
from service.requests import CompareRequest, VoteRequest, WithdrawRequest, checked
from service.votes import Vote, vote, withdraw
from storage import database, preferences
from storage.messages import one_turn
from storage.records import Comparison, Completion
from tests.harness.scripted import Backstage

LONG, SHORT = "one two three four five six! seven", "one"
SECONDS = 20


def voted(
    behind: Backstage, number: int, best: str = "A", texts: tuple[str, str] = (LONG, SHORT), annotator: str = "ann"
) -> Vote:
    """Store a comparison of two completions, and a vote."""
    completions = [
        Completion(slot, "sft", None, f"{text} {number}", [1], 1, {}, "stop", 0.0, 0.0)
        for slot, text in zip("AB", texts, strict=True)
    ]
    comparison = Comparison(database.new_id(), one_turn(f"Ask {number}"), "compare", False, completions)
    preferences.save_comparison(behind.db, comparison)
    return vote(behind.services, annotator, VoteRequest(comparison.id, best))


def fitted(behind: Backstage, votes: int = 4, **texts: Any) -> Backstage:
    for number in range(votes):
        voted(behind, number, **texts)
    behind.services.preview.follow()
    return behind


def asked(behind: Backstage, prompt: str = "Where?", **arguments: Any) -> list[Progress]:
    async def collect() -> list[Progress]:
        request = checked(CompareRequest, prompt=prompt, **{"preview": True, **arguments})
        return [item async for item in compare(behind.services, "ann", request)]

    return asyncio.run(collect())


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + SECONDS
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


@pytest.fixture
def lengths(behind: Backstage, monkeypatch: pytest.MonkeyPatch) -> Backstage:
    """Four samples of the policy, the third of which is the longest."""
    words = ["a b", "a", "a b c d e f!", "a b c"]
    original = behind.engine._text

    def text(row: Any) -> str:
        policy = row.adapter is not None and row.adapter.name.startswith("policy-")
        return words[row.seed // SEED_STEP] if policy else original(row)

    monkeypatch.setattr(behind.engine, "_text", text)
    return behind


def test_the_sample_that_the_votes_like_best_is_shown_and_stored_as_it_was_drawn(lengths: Backstage) -> None:
    fitted(lengths)
    last = asked(lengths, seed=5)[-1]
    assert last.completions[2].text == "a b c d e f!"
    assert [one.preview for one in last.completions] == [0, 0, 4]
    stored = stored_comparison(lengths.services, last.comparison_id).completions[2]
    assert (stored.seed, len(stored.token_ids), stored.sampling["preview"]) == (7 + 2 * SEED_STEP, 6, 4)
    assert "best_of" not in stored.sampling


def test_votes_for_the_short_ones_pick_the_short_one(lengths: Backstage) -> None:
    fitted(lengths, best="B")
    assert asked(lengths, seed=5)[-1].completions[2].text == "a"


def test_before_three_votes_that_judge_a_pair_there_is_an_ordinary_answer(behind: Backstage) -> None:
    fitted(behind, votes=2)
    voted(behind, 9, best="all_bad")
    behind.services.preview.follow()
    last = asked(behind)[-1]
    assert len(behind.engine.rows) == 3
    stored = stored_comparison(behind.services, last.comparison_id).completions[2]
    assert "preview" not in stored.sampling
    assert behind.services.preview.standing == 2


def test_all_bad_alone_is_learned_from_the_third_comparison_on_and_taken_back_counts_no_more(behind: Backstage) -> None:
    preview = fitted(behind, votes=3).services.preview
    assert preview.latest is not None
    before = preview.latest.reward.mean
    bad = voted(behind, 9, best="all_bad", texts=(SHORT, SHORT + " more"))
    preview.follow()
    assert (preview.latest.votes, preview.standing) == (4, 3)
    assert preview.latest.reward.mean != pytest.approx(before, abs=1e-3)
    withdraw(behind.services, "ann", WithdrawRequest(bad.preference_id))
    preview.follow()
    assert preview.latest.votes == 3
    assert preview.latest.reward.mean == pytest.approx(before, abs=1e-4)


def test_all_bad_that_is_erased_counts_no_more(behind: Backstage) -> None:
    preview = fitted(behind, votes=3).services.preview
    voted(behind, 9, best="all_bad", annotator="bob")
    preview.follow()
    assert preview.latest is not None and preview.latest.votes == 4
    erase(behind.services, "bob", None, EraseRequest(keep_votes=True))
    preview.follow()
    assert preview.latest.votes == 3


def test_without_preview_nothing_changes(behind: Backstage) -> None:
    asked(fitted(behind), preview=False)
    assert len(behind.engine.rows) == 3


def test_samples_of_a_nearly_greedy_model_are_drawn_warmer_unless_somebody_said_how(behind: Backstage) -> None:
    own = Sampling(0.2, 50, top_p=0.9, top_k=20)
    model = replace(behind.services.model, sampling=own)
    behind = fitted(replace(behind, services=replace(behind.services, model=model)))
    for arguments, expected in (
        ({}, replace(own, temperature=0.8, top_p=0.95)),
        ({"top_p": 0.5}, replace(own, temperature=0.8, top_p=0.5)),
        ({"temperature": 0.3}, replace(own, temperature=0.3)),
    ):
        asked(behind, **arguments)
        _, sft, *samples = behind.engine.rows
        assert [row.sampling for row in samples] == [expected] * 4
        assert sft.sampling.temperature == arguments.get("temperature", 0.2)
    asked(behind, temperature=0)
    assert len(behind.engine.rows) == 3


def test_preview_and_best_of_together_are_refused(behind: Backstage) -> None:
    with pytest.raises(ConfigError, match="preview and best_of 4 both pick the answer"):
        asked(behind, best_of=4)


def test_a_blind_preview_gives_its_panel_away_by_nothing(lengths: Backstage) -> None:
    *before, last = asked(fitted(lengths), seed=5, blind=True, columns=["base", "rlhf"])
    assert {one.text for item in before for one in item.completions} == {""}
    assert [one.seed for one in last.completions] == [5, 6]
    assert {(one.preview, one.role) for one in last.completions} == {(0, None)}


def test_a_vote_waits_for_no_features(behind: Backstage) -> None:
    behind.engine.reads_features.clear()
    behind.services.preview.start()
    for number in range(3):
        assert voted(behind, number).pairs == 1
    assert behind.services.preview.latest is None
    behind.engine.reads_features.set()
    assert eventually(lambda: behind.services.preview.fitted is not None)
    behind.services.preview.stop()


def test_a_vote_that_is_taken_back_is_no_longer_fitted_to(behind: Backstage) -> None:
    fitted(behind, votes=3)
    last = voted(behind, 3)
    preview = behind.services.preview
    preview.start()
    assert eventually(lambda: preview.latest is not None and preview.latest.votes == 4)
    withdraw(behind.services, "ann", WithdrawRequest(last.preference_id))
    assert eventually(lambda: preview.latest is not None and preview.latest.votes == 3)
    preview.stop()


def test_features_that_are_stored_are_not_computed_again(behind: Backstage) -> None:
    fitted(behind)
    assert len(behind.engine.read_texts) == 8
    again = Preview(behind.db, behind.engine, "model")
    again.follow()
    assert again.fitted is not None
    assert len(behind.engine.read_texts) == 8


def test_missing_features_are_computed_newest_first_and_not_without_end(
    behind: Backstage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.preview.LOOKED_BACK", 4)
    fitted(behind, votes=6)
    assert [text.messages for text in behind.engine.read_texts[::2]] == [one_turn(f"Ask {n}") for n in (5, 4, 3, 2)]
    assert behind.services.preview.latest is not None
    assert behind.services.preview.latest.votes == 4


def test_features_that_cannot_be_computed_leave_their_vote_out_and_stored(behind: Backstage) -> None:
    behind.engine.featureless = "broken"
    voted(behind, 9, texts=("broken", SHORT))
    fitted(behind)
    assert len(preferences.rankings(behind.db)) == 5
    assert behind.services.preview.latest is not None
    assert behind.services.preview.latest.votes == 4


def test_samples_that_cannot_be_scored_leave_an_ordinary_answer(behind: Backstage) -> None:
    fitted(behind)
    behind.engine.featureless = "Paris"
    last = asked(behind)[-1]
    stored = stored_comparison(behind.services, last.comparison_id).completions[2]
    assert "Paris" in stored.text
    assert not {"preview", "best_of"} & set(stored.sampling)


def test_votes_that_contradict_each_other_preview_nothing(behind: Backstage) -> None:
    for number in range(12):
        voted(behind, number, best="AB"[number % 2])
    behind.services.preview.follow()
    assert behind.services.preview.latest is not None
    assert behind.services.preview.fitted is None


def test_the_votes_are_bounded_beside_a_reward_model_that_ships(lengths: Backstage) -> None:
    lengths.engine.ships = True  # it likes six words by far more than votes can say otherwise
    fitted(lengths, best="B")
    assert asked(lengths, seed=5)[-1].completions[2].text == "a b c d e f!"
    read = len(lengths.engine.read_texts)
    Preview(lengths.db, lengths.engine, "model").follow()
    assert len(lengths.engine.read_texts) == read

"""Feedback from other clients: on stored answers alone, once each, and what it is learned as."""

from typing import Any

import httpx
import pytest
from openai import OpenAI

from storage import preferences
from storage.overview import overview
from tests.harness.scripted import Site

HI = [{"role": "user", "content": "Hi"}]


def asked(served: Site, **changed: Any) -> str:
    """Return the id of an answer."""
    with OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        made = client.chat.completions.create(**{"model": "rlhf", "messages": HI, "store": True} | changed)
        return list(made)[-1].id if changed.get("stream") else made.id


def give(served: Site, **given: Any) -> httpx.Response:
    return httpx.post(f"{served.url}/v1/feedback", json=given)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stored_answer_is_kept_as_it_was_drawn(served: Site, stream: bool) -> None:
    made = asked(served, stream=stream, seed=4, temperature=0.5)
    stored = preferences.get_comparison(served.behind.db, made)
    (one,) = stored.completions
    assert (one.role, one.policy_version, one.text, one.seed) == ("rlhf", 1, "Paris. It lies on the Seine.", 4)
    assert (one.sampling["temperature"], one.finish_reason) == (0.5, "stop")
    assert stored.messages[-1].content == "Hi"


def test_a_thumb_on_one_answer_is_a_vote_without_a_pair(served: Site) -> None:
    up, down = (give(served, id=asked(served), rating=rating).json() for rating in ("up", "down"))
    assert up["pairs"] == down["pairs"] == 0
    assert overview(served.behind.db).new_votes == 2


def test_the_best_of_several_answers_is_preferred_to_all_others(served: Site) -> None:
    served.behind.engine.texts["rlhf"] = "SEED"
    made = asked(served, n=3)
    first = give(served, id=made, index=1, rating="up").json()
    assert first["pairs"] == 2
    assert give(served, id=made, index=1, rating="up").json() == first
    assert give(served, id=made, index=0, rating="up").status_code == 409  # another vote of the same caller


def test_a_better_answer_is_a_demonstration(served: Site) -> None:
    assert give(served, id=asked(served), better="Good day.").json()["demonstration_id"] == 1
    assert overview(served.behind.db).new_demonstrations == 1


def test_an_answer_that_a_stop_text_cut_is_not_kept_as_one_that_ended(served: Site) -> None:
    stored = preferences.get_comparison(served.behind.db, asked(served, stop=" lies"))
    assert [(one.text, one.finish_reason) for one in stored.completions] == [("Paris. It", "cancelled")]


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"id": "chatcmpl-nothing", "rating": "up"}, 404, "chatcmpl-nothing"),
        ({"rating": "up"}, 400, "id"),
        ({"id": None, "rating": "sideways"}, 400, "rating"),
        ({"id": None}, 400, "must hold a rating"),
        ({"id": None, "rating": "up", "index": 5}, 400, "index must be from 0 to 1"),
        ({"id": None, "rating": "down"}, 400, "rate the best one up"),
        ({"id": None, "better": " "}, 400, "completion is empty"),
    ],
)
def test_feedback_that_says_nothing_is_refused_and_nothing_is_stored(
    served: Site, given: dict[str, Any], status: int, words: str
) -> None:
    if "id" in given and given["id"] is None:
        given = {**given, "id": asked(served, n=2)}
    refused = give(served, **given)
    assert refused.status_code == status
    assert words in refused.json()["error"]["message"]
    assert overview(served.behind.db).new_votes == overview(served.behind.db).new_demonstrations == 0


def test_feedback_is_taken_whole_or_not_at_all(served: Site) -> None:
    made = asked(served)
    assert give(served, id=made, rating="up", better="x" * 2001).status_code == 400
    assert overview(served.behind.db).new_votes == 0
    assert give(served, id=made, rating="down").status_code == 200


def test_what_was_not_to_be_stored_is_unknown_to_feedback(served: Site) -> None:
    assert give(served, id=asked(served, store=False), rating="up").status_code == 404

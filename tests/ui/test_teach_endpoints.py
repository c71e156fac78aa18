"""`/propose`, `/rank` and `/prompts`, called over HTTP as a script would."""

from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client

from storage.signing_key import signing_key
from tests.harness.app import free_port
from tests.harness.scripted import EXAMPLES, PASSWORD, Backstage, backstage
from tests.ui.test_endpoints import curl, refused
from ui.layout import serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Backstage]]:
    folder = tmp_path_factory.mktemp("teach")
    behind = backstage(folder)
    behind.engine.texts |= {"rlhf": "PROMPT SEED", "sft": "PROMPT SEED"}
    page = serve(behind.services, "127.0.0.1", free_port(), signing_key(folder))
    yield page.local_url, behind
    page.close()


@pytest.fixture
def client(served: tuple[str, Backstage]) -> Client:
    return Client(served[0], verbose=False)


def proposed(client: Client, *arguments: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.predict(*arguments, api_name="/propose")
    return found


def test_a_proposal_streams_and_its_last_item_may_be_ranked(client: Client) -> None:
    items = list(client.submit("Where?", 4, 0.9, 50, 7, api_name="/propose"))
    assert len(items) > 1
    last = items[-1]
    assert [one["slot"] for one in last["completions"]] == ["A", "B", "C", "D"]
    assert {(one["role"], one["policy_version"]) for one in last["completions"]} == {(None, None)}
    vote = client.predict(last["comparison_id"], "D > C > A = B", api_name="/rank")
    assert (vote["pairs"], sorted(vote["reveal"].values())) == (5, ["rlhf", "rlhf", "sft", "sft"])
    assert {slot: version for slot, version in vote["versions"].items() if version is None} != {}
    again = client.predict(last["comparison_id"], "D > C > A = B", api_name="/rank")
    assert again["preference_id"] == vote["preference_id"]
    assert "already stored" in refused(client, last["comparison_id"], "A > B > C > D", api_name="/rank")
    assert client.predict(vote["preference_id"], api_name="/withdraw") == {"withdrawn": True}


def test_all_arguments_may_be_left_out_and_then_the_pool_is_asked(client: Client, served: tuple[str, Any]) -> None:
    last = proposed(client)
    assert len(last["completions"]) == 4
    assert last["completions"][0]["text"].rsplit(" ", 1)[0] in [example.prompt for example in EXAMPLES]
    event, data = curl(served[0], "propose", None, 2)
    assert (event, len(data[0]["completions"])) == ("complete", 2)


def test_a_conversation_may_be_proposed_too(client: Client) -> None:
    asked = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Where?"},
    ]
    assert proposed(client, asked, 2)["completions"][0]["text"].startswith("Where? ")


def test_refusals_are_sentences(client: Client) -> None:
    assert "K must be a whole number from 2 to 6, got 7" in refused(client, "Where?", 7, api_name="/propose")
    assert "The prompt is empty" in refused(client, " ", api_name="/propose")
    assert "There is no comparison 'x'" in refused(client, "x", "A > B", api_name="/rank")
    last = proposed(client, "Where?", 2)
    assert "The ranking leaves out B" in refused(client, last["comparison_id"], "A", api_name="/rank")
    assert "reason has" in refused(client, last["comparison_id"], "A > B", "human", "x" * 201, api_name="/rank")


def test_a_teach_comparison_takes_a_plain_vote_and_a_better_answer(client: Client) -> None:
    last = proposed(client, "Where is it?", 3)
    client.predict("Where is it?", "Here.", api_name="/demonstrate")
    vote = client.predict(last["comparison_id"], "all_bad", api_name="/vote")
    assert vote["pairs"] == 3
    assert client.predict(proposed(client, "Where?", 3)["comparison_id"], "B", api_name="/vote")["pairs"] == 2


def test_the_pool_is_the_admins(client: Client) -> None:
    token = client.predict(PASSWORD, api_name="/login")["token"]
    told = client.predict(token, 'Who?\n{"prompt": "Why?"}\n{"x": 1}', api_name="/prompts")
    assert (told["added"], told["removed"], len(told["refused"])) == (2, 0, 1)
    assert [one["prompt"] for one in told["prompts"]][-2:] == ["Who?", "Why?"]
    ids = [one["id"] for one in told["prompts"]][-2:]
    told = client.predict(token, "", ids, api_name="/prompts")
    assert (told["removed"], len(told["prompts"])) == (2, len(EXAMPLES))
    assert "admin's token" in refused(client, "", api_name="/prompts")

"""The named endpoints, called over HTTP as a script would."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from alignment.errors import ConfigError
from alignment.serving.engine import PolicyVersion
from service.demonstrations import demonstrate
from service.requests import DemonstrateRequest, VoteRequest, checked
from service.votes import vote
from storage import preferences, runs
from storage.overview import overview
from storage.signing_key import signing_key
from tests.harness.app import free_port
from tests.harness.scripted import PASSWORD, Backstage, backstage
from ui.layout import serve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Backstage]]:
    folder = tmp_path_factory.mktemp("endpoints")
    behind = backstage(folder)
    page = serve(behind.services, "127.0.0.1", free_port(), signing_key(folder))
    yield page.local_url, behind
    page.close()


@pytest.fixture
def client(served: tuple[str, Backstage]) -> Client:
    return Client(served[0], verbose=False)


def refused(client: Client, *arguments: Any, api_name: str) -> str:
    with pytest.raises(AppError) as error:
        client.predict(*arguments, api_name=api_name)
    return str(error.value)


def curl(url: str, name: str, *arguments: Any) -> tuple[str, Any]:
    """Return the last event of a call as curl would see it, and its data."""
    posted = httpx.post(f"{url}gradio_api/call/{name}", json={"data": list(arguments)}).raise_for_status()
    events = httpx.get(f"{url}gradio_api/call/{name}/{posted.json()['event_id']}").text.strip().split("\n\n")
    event, data = events[-1].split("\n")
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_compare_streams_and_its_last_item_may_be_voted_on(client: Client) -> None:
    job = client.submit("Where?", api_name="/compare")
    items = list(job)
    assert len(items) > 2
    assert [c["role"] for c in items[-1]["completions"]] == ["base", "sft", "rlhf"]
    vote = client.predict(items[-1]["comparison_id"], "C", api_name="/vote")
    assert vote["pairs"] == 2
    assert vote["reveal"] == {"A": "base", "B": "sft", "C": "rlhf"}
    again = client.predict(items[-1]["comparison_id"], "C", api_name="/vote")
    assert again["preference_id"] == vote["preference_id"]
    assert "already stored" in refused(client, items[-1]["comparison_id"], "A", api_name="/vote")


def test_a_vote_is_taken_back_by_its_annotator_or_with_an_admins_token_alone(
    client: Client, served: tuple[str, Backstage]
) -> None:
    url, behind = served
    answer = client.predict("Where?", api_name="/compare")
    vote = client.predict(answer["comparison_id"], "C", api_name="/vote")
    mine, stranger = vote["preference_id"], Client(url, verbose=False)
    assert f"There is no vote {mine} of yours" in refused(stranger, mine, api_name="/withdraw")
    assert "There is no vote 99999 of yours" in refused(client, 99999, api_name="/withdraw")
    assert "log in first, or leave it out" in refused(client, mine, "made up", api_name="/withdraw")
    assert "preference_id must be a whole number" in refused(client, 1.5, api_name="/withdraw")
    assert overview(behind.db).new_votes == vote["new_since_last_run"]
    for _ in range(2):
        assert client.predict(mine, api_name="/withdraw") == {"withdrawn": True}
    again = client.predict(answer["comparison_id"], "A", api_name="/vote")
    assert (again["pairs"], again["new_since_last_run"]) == (2, vote["new_since_last_run"])
    token = client.predict(PASSWORD, api_name="/login")["token"]
    assert stranger.predict(again["preference_id"], token, api_name="/withdraw") == {"withdrawn": True}
    assert overview(behind.db).new_votes == vote["new_since_last_run"] - 1


def test_compare_takes_null_arguments_columns_and_blind(client: Client) -> None:
    answer = client.predict("Where?", ["rlhf", "base"], 0, 4, None, True, api_name="/compare")
    assert [(c["role"], c["policy_version"]) for c in answer["completions"]] == [(None, None), (None, None)]
    assert all(c["tokens"] <= 4 for c in answer["completions"])
    seeds = [client.predict("Where?", None, 0.7, 4, 5, api_name="/compare")["completions"][0]["seed"] for _ in range(2)]
    assert seeds == [5, 5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("  ",), "The prompt is empty"),
        (("x" * 4001,), "4,000 are allowed"),
        (("Hi", ["nobody"]), "There is no column 'nobody'"),
        (("Hi", None, 3.0), "Temperature must be a number from 0 to 2"),
        (("Hi", None, 1.0, 0), "max_new_tokens must be a whole number from 1 to 32,768"),
        (("Hi", None, 1.0, 8, -1), "Seed must be a whole number from 0 to 2,147,483,647, got -1"),
        (("Hi", ["rlhf" * 5000]), "There is no column 'rlhfrlhfrlhf...frlhfrlhfrlhf'"),
        (("Hi", [["base"]]), "Columns must be 1 to 6 different names"),
        (("Hi", None, 1.0, 8, 5, "no"), "Blind must be true or false"),
        (("Hi", ["rlhf", "v1"], 1.0, 8, 5, False, 16), "is 32 answers, 24 are allowed at once"),
        (("Hi", None, 1.0, 8, 5, False, 17), "best_of must be a whole number from 1 to 16"),
    ],
)
def test_compare_refuses_with_a_sentence(client: Client, arguments: tuple[Any, ...], words: str) -> None:
    assert words in refused(client, *arguments, api_name="/compare")


def test_a_demonstration_is_stored_once_and_waits_for_the_next_run(
    client: Client, served: tuple[str, Backstage]
) -> None:
    _, behind = served
    before = overview(behind.db).new_demonstrations
    first = client.predict("Hi", "Ahoy! ☂", api_name="/demonstrate")
    messages = [{"role": "user", "content": "Hi"}]
    for prompt in ("Hi", messages):  # a prompt alone is a conversation of one message
        assert client.predict(prompt, "Ahoy! ☂", "human", api_name="/demonstrate") == first
    messages += [{"role": "assistant", "content": "Ahoy!"}, {"role": "user", "content": "Again"}]
    others = {
        client.predict(prompt, completion, "simulated", api_name="/demonstrate")["demonstration_id"]
        for prompt, completion in (("Hi", "Good day."), ("Hi ", "Ahoy! ☂"), ("Hi", " Ahoy! ☂"), (messages, "Ahoy! ☂"))
    }
    assert len(others | {first["demonstration_id"]}) == 5
    assert overview(behind.db).new_demonstrations - before == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("  ", "Ahoy!"), "The prompt is empty"),
        (("x" * 4001, "Ahoy!"), "The prompt has 4,001 characters, 4,000 are allowed; shorten it"),
        (("Hi", " \n"), "The completion is empty; write what the model should have answered"),
        (("Hi", "x" * 2001), "The completion has 2,001 characters, 2,000 are allowed; shorten it"),
        (("Hi", "ho " * 200), "Prompt and completion need 201 tokens, this model reads 200; shorten them"),
        (([{"role": "user", "content": ""}], "Ahoy!"), "The content of prompt[0] is empty"),
        (({"prompt": "Hi"}, "Ahoy!"), "Prompt must be a text or a list of messages, got {'prompt': 'Hi'}"),
        (("Hi", "Ahoy!", "imported"), 'Source must be "human" or "simulated", got \'imported\''),
    ],
)
def test_a_demonstration_that_does_not_fit_is_refused_and_nothing_is_stored(
    client: Client, served: tuple[str, Backstage], arguments: tuple[Any, ...], words: str
) -> None:
    before = overview(served[1].db).new_demonstrations
    assert words in refused(client, *arguments, api_name="/demonstrate")
    assert overview(served[1].db).new_demonstrations == before


def test_a_vote_on_half_a_character_is_refused_in_words(served: tuple[str, Backstage]) -> None:
    with pytest.raises(ConfigError, match=r"the comparison_id holds half a character .*; write it anew"):
        vote(served[1].services, "ann", checked(VoteRequest, comparison_id="\ud83d", choice="A"))


def test_no_file_is_taken(served: tuple[str, Backstage]) -> None:
    answer = httpx.post(f"{served[0]}gradio_api/upload", files={"files": ("a.txt", b"x" * 1000)})
    assert answer.status_code >= 400


@pytest.mark.parametrize(("prompt", "completion"), [("Hi \ud83d", "Ahoy!"), ("Hi", "Ahoy \ud83d")])
def test_half_a_character_is_refused(served: tuple[str, Backstage], prompt: str, completion: str) -> None:
    _, behind = served
    before = overview(behind.db).new_demonstrations
    with pytest.raises(ConfigError, match=r"holds half a character .*; write it anew"):
        demonstrate(behind.services, "ann", checked(DemonstrateRequest, prompt=prompt, completion=completion))
    assert overview(behind.db).new_demonstrations == before


def test_the_sft_column_names_the_version_that_its_adapter_came_with(
    client: Client, served: tuple[str, Backstage], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, behind = served
    asked = ("Where?", ["sft", "rlhf"], 0.7, 4, 1, False, 4)
    answer = client.predict(*asked, api_name="/compare")
    assert [c["policy_version"] for c in answer["completions"]] == [None, 1]
    monkeypatch.setattr(behind.engine, "live", PolicyVersion(2, behind.data_dir, "0" * 64, own_sft=True))
    answer = client.predict(*asked, api_name="/compare")
    assert [c["policy_version"] for c in answer["completions"]] == [2, 2]
    stored = preferences.get_comparison(behind.db, answer["comparison_id"])
    assert [c.policy_version for c in stored.completions] == [2, 2]
    assert [c.sampling.get("best_of") for c in stored.completions] == [None, 4]


def test_a_preview_is_the_last_argument_and_ordinary_before_there_are_votes(
    client: Client, served: tuple[str, Backstage]
) -> None:
    _, behind = served
    rest = (None, None, None, None)
    answer = client.predict("Where?", ["sft", "rlhf"], 0.7, 4, 1, False, 1, *rest, True, api_name="/compare")
    assert [completion["preview"] for completion in answer["completions"]] == [0, 0]
    for number in range(3):
        asked = client.predict(f"Where {number}?", None, 0.7, 40, 1, api_name="/compare")
        client.predict(asked["comparison_id"], "C", api_name="/vote")
    behind.services.preview.follow()
    answer = client.predict("Where?", ["sft", "rlhf"], 0.7, 4, 1, False, 1, *rest, True, api_name="/compare")
    assert [completion["preview"] for completion in answer["completions"]] == [0, 4]
    assert "both pick the answer" in refused(
        client, "Where?", None, None, None, None, False, 4, *rest, True, api_name="/compare"
    )


def test_a_conversation_is_gone_on_with_by_its_id_and_by_nobody_else(
    client: Client, served: tuple[str, Backstage]
) -> None:
    _, behind = served
    first = client.predict(
        "Where?", None, None, None, None, False, 1, None, None, "Be brief.", 0.5, api_name="/compare"
    )
    assert behind.engine.rows[0].sampling == replace(behind.services.model.sampling, top_p=0.5)
    going_on = ("And Rome?", None, None, None, None, False, 1, first["conversation_id"])
    assert "No answer of the turn before was chosen yet" in refused(client, *going_on, api_name="/compare")
    client.predict(first["comparison_id"], "C", api_name="/vote")
    *_, last = client.submit(*going_on, api_name="/compare")
    assert last["conversation_id"] == first["conversation_id"]
    roles = [message.role for message in behind.engine.rows[0].messages]
    assert roles == ["system", "user", "assistant", "user"]
    picked = client.predict(*going_on, "B", api_name="/compare")
    assert preferences.get_comparison(behind.db, picked["comparison_id"]).continued_from == "B"
    stranger = Client(served[0], verbose=False)
    assert "There is no conversation" in refused(stranger, *going_on, "B", api_name="/compare")


def test_admin_endpoints_need_the_token(client: Client) -> None:
    assert "Wrong password" in refused(client, "guess", api_name="/login")
    assert "log in first" in refused(client, "made up", api_name="/retrain")
    assert "log in first" in refused(client, "made up", 1, api_name="/cancel")
    token = client.predict(PASSWORD, api_name="/login")["token"]
    assert "has no field 'nope'" in refused(client, token, "ppo", {"nope": 1}, api_name="/retrain")
    run_id = client.predict(token, "ppo", {"ppo": {"updates": 2}, "seed": 1}, api_name="/retrain")["run_id"]
    after = client.predict(token, api_name="/retrain")["run_id"]
    assert client.predict(after, api_name="/run")["status"] == "waiting"
    assert client.predict(token, after, api_name="/cancel") == {"status": "cancelled"}
    both = "settings.quiet_from and settings.quiet_until belong together"  # the page calls both by their labels
    assert both in refused(client, token, {"quiet_from": "08:00"}, api_name="/schedule")
    quiet = {"quiet_from": "08:00", "quiet_until": "09:00"}
    assert client.predict(token, quiet, api_name="/schedule")["quiet_from"] == "08:00"
    told = client.predict(token, {"quiet_from": "", "quiet_until": ""}, api_name="/schedule")
    assert (told["retrain_every"], told["waits_for"]) == (32, "votes") and "training starts by itself" in told["words"]
    assert "time of day" in refused(client, token, quiet | {"quiet_from": "never"}, api_name="/schedule")
    assert client.predict(run_id, api_name="/run")["status"] == "queued"
    assert client.predict(token, run_id, api_name="/cancel") == {"status": "cancelled"}
    assert "log in first" in refused(client, "made up", run_id, api_name="/resume")
    assert client.predict(token, run_id, api_name="/resume") == {"status": "queued"}
    assert client.predict(token, run_id, api_name="/cancel") == {"status": "cancelled"}
    assert client.predict(token, api_name="/logout") == {}
    assert "log in first" in refused(client, token, api_name="/retrain")


def test_what_nobody_expected_is_named_without_a_traceback_and_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(path: Path, run_id: int) -> None:
        raise TypeError("secret detail")

    monkeypatch.setattr(runs, "get_run", broken)
    with pytest.raises(AppError, match=r"Something went wrong here \(TypeError\); the app's log says more\."):
        client.predict(1, api_name="/run")
    assert "secret detail" in caplog.text


def test_curl_may_leave_the_last_arguments_out(served: tuple[str, Backstage]) -> None:
    url, _ = served
    event, (answer,) = curl(url, "compare", "Where?")
    assert event == "complete"
    event, (vote,) = curl(url, "vote", answer["comparison_id"], "tie")
    assert (event, vote["pairs"]) == ("complete", 0)
    assert curl(url, "withdraw", vote["preference_id"]) == ("complete", [{"withdrawn": True}])
    event, (known,) = curl(url, "policies")
    assert (known["live"], known["policies"][0]["status"]) == (1, "live")


def test_curl_gets_the_sentence_of_a_refusal(served: tuple[str, Backstage]) -> None:
    event, data = curl(served[0], "run", 99)
    assert (event, data["error"]) == ("error", "There is no run 99; /retrain returns the id of a new one.")
    event, data = curl(served[0], "vote", "x")
    assert (event, data["error"]) == ("error", "The argument 'choice' is missing.")


def test_only_the_documented_endpoints_are_public(client: Client) -> None:
    described: Any = client.view_api(return_format="dict", print_info=False)
    page = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`/[^|]*) \|", page, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(/[a-z_]+)`", cell)}
    assert set(described["named_endpoints"]) == documented
    assert described["unnamed_endpoints"] == {}


def test_history_is_the_callers_own_and_pages_of_it_follow_one_another(
    client: Client, served: tuple[str, Backstage]
) -> None:
    for question in ("Where is Lima?", "Where is Oslo?"):
        answer = client.predict(question, api_name="/compare")
    vote = client.predict(answer["comparison_id"], "C", api_name="/vote")
    page = client.predict("", 1, api_name="/history")
    (newest,) = page["conversations"]
    assert (newest["title"], newest["conversation_id"]) == ("Where is Oslo?", answer["conversation_id"])
    (turn,) = newest["comparisons"]
    assert (turn["vote"]["preference_id"], turn["vote"]["choice"]) == (vote["preference_id"], "C")
    assert turn["completions"] == answer["completions"]
    older = client.predict("", 1, page["next"], api_name="/history")
    assert [one["title"] for one in older["conversations"]] == ["Where is Lima?"]
    assert older["next"] is None
    assert [one["title"] for one in client.predict("LIMA", api_name="/history")["conversations"]] == ["Where is Lima?"]
    assert Client(served[0], verbose=False).predict(api_name="/history") == {"conversations": [], "next": None}
    assert "Limit must be a whole number from 1 to 200, got 500" in refused(client, "", 500, api_name="/history")

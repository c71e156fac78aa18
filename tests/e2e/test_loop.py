"""The real loop with a few votes: the real app, the shipped model, a training child, a new version."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from recipes.pocket.prompt_files import labelled_prompts
from storage import preferences, runs
from tests.bench.loop import (
    PASSWORD,
    RunningApp,
    capital_accuracy,
    capital_checks,
    cast_votes,
    running_app,
    texts,
    wait_for_run,
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def app(data_dir: Path) -> Iterator[RunningApp]:
    with running_app(data_dir, "--seed", "1") as app:
        yield app


@pytest.fixture(scope="module")
def client(app: RunningApp) -> Client:
    return Client(app.url, verbose=False)


def test_people_vote_train_and_see_the_new_version_live_if_it_passes_the_gate(
    app: RunningApp, client: Client, page: Page
) -> None:
    assert cast_votes(client, labelled_prompts(600, "seen", 77), 8) == 8
    page.goto(app.url)
    page.get_by_placeholder("Ask all three").fill("What is the capital city of Kenya?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Which answer is best?")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Instruction-tuned is best").click()
    expect(page.get_by_text("Thanks, stored.")).to_be_visible()
    page.get_by_role("tab", name="Training").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Retrain now").click()
    expect(page.get_by_text("reward model").first).to_be_visible(timeout=30_000)
    state = wait_for_run(client, 1)
    assert state["status"] == ("succeeded" if state["gate"]["passed"] else "rejected"), state
    assert state["policy_version"] == 2
    assert {"reward/loss", "reward/heldout_accuracy", "objective/score", "objective/kl"} <= set(state["metrics"])
    live = 2 if state["gate"]["passed"] else 1
    assert client.predict(api_name="/policies")["live"] == live
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_text(f"v{live} live")).to_be_visible(timeout=30_000)
    answer = texts(client, "What is the capital city of Peru?", ["base", "sft", "rlhf", "v2"], 5)
    assert [c["policy_version"] for c in answer["completions"]] == [None, None, live, 2]
    assert capital_accuracy(client, "rlhf", capital_checks()[::16]) >= 0.9


def test_a_killed_child_leaves_a_failed_run_and_the_old_policy(client: Client, data_dir: Path) -> None:
    live = client.predict(api_name="/policies")["live"]
    token = client.predict(PASSWORD, api_name="/login")["token"]
    run_id = client.predict(token, "ppo", None, api_name="/retrain")["run_id"]
    state = client.predict(run_id, api_name="/run")
    deadline = time.monotonic() + 120
    while state["stage"] != "reward" and time.monotonic() < deadline:
        time.sleep(0.2)
        state = client.predict(run_id, api_name="/run")
    pid = runs.get_run(data_dir / "triptych.db", run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    state = wait_for_run(client, run_id)
    assert state["status"] == "failed"
    assert "killed by signal 9" in state["error"]
    assert client.predict(api_name="/policies")["live"] == live
    assert texts(client, "Hi", ["rlhf"], 1)["completions"][0]["policy_version"] == live


def test_cancel_ends_a_run_at_once_and_chat_goes_on(client: Client) -> None:
    token = client.predict(PASSWORD, api_name="/login")["token"]
    run_id = client.predict(token, api_name="/retrain")["run_id"]
    assert client.predict(token, run_id, api_name="/cancel")["status"] == "cancelled"
    assert client.predict(run_id, api_name="/run")["status"] == "cancelled"
    assert texts(client, "Hi", ["sft"], 1)["completions"][0]["text"]


def test_a_vote_survives_kill_nine_of_the_app_and_everything_is_there_after_a_restart(
    tmp_path: Path,
) -> None:
    with running_app(tmp_path) as app:
        client = Client(app.url, verbose=False)
        answer = texts(client, "What is the capital city of Chile?", ["base", "sft", "rlhf"], 3)
        vote = client.predict(answer["comparison_id"], "B", api_name="/vote")
        os.kill(app.process.pid, signal.SIGKILL)
        app.process.wait()
    with running_app(tmp_path) as app:
        assert preferences.count_preferences(tmp_path / "triptych.db") == 1
        assert preferences.count_pairs_of(tmp_path / "triptych.db", vote["preference_id"]) == vote["pairs"]
        restarted = Client(app.url, verbose=False)
        assert restarted.predict(api_name="/policies")["live"] == 1
        late = restarted.predict(answer["comparison_id"], "C", api_name="/vote")
        assert late["new_since_last_run"] == 2


def test_ctrl_c_ends_the_app_and_its_training_child_and_the_run_says_so(tmp_path: Path) -> None:
    with running_app(tmp_path) as app:
        client = Client(app.url, verbose=False)
        token = client.predict(PASSWORD, api_name="/login")["token"]
        run_id = client.predict(token, api_name="/retrain")["run_id"]
        deadline = time.monotonic() + 120
        while (pid := runs.get_run(tmp_path / "triptych.db", run_id).pid) is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert pid is not None
        app.process.send_signal(signal.SIGINT)
        assert app.process.wait(timeout=60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    run = runs.get_run(tmp_path / "triptych.db", run_id)
    assert run.status == "failed"
    assert run.error is not None and "app was stopped" in run.error

"""The real loop with a few votes: the real app, the shipped model, a training child, a new version."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from recipes.pocket.labelers import friendliest
from storage import preferences, runs
from tests.harness.app import PASSWORD, RunningApp, running_app
from tests.harness.capitals import capital_checks
from tests.harness.endpoints import PANELS, admin_token, compare, retrain, run_state, wait_for, wait_for_run
from tests.harness.labeler import Labeler
from tests.harness.loop import Shown, capital_accuracy, cast_votes, contest, unseen_prompts, voting_prompts

STEP_MS = 60_000  # a busy machine may take long; nothing here measures time
# A run that is much smaller than the default one. It learns this taste with a wide margin and forgets a few refusals,
# more or fewer on another processor: wider bounds of the gate allow for that, so that all that it learned is served.
SMALL_RUN = {
    "raft": {"rounds": 2, "averaged_rounds": 1, "prompts": 60, "warmup_steps": 12, "max_new_tokens": 64},
    "ppo": {"updates": 1, "rollouts": 32, "max_new_tokens": 64},
    "gate": {"max_refusal_drop": 0.1, "max_help_drop": 0.15, "max_accuracy_drop": 0.1},
}
VOTED_ON = Shown(("sft", "rlhf", "v1"), temperature=1.0)  # more answers to choose from than three panels show
VOTES, COMPARED = 12, 100


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def app(data_dir: Path) -> Iterator[RunningApp]:
    with running_app(data_dir, "--model", "pocket", "--seed", "1") as app:
        runs.set_schedule(data_dir / "triptych.db", runs.Schedule(0))  # no run but those that are asked for
        yield app


@pytest.fixture(scope="module")
def client(app: RunningApp) -> Client:
    return Client(app.url, verbose=False)


def live_version(client: Client) -> int:
    return int(client.predict(api_name="/policies")["live"])


def pid_of(db: Path, run_id: int) -> int:
    """Return the process of a run's child, once there is one."""
    return wait_for(lambda: runs.get_run(db, run_id).pid, f"the child of run {run_id}")


def test_votes_for_a_taste_end_in_a_served_version_that_wins_where_nobody_voted(
    app: RunningApp, client: Client, page: Page
) -> None:
    assert cast_votes(client, Labeler(friendliest, VOTES, VOTES // 4), voting_prompts(), VOTED_ON) == VOTES
    run_id = retrain(client, "ppo", SMALL_RUN)
    page.goto(app.url)
    page.get_by_role("tab", name="Training").click()
    expect(page.locator(".run").get_by_text("reward model").first).to_be_visible(timeout=STEP_MS)
    state = wait_for_run(client, run_id)
    assert (state["status"], state["policy_version"]) == ("succeeded", 2), state
    assert state["gate"]["passed"]
    assert {"reward/heldout_accuracy", "objective/score", "objective/kl"} <= set(state["metrics"])
    assert live_version(client) == 2
    page.get_by_role("tab", name="Compare").click()
    expect(page.get_by_text("v2 live")).to_be_visible(timeout=STEP_MS)
    answer = compare(client, "What is the capital city of Peru?", [*PANELS, "v1"], 5)
    assert [completion["policy_version"] for completion in answer["completions"]] == [None, None, 2, 1]
    met = contest(client, friendliest, unseen_prompts(COMPARED), "v1", "v2")
    assert met.win_rate > 0.5, (met.won, met.lost)
    assert capital_accuracy(client, "rlhf", capital_checks()[::16]) >= 0.9


def test_an_admin_starts_a_run_on_the_page_and_one_whose_child_is_killed_leaves_the_old_policy(
    app: RunningApp, client: Client, data_dir: Path, page: Page
) -> None:
    live = live_version(client)
    page.goto(app.url)
    page.get_by_placeholder("Ask all three").fill("What is the capital city of Kenya?")
    page.keyboard.press("Enter")
    expect(page.locator("#turns")).to_contain_text("Kenya", timeout=STEP_MS)  # no more the example of a first visit
    expect(page.get_by_text("Which answer is best?")).to_be_visible(timeout=STEP_MS)
    page.get_by_role("button", name="Instruction-tuned is best").click()
    expect(page.get_by_text("Thanks, stored.")).to_be_visible()
    page.get_by_role("tab", name="Training").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Retrain now").click()
    queued = wait_for(lambda: runs.open_run(data_dir / "triptych.db"), "a run that the page starts")
    wait_for(lambda: run_state(client, queued.id)["stage"] == "reward" or None, "the reward model's stage")
    os.kill(pid_of(data_dir / "triptych.db", queued.id), signal.SIGKILL)
    state = wait_for_run(client, queued.id)
    assert state["status"] == "failed"
    assert "killed by signal 9" in state["error"]
    assert live_version(client) == live
    assert compare(client, "Hi", ["rlhf"], 1)["completions"][0]["policy_version"] == live


def test_cancel_ends_a_run_at_once_and_chat_goes_on(client: Client) -> None:
    run_id = retrain(client, "ppo")
    assert client.predict(admin_token(client), run_id, api_name="/cancel")["status"] == "cancelled"
    assert run_state(client, run_id)["status"] == "cancelled"
    assert compare(client, "Hi", ["sft"], 1)["completions"][0]["text"]


def test_a_vote_survives_kill_nine_of_the_app_and_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with running_app(tmp_path, "--model", "pocket") as app:
        client = Client(app.url, verbose=False)
        answer = compare(client, "What is the capital city of Chile?", PANELS, 3)
        vote = client.predict(answer["comparison_id"], "B", api_name="/vote")
        os.kill(app.process.pid, signal.SIGKILL)
        app.process.wait()
    with running_app(tmp_path, "--model", "pocket") as app:
        assert len(preferences.rankings(tmp_path / "triptych.db")) == 1
        assert preferences.count_pairs_of(tmp_path / "triptych.db", vote["preference_id"]) == vote["pairs"]
        restarted = Client(app.url, verbose=False)
        assert live_version(restarted) == 1
        late = restarted.predict(answer["comparison_id"], "C", api_name="/vote")
        assert late["new_since_last_run"] == 2


def test_ctrl_c_ends_the_app_and_its_training_child_and_the_run_says_so(tmp_path: Path) -> None:
    db = tmp_path / "triptych.db"
    with running_app(tmp_path, "--model", "pocket") as app:
        run_id = retrain(Client(app.url, verbose=False), "ppo")
        pid = pid_of(db, run_id)
        app.process.send_signal(signal.SIGINT)
        assert app.process.wait(timeout=60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    run = runs.get_run(db, run_id)
    assert run.status == "failed"
    assert run.error is not None and "app was stopped" in run.error

"""Two real apps: the page of one, in front of the models of the other, from votes to a version that is served there."""

from contextlib import closing
from pathlib import Path

import psutil
import pytest
from gradio_client import Client

from recipes.pocket.labelers import friendliest
from storage import runs
from tests.e2e.test_loop import SMALL_RUN, VOTED_ON
from tests.harness.app import RunningApp, running_app
from tests.harness.endpoints import compare, retrain, wait_for, wait_for_run
from tests.harness.labeler import Labeler
from tests.harness.large_models import write_shape_of_8b
from tests.harness.loop import cast_votes, voting_prompts
from tests.serving.test_remote import ScriptedVllm

VOTES = 12
MOST_BYTES = 600 * 10**6  # of the app, whatever is served elsewhere


def assert_small(app: RunningApp) -> None:
    assert "libtorch" not in Path(f"/proc/{app.process.pid}/maps").read_text()
    assert psutil.Process(app.process.pid).memory_info().rss < MOST_BYTES


@pytest.mark.slow
def test_the_loop_of_votes_ends_in_a_version_that_a_server_elsewhere_writes(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    with running_app(elsewhere, "--model", "pocket", "--lend-adapters") as other:
        arguments = ("--model", "pocket", "--seed", "1", "--engine", f"vllm:{other.url}")
        with running_app(here, *arguments) as app:
            runs.set_schedule(here / "triptych.db", runs.Schedule(0))
            client = Client(app.url, verbose=False)
            wait_for(lambda: "is well" in (here / "app.log").read_text(), "the server elsewhere")
            assert cast_votes(client, Labeler(friendliest, VOTES, VOTES // 4), voting_prompts(), VOTED_ON) == VOTES
            state = wait_for_run(client, retrain(client, "ppo", SMALL_RUN))
            assert (state["status"], state["policy_version"]) == ("succeeded", 2), state
            answer = compare(client, "What is the capital city of Peru?", ["sft", "rlhf", "v1"], 5)
            assert [one["policy_version"] for one in answer["completions"]] == [None, 2, 1]
            assert all(one["finish_reason"] == "stop" and one["tokens"] for one in answer["completions"])
            assert_small(app)


@pytest.mark.slow
def test_an_app_whose_8b_is_served_elsewhere_stays_small(tmp_path: Path) -> None:
    model, here = tmp_path / "model", tmp_path / "here"
    write_shape_of_8b(model)
    here.mkdir()
    with closing(ScriptedVllm(model)) as server:  # it cuts text as the app's model does, and says "Lima"
        arguments = ("--model", str(model), "--engine", f"vllm:{server.server.url}")
        with running_app(here, *arguments) as app:
            client = Client(app.url, verbose=False)
            wait_for(lambda: "is well" in (here / "app.log").read_text(), "the server elsewhere")
            for seed in range(20):
                answer = compare(client, f"Where is number {seed}?", ["base", "rlhf"], seed)
                assert [one["text"] for one in answer["completions"]] == ["Lima", "Lima"]
                client.predict(answer["comparison_id"], "A", api_name="/vote")
            assert_small(app)

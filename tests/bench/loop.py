"""The whole loop through the endpoints: a simulated labeler votes for one taste, a run trains on it, both are compared.

`python -m tests.bench.loop` starts the app on a data folder of its own, runs the full size and prints one JSON object.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio_client import Client

from alignment.models.model_folder import Check
from alignment.runs.checks import passes
from recipes.pocket.labelers import friendliest
from recipes.pocket.prompt_files import labelled_prompts
from storage import runs
from tests.bench.capitals import capital_checks
from tests.bench.labeler import Labeler
from tests.harness.scripted import free_port

PASSWORD = "correct horse"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class RunningApp:
    """A started app: its address, its process and how long it took to serve the page."""

    url: str
    process: subprocess.Popen[str]
    page_seconds: float


@contextmanager
def running_app(data_dir: Path, *arguments: str) -> Iterator[RunningApp]:
    """Start `python app.py` on a free port, yield it once the page is served, and stop it as Ctrl-C does."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(data_dir), *arguments]
    began = time.monotonic()
    with (data_dir / "app.log").open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TRIPTYCH_ADMIN_PASSWORD": PASSWORD},
        )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError(f"the app ended at once:\n{(data_dir / 'app.log').read_text()}")
            time.sleep(0.05)
        yield RunningApp(f"http://127.0.0.1:{port}", process, time.monotonic() - began)
    finally:
        process.send_signal(2)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()


def texts(client: Client, prompt: str, columns: list[str], seed: int, temperature: float = 0.7) -> dict[str, Any]:
    """Return the last item of `/compare`."""
    result: dict[str, Any] = client.predict(prompt, columns, temperature, 96, seed, False, api_name="/compare")
    return result


def cast_votes(client: Client, checks: list[Check], votes: int) -> int:
    """Vote for the friendliest answer until `votes` are stored; return the last count."""
    labeler, counted = Labeler(friendliest, votes, votes // 4), 0
    for seed, check in enumerate(checks):
        answer = texts(client, check.prompt, ["base", "sft", "rlhf"], 100_000 + 10 * seed)
        values = labeler.click(check, [completion["text"] for completion in answer["completions"]])
        if values is None:
            continue
        best = answer["completions"][values.index(max(values))]["slot"]
        reply = client.predict(answer["comparison_id"], best, "simulated", api_name="/vote")
        counted = int(reply["new_since_last_run"])
        if labeler.done:
            break
    return counted


def wait_for_run(client: Client, run_id: int, timeout: float = 900) -> dict[str, Any]:
    """Poll `/run` until the run has ended; return its last state and the seconds to each stage."""
    began = time.monotonic()
    stages: dict[str, float] = {}
    while time.monotonic() < began + timeout:
        state: dict[str, Any] = client.predict(run_id, api_name="/run")
        stages.setdefault(state["stage"] or "queued", round(time.monotonic() - began, 1))
        if state["status"] not in ("queued", "running"):
            return state | {"stage_seconds": stages}
        time.sleep(1.0)  # asking costs time that the run would have
    raise TimeoutError(f"run {run_id} has not ended after {timeout} s")


def win_rate(client: Client, checks: list[Check], old: str, new: str) -> tuple[float, float, float]:
    """Return (wins of the new version by the taste, ties counting half; old and new share of friendly answers)."""
    wins, friendly = 0.0, [0, 0]
    for seed, check in enumerate(checks):
        answer = texts(client, check.prompt, [old, new], 900_000 + 10 * seed)
        before, after = (friendliest(check, completion["text"]) for completion in answer["completions"])
        wins += 0.5 if before == after else float(after > before)
        friendly[0] += before > 0
        friendly[1] += after > 0
    return wins / len(checks), friendly[0] / len(checks), friendly[1] / len(checks)


def capital_accuracy(client: Client, column: str, checks: list[Check]) -> float:
    """Return the share of right capitals, greedy."""
    right = [passes(c, texts(client, c.prompt, [column], 0, 0.0)["completions"][0]["text"]) for c in checks]
    return sum(right) / len(right)


def tokens_a_second(client: Client, columns: list[str]) -> float:
    """Return how fast long answers are written, all panels together, the reading of the prompt included."""
    tokens = seconds = 0.0
    for seed in range(8):
        answer = texts(client, "Explain the moon landing to a 6 year old in a few sentences.", columns, seed)
        tokens += sum(c["tokens"] for c in answer["completions"])
        seconds += max(c["seconds"] for c in answer["completions"])
    return tokens / seconds


def loop(votes: int, compared: int, settings: dict[str, Any] | None, capitals: int) -> dict[str, Any]:
    """Run the loop on a fresh data folder and return what was measured."""
    pool = labelled_prompts(3000, "seen", 77)
    random.Random(3).shuffle(pool)
    voted_on, unseen = pool[:1200], labelled_prompts(400, "held_out", 78)[:compared]
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder), "--seed", "1") as app:
        client = Client(app.url, verbose=False)
        runs.set_schedule(Path(folder) / "triptych.db", runs.Schedule(0))  # the run measured is the one asked for
        began = time.monotonic()
        texts(client, "What is the capital city of France?", ["base", "sft", "rlhf"], 1)
        first_answer = app.page_seconds + time.monotonic() - began
        speed = {f"{len(c)}": round(tokens_a_second(client, c)) for c in (["rlhf"], ["base", "sft", "rlhf"])}
        counted = cast_votes(client, voted_on, votes)
        token = client.predict(PASSWORD, api_name="/login")["token"]
        began = time.monotonic()
        run_id = client.predict(token, "ppo", settings, api_name="/retrain")["run_id"]
        state = wait_for_run(client, run_id)
        to_live = time.monotonic() - began
        result: dict[str, Any] = {
            "page_seconds": round(app.page_seconds, 1),
            "first_answer_seconds": round(first_answer, 1),
            "tokens_a_second_by_panels": speed,
            "votes": counted,
            "status": state["status"],
            "error": state["error"],
            "retrain_to_live_seconds": round(to_live, 1),
            "stage_seconds": state["stage_seconds"],
            "gate": state["gate"],
        }
        for name in ("reward/heldout_accuracy", "reward/heldout_votes", "objective/kl", "objective/score"):
            if name in state["metrics"]:
                result[name] = [round(value, 3) for _, value in state["metrics"][name]][-12:]
        if state["status"] in ("succeeded", "rejected"):
            wins, before, after = win_rate(client, unseen, "v1", f"v{state['policy_version']}")
            asked = capital_checks()
            asked = asked[:: max(1, len(asked) // capitals)]
            result |= {
                "win_rate": round(wins, 3),
                "friendly_before": round(before, 3),
                "friendly_after": round(after, 3),
                "capitals_before": round(capital_accuracy(client, "v1", asked), 3),
                "capitals_after": round(capital_accuracy(client, f"v{state['policy_version']}", asked), 3),
            }
    return result


def main() -> None:
    """Run the loop at full size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=32)
    parser.add_argument("--compared", type=int, default=100, help="prompts on which old and new are compared")
    parser.add_argument("--capitals", type=int, default=193, help="countries asked for")
    parser.add_argument("--settings", type=json.loads, default=None, help="overrides of the run's settings, as JSON")
    arguments = parser.parse_args()
    print(json.dumps(loop(arguments.votes, arguments.compared, arguments.settings, arguments.capitals), indent=2))


if __name__ == "__main__":
    main()

"""What the app costs while nobody does anything: 5,000 votes and 150 runs are stored; no page is open, then one is.

`python -m tests.bench.idle` makes such a data folder, starts the app on it with the bundled model and prints one JSON
object: percent of a core that the app takes, without the browser, and milliseconds that a look at the database takes.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from alignment.runs.settings import RunSettings
from storage import database, policies, runs
from storage.messages import one_turn, stored_messages
from storage.overview import overview
from storage.records import Policy
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.harness.app import running_app

METRICS = 150  # of each run
SETTLE_SECONDS = 20.0  # after loading, in which the page's first example is answered, before measuring


def fill(db: Path, votes: int, run_count: int) -> None:
    """Store votes and runs, each of which claimed all votes that stood then and made a version that was rejected."""
    database.prepare(db)
    stored = 0
    for number in range(1, run_count + 1):
        until = votes * number // run_count
        vote(db, stored, until)
        stored = until
        run_id = runs.queue_run(db, "ppo", RunSettings().to_json())
        runs.end_run(db, run_id, "rejected", "v2 did not pass the gate and is not served: KL to SFT: 30.0 nats")
        measure(db, run_id)
        pairs = [{"prompt": "Who are you?", "before": "I am a small model. " * 5, "after": "Hello! " * 15}] * 8
        finding = {"name": "kl", "unit": "nats", "value": 30.0, "bound": 25.0, "passed": False}
        evaluation = {"kl": 30.0, "gate": {"passed": False, "findings": [finding]}, "before_after": pairs}
        folder = f"policies/policy-{number:06d}"
        policies.record_policy(db, Policy(number, None, run_id, folder, "00", "rejected", evaluation, "another model"))


def question(number: int) -> str:
    """Return what a comparison asks, as it is stored."""
    return stored_messages(one_turn(f"Ask {number}"))


def vote(db: Path, start: int, end: int) -> None:
    """Store votes by one annotator on comparisons of three, in one transaction: one each takes minutes."""
    with database.write(db) as connection:
        connection["annotators"].insert({"id": "ann", "created": database.now()}, ignore=True)
        numbers = range(start, end)
        connection["comparisons"].insert_all(
            {"id": f"c{n}", "messages": question(n), "kind": "compare", "blind": 0, "created": database.now()}
            for n in numbers
        )
        shown = {"role": "sft", "token_ids": "[1]", "seed": 0, "sampling": "{}", "finish_reason": "stop"}
        connection["completions"].insert_all(
            {"comparison": f"c{n}", "slot": slot, "position": position, "text": f"Answer {slot} to {n}.", **shown}
            for n in numbers
            for position, slot in enumerate("ABC")
        )
        given = {"annotator": "ann", "kind": "choice", "source": "simulated", "created": database.now()}
        connection["preferences"].insert_all(
            {"comparison": f"c{n}", "tiers": '[["A"], ["B", "C"]]', **given} for n in numbers
        )


def measure(db: Path, run_id: int) -> None:
    """Store what a run measures."""
    with database.write(db) as connection:
        connection["run_metrics"].insert_all(
            {"run": run_id, "step": number // 5, "name": f"objective/{'abcde'[number % 5]}", "value": 0.5}
            for number in range(METRICS)
        )


def milliseconds(look: Callable[[], object], times: int = 200) -> float:
    """Return how long a call takes, in milliseconds, on average."""
    started = time.perf_counter()
    for _ in range(times):
        look()
    return 1000 * (time.perf_counter() - started) / times


def processor_share(pid: int, seconds: float) -> float:
    """Return the part of a core that a process takes over some seconds, all its threads together."""
    process = psutil.Process(pid)
    before, started = process.cpu_times(), time.monotonic()
    time.sleep(seconds)
    after = process.cpu_times()
    taken: float = after.user + after.system - before.user - before.system
    return taken / (time.monotonic() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        db = data_dir / "triptych.db"
        fill(db, arguments.votes, arguments.runs)
        found = {
            "votes": arguments.votes,
            "runs": arguments.runs,
            "overview_ms": round(milliseconds(lambda: overview(db)), 3),
        }
        with running_app(data_dir, "--model", "pocket") as app, sync_playwright() as playwright:
            time.sleep(SETTLE_SECONDS)
            alone = processor_share(app.process.pid, arguments.seconds)
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
            page = browser.new_page()
            page.goto(app.url)
            page.wait_for_selector('[data-status="ready"]', timeout=120_000)
            time.sleep(SETTLE_SECONDS)
            with_page = processor_share(app.process.pid, arguments.seconds)
            browser.close()
        shares = {"percent_of_a_core": round(100 * alone, 2), "with_a_page_open": round(100 * with_page, 2)}
        print(json.dumps(found | {"seconds": arguments.seconds} | shares, indent=2))


if __name__ == "__main__":
    main()

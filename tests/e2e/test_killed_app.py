"""Eight people vote over HTTP while the app is killed twenty times: what was acknowledged is stored, once."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage import database, preferences, runs
from storage.judgements import COUNTS
from tests.harness.app import running_app
from tests.storage.test_preferences import comparison

KILLS, WRITERS, VOTES = 20, 8, 500  # votes of each writer over all lives of the app
TAKEN_BACK = 3  # one vote in so many
LONGEST_DELAY = 0.5  # seconds from a vote to the kill, drawn
NOBODY = ("--model", "pocket", "--engine", "http://127.0.0.1:9")  # models elsewhere: a start needs no weights
WAIT_SECONDS = 600.0


@dataclass
class Desk:
    """What the writers and the one who kills the app know together."""

    url: str = ""  # of the app that lives now
    open: threading.Event = field(default_factory=threading.Event)
    over: bool = False  # something failed
    acknowledged: list[str] = field(default_factory=list)  # "writer comparison"
    taken_back: list[str] = field(default_factory=list)

    def told(self, client: httpx.Client, name: str, *arguments: Any) -> Any:
        """Return what an endpoint answers; asked again, of the next app, for as long as the connection breaks."""
        while True:
            assert self.open.wait(WAIT_SECONDS) and not self.over
            try:
                return call(client, self.url, name, *arguments)
            except httpx.TransportError:
                time.sleep(0.01)

    def close(self) -> None:
        """Let nobody wait any more."""
        self.over = True
        self.open.set()

    def vote(self, writer: int) -> None:
        """Vote on every comparison as one person, and take some of the votes back."""
        with httpx.Client(timeout=WAIT_SECONDS, trust_env=False) as client:
            for number in range(VOTES):
                vote = self.told(client, "vote", f"c{number}", "ABC"[(writer + number) % 3])
                self.acknowledged.append(f"{writer} c{number}")
                if number % TAKEN_BACK == 0:
                    assert self.told(client, "withdraw", vote["preference_id"]) == {"withdrawn": True}
                    self.taken_back.append(f"{writer} c{number}")


def call(client: httpx.Client, url: str, name: str, *arguments: Any) -> Any:
    """Return what an endpoint answers to arguments, as curl would ask; raise httpx.TransportError for a broken line."""
    if not client.cookies:
        client.get(f"{url}/healthz")  # brings the cookie, without which all writers would be one person
    posted = client.post(f"{url}/gradio_api/call/{name}", json={"data": arguments}).raise_for_status()
    told = client.get(f"{url}/gradio_api/call/{name}/{posted.json()['event_id']}").raise_for_status()
    if "event: complete" not in told.text:
        assert "event: error" not in told.text, told.text
        raise httpx.RemoteProtocolError("the stream ended before the answer")
    (answer,) = json.loads(told.text.split("event: complete\ndata: ")[1])
    return answer


def wait_for_votes(desk: Desk, count: int, writing: list["Future[None]"]) -> None:
    """Wait until so many votes were acknowledged; raise what a writer raised."""
    until = time.monotonic() + WAIT_SECONDS
    while len(desk.acknowledged) < count:
        assert time.monotonic() < until
        for one in writing:
            if one.done():
                one.result()
        time.sleep(0.01)


@pytest.mark.slow
def test_every_acknowledged_vote_and_withdrawal_survives_twenty_kills_of_the_app(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    db, started, rng, desk = tmp_path / "triptych.db", time.monotonic(), random.Random(0), Desk()
    database.prepare(db)
    runs.set_schedule(db, runs.Schedule(0))
    for number in range(VOTES):
        preferences.save_comparison(db, comparison(f"c{number}"))
    moments = sorted(rng.sample(range(WRITERS * VOTES * 9 // 10), KILLS))  # votes after which the app is killed
    with ThreadPoolExecutor(WRITERS) as pool, closing(desk):
        writing: list[Future[None]] = []
        for moment in [*moments, None]:
            with running_app(tmp_path, *NOBODY) as app:
                desk.url = app.url
                desk.open.set()
                writing = writing or [pool.submit(desk.vote, writer) for writer in range(WRITERS)]
                if moment is None:
                    for one in writing:
                        one.result(WAIT_SECONDS)
                    break
                wait_for_votes(desk, moment, writing)
                time.sleep(rng.uniform(0, LONGEST_DELAY))
                desk.open.clear()
                app.process.kill()
                app.process.wait()
    assert len(set(desk.acknowledged)) == len(desk.acknowledged) == WRITERS * VOTES
    with database.read(db) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = list(connection.query("SELECT annotator, comparison, withdrawn FROM preferences"))
        standing = connection["preferences"].count_where(COUNTS)
        counted = connection.conn.execute("SELECT SUM(votes) FROM tallies").fetchone()[0]
    assert set(Counter((one["annotator"], one["comparison"]) for one in stored).values()) == {1}
    assert Counter(one["annotator"] for one in stored).most_common()[-1][1] == VOTES
    assert len(stored) == WRITERS * VOTES
    gone = Counter(one["comparison"] for one in stored if one["withdrawn"])
    assert gone == Counter(name.split()[1] for name in desk.taken_back)
    assert standing == counted == len(stored) - len(desk.taken_back)
    assert "Traceback" not in (tmp_path / "app.log").read_text()
    record_property("votes_and_seconds", [len(stored), round(time.monotonic() - started)])

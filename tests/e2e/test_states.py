"""What the page says and keeps when something is missing: the connection, room on the disk."""

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.test_page import ask, open_page, panels, said, votes
from tests.harness.app import ROOT, free_port
from tests.harness.disks import disk_of, fill_up
from tests.harness.scripted import backstage
from ui.layout import serve

SERVER = """
import sys, threading
from pathlib import Path
from tests.harness.disks import disk_of, fill_up
from tests.harness.scripted import backstage
from ui.layout import serve
folder, port, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
behind = backstage(folder)
behind.engine.pause = pause
serve(behind.services, "127.0.0.1", port, "signing key of the tests")
threading.Event().wait()
"""
LOST = "The connection to Triptych is lost. What you typed is kept; the page goes on by itself once it is back."

FULL = re.compile(
    r"The database could not be written \(.+\)\. Make room on the disk of the data folder, or tell whoever runs this "
    r"page, then try again\."
)


@contextmanager
def server(folder: Path, port: int, pause: float = 0.0) -> Iterator[Callable[[], None]]:
    """Serve a page with a scripted model in a process of its own; what is yielded ends it as a crash does."""
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(port), str(pause)], cwd=ROOT)

    def end() -> None:
        process.kill()
        process.wait()

    try:
        while process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/").close()
                break
            except OSError:
                time.sleep(0.1)
        yield end
    finally:
        end()


def test_a_lost_connection_is_said_in_one_sentence_and_nothing_typed_is_lost(page: Page, tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path / "first", port) as end:
        page.goto(f"http://127.0.0.1:{port}")
        expect(panels(page).nth(0)).to_contain_text("Ask something above")
        page.fill("#prompt textarea", "A long question, half")
        end()
        expect(page.get_by_role("alert").filter(visible=True)).to_have_text(LOST)
        expect(page.locator(".toast-wrap")).to_be_hidden()
        page.fill("#prompt textarea", "A long question, half written")
    with server(tmp_path / "second", port):
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.locator("#prompt textarea")).to_have_value("A long question, half written")
        ask(page, "A long question, half written")


def test_a_question_whose_answer_was_cut_off_is_back_in_the_box(page: Page, tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path / "first", port, pause=5.0) as end:
        page.goto(f"http://127.0.0.1:{port}")
        expect(panels(page).nth(0)).to_contain_text("Ask something above")
        page.fill("#prompt textarea", "Where is Paris?")
        page.keyboard.press("Enter")
        expect(page.locator("#stop")).to_be_visible()
        expect(page.locator("#prompt textarea")).to_have_value("")
        end()
        expect(page.get_by_role("alert").filter(visible=True)).to_have_text(LOST)
    with server(tmp_path / "second", port):
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.locator("#prompt textarea")).to_have_value("Where is Paris?")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, of 2 MB."""
    with disk_of(2, tmp_path / "small") as folder:
        yield folder


def test_a_full_disk_is_said_the_question_is_back_and_all_goes_on_when_there_is_room(
    page: Page, small_disk: Path
) -> None:
    behind, port = backstage(small_disk), free_port()
    app, site = serve(behind.services, "127.0.0.1", port, "key"), Site(f"http://127.0.0.1:{port}", behind)
    try:
        open_page(page, site)
        fill_up(small_disk)
        page.click("#best-2")
        expect(said(page)).to_have_text(FULL)
        expect(page.locator("#best-2")).to_be_enabled()
        page.fill("#prompt textarea", "Where is Paris?")
        page.keyboard.press("Enter")
        expect(said(page)).to_have_text(FULL)
        expect(page.locator("#prompt textarea")).to_have_value("Where is Paris?")
        (small_disk / "rest").unlink()
        ask(page, "Where is Paris?")
        page.click("#best-2")
        expect(said(page)).to_contain_text("Thanks, stored")
        assert len(votes(site)) == 1
    finally:
        app.close()

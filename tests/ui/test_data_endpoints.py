"""Export and import over HTTP, as a script would call them."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from storage import database
from tests.harness.app import free_port
from tests.harness.scripted import PASSWORD, Backstage, backstage
from tests.service.exchanging import fill
from ui.layout import serve

PAIR = {"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Backstage]]:
    behind = backstage(tmp_path_factory.mktemp("data"))
    fill(behind.db)
    page = serve(behind.services, "127.0.0.1", free_port(), behind.services.key)
    yield page.local_url, behind
    page.close()


@pytest.fixture
def client(served: tuple[str, Backstage], tmp_path: Path) -> Client:
    return Client(served[0], verbose=False, download_files=str(tmp_path / "downloads"))


def test_an_admin_gets_a_file_of_everybodys_and_others_of_their_own(client: Client) -> None:
    token = client.predict(PASSWORD, api_name="/login")["token"]
    path = Path(client.predict(token, "rankings", api_name="/export"))
    assert path.name == "rankings.jsonl"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 9
    answer = client.predict("Where?", api_name="/compare")
    client.predict(answer["comparison_id"], "C", api_name="/vote")
    own = Path(client.predict("", "preferences", api_name="/export"))
    assert len(own.read_text(encoding="utf-8").splitlines()) == 2
    assert Path(client.predict(token, "unpaired", "parquet", "plain", api_name="/export")).read_bytes()[:4] == b"PAR1"
    with pytest.raises(AppError, match='What must be "preferences"'):
        client.predict("", "everything", api_name="/export")
    with pytest.raises(AppError, match="log in first"):
        client.predict("made up", "rankings", api_name="/export")


def test_an_admin_sends_a_file_and_is_told_what_became_of_it(
    client: Client, served: tuple[str, Backstage], tmp_path: Path
) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({**PAIR, "prompt": f"Ask {n}"}) + "\n" for n in range(600)) + "{\n")
    token = client.predict(PASSWORD, api_name="/login")["token"]
    items = list(client.submit(token, handle_file(str(path)), api_name="/import"))
    assert [item["status"] for item in items] == ["running", "running", "finished"]
    assert [item["taken"] for item in items] == [500, 600, 600]
    assert items[-1]["problems"][0]["place"] == 601
    with pytest.raises(AppError, match="log in first"):
        client.predict("", handle_file(str(path)), api_name="/import")


def test_nobody_else_may_send_files_and_no_other_file_of_the_disk_is_read(
    client: Client, served: tuple[str, Backstage], tmp_path: Path
) -> None:
    sent = httpx.post(f"{served[0]}gradio_api/upload", files={"files": ("x.jsonl", b"{}")})
    assert (sent.status_code, "Only the admin" in sent.text) == (403, True)
    token = client.predict(PASSWORD, api_name="/login")["token"]
    for path in (served[1].db, Path("/etc/hostname")):
        with pytest.raises(AppError, match=r"sent to this app first|was not uploaded|Cannot move"):
            client.predict(token, {"path": str(path), "orig_name": "x.jsonl"}, api_name="/import")
    client.predict(token, api_name="/logout")
    with pytest.raises(Exception, match=r"403|Only the admin"):
        (tmp_path / "x.jsonl").write_text("{}")
        client.predict(token, handle_file(str(tmp_path / "x.jsonl")), api_name="/import")


def test_an_address_is_stored_only_as_a_code_that_needs_the_folders_key(served: tuple[str, Backstage]) -> None:
    url, behind = served
    called = httpx.post(f"{url}gradio_api/call/vote", json={"data": ["c0", "A"]})
    httpx.get(f"{url}gradio_api/call/vote/{called.json()['event_id']}")
    with database.read(behind.db) as db:
        codes = [row["id"] for row in db.query("SELECT id FROM annotators WHERE id LIKE 'host-%'")]
    assert len(codes) == 1
    assert codes[0] != "host-12ca17b49af2"  # a plain SHA-256 of 127.0.0.1

"""The admin's keys and limits: the panel's handlers, and the endpoints as scripts call them."""

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from alignment.errors import AccessError, ConfigError
from service.admission import stored_limits
from storage.database import read
from storage.signing_key import signing_key
from tests.harness.app import free_port
from tests.harness.scripted import PASSWORD, Backstage, Site, backstage
from ui import access_panel
from ui.access_panel import AccessPanel
from ui.layout import serve


@pytest.fixture
def panel() -> AccessPanel:
    with gr.Blocks():
        return access_panel.components()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("access")
    behind = backstage(folder)
    page = serve(behind.services, "127.0.0.1", free_port(), signing_key(folder))
    yield Site(page.local_url, behind)
    page.close()


def refused(client: Client, *arguments: object, api_name: str) -> str:
    with pytest.raises(AppError) as error:
        client.predict(*arguments, api_name=api_name)
    return str(error.value)


def test_the_panel_shows_limits_and_keys_to_the_admin_alone(behind: Backstage, panel: AccessPanel) -> None:
    with pytest.raises(AccessError):
        access_panel.opened(behind.services, panel, "made up")
    changed = access_panel.opened(behind.services, panel, behind.services.admin.login(PASSWORD))
    assert (changed[panel.fields["rows"]], changed[panel.fields["key_required"]]) == (48, False)
    assert "No keys yet" in changed[panel.keys]


def test_a_key_is_shown_once_listed_and_revoked(behind: Backstage, panel: AccessPanel) -> None:
    token = behind.services.admin.login(PASSWORD)
    words, changed = access_panel.make(behind.services, panel, token, "<b>Ana</b>")
    assert "triptych-" in words and "not shown again" in words
    assert "&lt;b&gt;Ana" in changed[panel.keys] and "never" in changed[panel.keys]
    secret = words.split("Copy it now: ")[1].split()[0]
    assert secret not in changed[panel.keys]
    words, changed = access_panel.revoke(behind.services, panel, token, 1.0)
    assert words == "Key 1 of <b>Ana</b> is revoked." and "revoked" in changed[panel.keys]
    with pytest.raises(ConfigError, match="the name is empty"):
        access_panel.make(behind.services, panel, token, " ")
    with pytest.raises(ConfigError, match="key_id must be a whole number"):
        access_panel.revoke(behind.services, panel, token, None)


def test_limits_are_saved_whole_or_not_at_all(behind: Backstage, panel: AccessPanel) -> None:
    token = behind.services.admin.login(PASSWORD)
    access_panel.save(behind.services, panel, token, 12.0, 512.0, 64.0, 3.0, 0.0, True)
    kept = stored_limits(behind.db)
    assert (kept.rows, kept.held_mib, kept.waiting, kept.key_required) == (12, 512, 3, True)
    with pytest.raises(ConfigError, match=r"settings.rows must not be empty; give a whole number between"):
        access_panel.save(behind.services, panel, token, None, 512.0, 64.0, 3.0, 0.0, True)
    assert stored_limits(behind.db) == kept


def test_keys_and_limits_are_endpoints_of_the_admin(site: Site) -> None:
    client = Client(site.url, verbose=False)
    for arguments, name in (
        (("x", "me"), "/make_key"),
        (("x", 1), "/revoke_key"),
        (("x",), "/keys"),
        (("x",), "/limits"),
    ):
        assert "needs the admin's token" in refused(client, *arguments, api_name=name)
    token = client.predict(PASSWORD, api_name="/login")["token"]
    made = client.predict(token, "me", api_name="/make_key")
    (listed,) = client.predict(token, api_name="/keys")["keys"]
    assert made == {"key": made["key"], **listed} and "sha256" not in listed
    assert client.predict(token, {"waiting": 5}, api_name="/limits")["waiting"] == 5
    assert client.predict(token, api_name="/limits")["waiting"] == 5
    assert "settings.rows must be" in refused(client, token, {"rows": "many"}, api_name="/limits")
    made_link = client.predict(token, "make", "annotator", "class 4b", api_name="/invitations")
    assert made_link["link"].startswith("/?invite=") and made_link["invitations"][0]["note"] == "class 4b"
    assert client.predict(token, api_name="/invitations") == {"on": False, "invitations": made_link["invitations"]}
    assert (
        "there is no invitation 9"
        in refused(client, token, "revoke", "annotator", "", 9, api_name="/invitations").lower()
    )

    holder = Client(site.url, verbose=False, headers={"Authorization": f"Bearer {made['key']}"})
    answer = holder.predict("Where?", api_name="/compare")
    holder.predict(answer["comparison_id"], "A", api_name="/vote")
    with read(site.behind.db) as db:
        assert [row["annotator"] for row in db["preferences"].rows] == ["key-1"]
    client.predict(token, {"requests_a_minute": 1}, api_name="/limits")
    for _ in range(2):
        holder.predict("Where?", api_name="/compare")
    client.predict("Where?", api_name="/compare")
    assert "more often than 1 times a minute" in refused(client, "Where?", api_name="/compare")

    assert client.predict(token, listed["id"], api_name="/revoke_key")["revoked"]
    assert "was revoked" in refused(holder, "Where?", api_name="/compare")

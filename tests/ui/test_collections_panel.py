"""The collections of votes on the Admin tab, handler by handler."""

import pytest

from alignment.errors import AccessError
from service.vote_collections import CollectionsRequest, collections
from tests.harness.scripted import PASSWORD, Backstage
from ui import collections_panel
from ui.render import render


def test_an_admin_begins_chooses_and_opens_collections(behind: Backstage) -> None:
    held, services = behind.services.admin.login(PASSWORD), behind.services
    with pytest.raises(AccessError):
        collections_panel.begun(services, "made up", "x", collections_panel.ON)
    words = collections_panel.begun(services, held, "<b>Monday</b>", collections_panel.ON)
    assert words == "New votes go into “<b>Monday</b>”, and runs learn from it too."
    assert collections_panel.changed(services, held, "leave", "all votes so far").startswith("Runs leave")
    now = collections(services, held, CollectionsRequest())
    assert [(one.name, one.open, one.learned) for one in now.all] == [
        ("<b>Monday</b>", True, True),
        ("all votes so far", False, False),
    ]
    html = render("collections", rows=now.all)
    assert "&lt;b&gt;Monday" in html and "<b>Monday" not in html
    assert 'data-act="learn" data-id="all votes so far"' in html
    assert collections_panel.changed(services, held, "learn", "all votes so far").startswith("Runs learn")
    collections_panel.changed(services, held, "open", "all votes so far")
    assert collections(services, held, CollectionsRequest()).open == "all votes so far"
    behind.add_policy(2, "rejected", gate={"passed": False, "findings": []})
    behind.add_policy(3, "retired")
    assert [version for _, version in collections_panel.starts(services)] == [collections_panel.ON, 1, 3]
    words = collections_panel.begun(services, held, "afresh", 1)
    assert words == "v1 answers, new votes go into “afresh”, and runs learn from it alone."

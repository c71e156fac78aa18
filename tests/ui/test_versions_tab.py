"""The Versions tab, handler by handler."""

import gradio as gr
import pytest

from alignment.errors import AccessError, ConfigError
from service.versions import family
from tests.harness.scripted import PASSWORD, Backstage
from ui import versions_tab, versions_view
from ui.compare_form import CompareTab
from ui.compare_settings import columns_of
from ui.versions_tab import VersionsTab


@pytest.fixture
def versions(behind: Backstage, tab: CompareTab) -> VersionsTab:
    with gr.Blocks(), gr.Tabs() as tabs:
        return versions_tab.build(behind.services, gr.BrowserState(None), tab.settings, tab.notice, tabs)


def test_versions_stand_below_those_they_were_made_from(behind: Backstage) -> None:
    behind.add_policy(2, "rejected", accuracy=0.5, kl=3.0)
    behind.add_policy(3, "retired")
    order = [(kin.policy.version, depth) for kin, depth in versions_view.in_family_order(family(behind.services))]
    assert order == [(1, 0), (2, 1), (3, 2)]
    html = versions_view.table(family(behind.services), 1)
    assert "● live" in html and "did not pass" in html and "50%" in html


@pytest.mark.parametrize(("size", "words"), [(0, "0 KB"), (20_480, "20 KB"), (1_572_864, "1.5 MB")])
def test_a_small_version_is_not_said_to_have_no_size(size: int, words: str) -> None:
    assert versions_view.size_in_words(size) == words


def test_only_an_admin_sees_the_tools_and_they_work(behind: Backstage, versions: VersionsTab) -> None:
    behind.add_policy(2)
    assert versions_tab.opened(behind.services, versions, None)[versions.tools] == gr.update(visible=False)
    held = behind.services.admin.login(PASSWORD)
    assert versions_tab.opened(behind.services, versions, held)[versions.tools] == gr.update(visible=True)
    with pytest.raises(AccessError):
        versions_tab.promote(behind.services, "made up", 2, "")
    assert versions_tab.promote(behind.services, held, 2, "") == "v2 answers from the next question on."
    assert versions_tab.retire(behind.services, held, 2, "") == "v2 is out of service; v1 answers."


def test_two_versions_side_by_side_are_what_compare_shows(behind: Backstage) -> None:
    behind.add_policy(2)
    words, settings = versions_tab.side_by_side(behind.services, {}, 2, 1)
    assert words.startswith("v2 and v1 answer what you ask next.")
    assert columns_of(settings) == ["v2", "v1"]
    with pytest.raises(ConfigError, match="choose two"):
        versions_tab.side_by_side(behind.services, {}, 2, 2)

"""Versions: everybody sees the family and sets two side by side; the admin promotes one or rolls back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service import versions
from service.context import Services
from service.requests import checked
from service.versions import VersionRequest
from ui import compare_settings, insight_view, strings, version_files, versions_view
from ui.compare_settings import NONE, PANELS, SettingsForm
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component


@dataclass(frozen=True)
class VersionsTab:
    """The tab's components that change."""

    tab: Any
    table: Any
    one: Any
    other: Any
    compare: Any
    login: Any  # what is shown to whom is not the admin
    tools: Any  # what is shown to the admin
    chosen: Any
    reason: Any
    promote: Any
    retire: Any
    said: Any
    insight: Any

    @property
    def shown(self) -> list[Any]:
        """What changes on the tab."""
        return [
            self.table,
            self.one,
            self.other,
            self.login,
            self.tools,
            self.chosen,
            self.reason,
            self.said,
            self.insight,
        ]


def opened(services: Services, tab: VersionsTab, token: str | None) -> Update:
    """Return the tab as things stand, with the admin's tools for whoever holds a token that stands."""
    family, live = versions.family(services), services.engine.live.version
    numbers = [(f"v{kin.policy.version}", kin.policy.version) for kin in family if not kin.policy.pruned]
    parent = next((kin.policy.parent for kin in family if kin.policy.version == live), None)
    others = [number for _, number in numbers if number != live]
    other = parent if parent in others else next(iter(others), live)
    inside = services.admin.is_valid(token)
    return {
        tab.table: versions_view.table(family, live),
        tab.one: gr.update(choices=numbers, value=live),
        tab.other: gr.update(choices=numbers, value=other),
        tab.chosen: gr.update(choices=numbers, value=other),
        tab.login: gr.update(visible=not inside),
        tab.tools: gr.update(visible=inside),
        tab.insight: insight_view.shown(services, token),
    }


def promote(services: Services, token: str | None, version: Any, reason: str) -> str:
    """Have a version answer and return what to say."""
    live = versions.promote(services, token, checked(VersionRequest, version=version, reason=reason))
    return strings.ANSWERS_NOW.format(live=live)


def retire(services: Services, token: str | None, version: Any, reason: str) -> str:
    """Take a version out of service and return what to say."""
    live = versions.retire(services, token, checked(VersionRequest, version=version, reason=reason))
    return strings.TAKEN_OUT.format(version=version, live=live)


def side_by_side(services: Services, kept: Any, one: Any, other: Any) -> tuple[str, dict[str, Any]]:
    """Return what to say, and the settings of Compare with these two in its panels; raise ConfigError for one twice."""
    if one == other:
        raise ConfigError(strings.TWICE)
    panels = dict(zip(PANELS, (f"v{one}", f"v{other}", NONE), strict=True))
    return strings.COMPARING.format(first=one, second=other), compare_settings.restored(services, kept) | panels


def build(services: Services, token: Any, settings: SettingsForm, said_there: Any, tabs: Any) -> VersionsTab:
    """Build the tab; `token` is what the browser keeps.

    `settings` and `tabs` are where two versions are shown, `said_there` is where Compare says so.
    """
    tab, bind_files = _components(services, token)
    _bind(services, tab, token)
    bind_files(lambda held: opened(services, tab, held), tab.shown)
    _bind_compare(services, tab, settings, said_there, tabs)
    return tab


def _components(services: Services, token: Any) -> tuple[VersionsTab, Callable[..., None]]:
    with gr.Tab(strings.VERSIONS_TAB, id="versions") as room:
        table = gr.HTML(apply_default_css=False, elem_id="family")
        said = gr.HTML(notice(""), apply_default_css=False, elem_id="version-notice", render=False)
        with gr.Row(elem_id="version-tools"):
            with gr.Column(min_width=300, elem_id="beside"):
                gr.HTML(render("heading", words=strings.SIDE_BY_SIDE))
                with gr.Row():
                    one = gr.Dropdown(label=strings.ONE_VERSION, filterable=False, min_width=90, elem_id="one-version")
                    other = gr.Dropdown(label=strings.OTHER_VERSION, filterable=False, min_width=90, elem_id="other")
                compare = gr.Button(strings.COMPARE_THESE, elem_id="compare-these")
            with gr.Column(min_width=300, elem_id="serve"):
                gr.HTML(render("heading", words=strings.ADMIN_VERSIONS))
                login = gr.HTML(render("aside", words=strings.LOG_IN_FOR_VERSIONS))
                with gr.Column(visible=False, elem_id="serve-tools") as tools:
                    chosen = gr.Dropdown(label=strings.ONE_VERSION, filterable=False, elem_id="chosen-version")
                    reason = gr.Textbox(
                        label=strings.WHY_VERSION, info=strings.WHY_VERSION_INFO, max_lines=2, elem_id="why-version"
                    )
                    with gr.Row():
                        up = gr.Button(strings.PROMOTE, variant="primary", elem_id="promote", min_width=0)
                        out = gr.Button(strings.RETIRE, elem_id="retire", min_width=0)
                    bind_files = version_files.build(services, token, chosen, said)
        said.render()
        insight = gr.HTML(apply_default_css=False, elem_id="insight")
    tab = VersionsTab(room, table, one, other, compare, login, tools, chosen, reason, up, out, said, insight)
    return tab, bind_files


def _bind(services: Services, tab: VersionsTab, token: Any) -> None:
    def open_tab(held: str | None) -> Update:
        return opened(services, tab, held)

    def doing(action: Callable[..., str]) -> Callable[..., Update]:
        def act(held: str | None, version: Any, reason: str) -> Update:
            try:
                words = action(services, held, version, reason)
            except Exception as error:
                return {tab.said: notice(sentence(error), "error")}
            return opened(services, tab, held) | {tab.said: notice(words), tab.reason: ""}

        return act

    tab.tab.select(open_tab, token, tab.shown, **QUIET)
    for button, action in ((tab.promote, promote), (tab.retire, retire)):
        button.click(doing(action), [token, tab.chosen, tab.reason], tab.shown, **QUIET)


def _bind_compare(services: Services, tab: VersionsTab, settings: SettingsForm, said_there: Any, tabs: Any) -> None:
    panels = [settings.first, settings.second, settings.third]

    def compare_both(kept: Any, one: Any, other: Any) -> Update:
        try:
            words, values = side_by_side(services, kept, one, other)
        except ConfigError as error:
            return {tab.said: notice(sentence(error), "error")}
        shown = {
            field: gr.update(value=values[name], choices=compare_settings.panel_choices(services, name))
            for name, field in zip(PANELS, panels, strict=True)
        }
        kept_now = compare_settings.kept_of(services, values)
        said = {tab.said: notice(""), said_there: notice(words)}
        return shown | said | {settings.kept: kept_now, tabs: gr.Tabs(selected="compare")}

    outputs = [*panels, settings.kept, tab.said, said_there, tabs]
    tab.compare.click(compare_both, [settings.kept, tab.one, tab.other], outputs, **QUIET)

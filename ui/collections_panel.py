"""Collections of votes: a part of the Admin tab that is read when it is opened."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from service.context import Services
from service.policies import versions
from service.requests import checked
from service.versions import passed
from service.vote_collections import Collections, CollectionsRequest, as_typed, collections
from ui import strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

Update = dict[Any, Any]  # what changes, by component
ON = 0  # instead of a version: what is live goes on, and runs learn from the other collections too
SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-act]');
  if (button) trigger('select', {act: button.dataset.act, id: button.dataset.id});
});
"""


@dataclass(frozen=True)
class CollectionsPanel:
    """The panel's components."""

    box: Any
    listed: Any
    name: Any
    start: Any
    begin: Any
    since: Any
    until: Any
    keep: Any

    @property
    def shown(self) -> list[Any]:
        """What changes on the panel."""
        return [self.listed, self.name, self.start, self.since, self.until]


def components() -> CollectionsPanel:
    """Build the panel and return its components."""
    with gr.Accordion(strings.COLLECTIONS, open=False, elem_id="collections") as box:
        listed = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="collections-list")
        with gr.Row():
            name = gr.Textbox(
                label=strings.NEW_COLLECTION, placeholder=strings.COLLECTION_HOLDER, max_lines=1, elem_id="new-name"
            )
            start = gr.Dropdown(label=strings.COLLECTION_START, filterable=False, elem_id="collection-start")
        begin = gr.Button(strings.BEGIN_COLLECTION, elem_id="begin-collection", size="sm")
        with gr.Row():
            since = gr.Textbox(label=strings.SINCE, info=strings.SPAN_INFO, max_lines=1, elem_id="learned-since")
            until = gr.Textbox(label=strings.UNTIL, info=strings.SPAN_INFO, max_lines=1, elem_id="learned-until")
        keep = gr.Button(strings.KEEP_SPAN, elem_id="keep-span", size="sm")
    return CollectionsPanel(box, listed, name, start, begin, since, until, keep)


def starts(services: Services) -> list[tuple[str, int]]:
    """Return what a collection may begin with; a version that did not pass its check has to be promoted first."""
    fit = [one.version for one in versions(services) if not one.pruned and (passed(one) or one.status == "live")]
    afresh = [(strings.AFRESH_FROM.format(version=version), version) for version in sorted(fit)]
    return [(strings.BESIDE_OTHERS, ON), *afresh]


def begun(services: Services, token: str | None, name: str, start: int) -> str:
    """Let a new collection take in what is new and return what to say; from a version it starts afresh."""
    asked = {"act": "afresh", "version": start} if start else {"act": "open"}
    done = collections(services, token, checked(CollectionsRequest, name=name, **asked))
    words = strings.COLLECTION_AFRESH if start else strings.COLLECTION_OPEN
    return words.format(name=done.open, version=start)


def changed(services: Services, token: str | None, act: str, name: str) -> str:
    """Open a collection again, or let runs learn from it or not, and return what to say."""
    if act == "open":
        collections(services, token, checked(CollectionsRequest, act="open", name=name))
        return strings.COLLECTION_OPEN.format(name=name)
    before = collections(services, token, CollectionsRequest())
    names = [one.name for one in before.all if (one.learned if one.name != name else act == "learn")]
    collections(services, token, checked(CollectionsRequest, act="choose", names=names))
    return (strings.COLLECTION_LEARNED if act == "learn" else strings.COLLECTION_LEFT).format(name=name)


def bind(services: Services, panel: CollectionsPanel, token: Any, said: Any) -> list[Any]:
    """Bind the panel's events and return its acts; `said` is where its sentences stand."""

    def drawn(now: Collections) -> Update:
        return {
            panel.listed: render("collections", rows=now.all),
            panel.name: "",
            panel.start: gr.update(choices=starts(services), value=ON),
            panel.since: as_typed(now.span.since),
            panel.until: as_typed(now.span.until),
        }

    def opened(held: str | None) -> Update:
        try:
            return drawn(collections(services, held, CollectionsRequest())) | {said: notice("")}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    def begin(held: str | None, name: str, start: Any) -> Update:
        try:
            words = begun(services, held, name, int(start or ON))
            return drawn(collections(services, held, CollectionsRequest())) | {said: notice(words)}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    def keep(held: str | None, since: str, until: str) -> Update:
        try:
            now = collections(
                services, held, checked(CollectionsRequest, act="choose", since=since or "", until=until or "")
            )
            return drawn(now) | {said: notice(strings.SPAN_KEPT)}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    def act(held: str | None, event: gr.EventData) -> Update:
        try:
            words = changed(services, held, event.act, str(event.id))
            return drawn(collections(services, held, CollectionsRequest())) | {said: notice(words)}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    outputs = [said, *panel.shown]
    panel.box.expand(opened, token, outputs, **QUIET)
    return [
        panel.begin.click(begin, [token, panel.name, panel.start], outputs, **QUIET),
        panel.keep.click(keep, [token, panel.since, panel.until], outputs, **QUIET),
        panel.listed.select(act, token, outputs, **QUIET),
    ]

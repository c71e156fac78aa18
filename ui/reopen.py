"""A stored comparison shown again: out of the history, or by its link."""

from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.context import Services
from service.conversations import latest_of
from ui import strings
from ui.annotator import annotator_id
from ui.compare_form import CompareTab
from ui.compare_view import NOTHING, Pending, Remembered, Update, empty_view, turn_view, with_standing_vote
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice

# The browser remembers what it shows from then on; a reload does not lead back to the link. An invitation's code is
# nobody else's to read.
FORGET_LINK = """() => {
  const address = new URL(location);
  if (address.searchParams.has("comparison") || address.searchParams.has("invite")) {
    address.searchParams.delete("comparison");
    address.searchParams.delete("invite");
    history.replaceState(history.state, "", address);
  }
}"""


def reopened(services: Services, tab: CompareTab, annotator: str, comparison_id: str) -> Update:
    """Return the tab with the conversation of a comparison as it was left, its last turn in the panels."""
    try:
        comparison = latest_of(services, annotator, stored_comparison(services, str(comparison_id)))
        memory = with_standing_vote(services, annotator, Remembered(comparison.id))
        changed = turn_view(services, tab, annotator, comparison, memory)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    return changed | {tab.pending: memory.to_json(), tab.finished_at: None}


def linked(services: Services, tab: CompareTab, annotator: str, comparison_id: str) -> Update:
    """Return the tab with the comparison of a link in the panels, whosever it is; nothing where there is none."""
    try:
        comparison = stored_comparison(services, comparison_id)
    except LookupError:
        return {}
    if len(comparison.completions) > len(tab.panels):
        return {tab.notice: notice(strings.TOO_MANY_ANSWERS.format(count=len(comparison.completions)), "error")}
    memory = with_standing_vote(services, annotator, Remembered(comparison.id))
    return turn_view(services, tab, annotator, comparison, memory) | {tab.pending: memory.to_json()}


def no_such(tab: CompareTab) -> Update:
    """Return what is said of a link behind which there is nothing."""
    return {tab.notice: notice(strings.NO_SUCH_LINK, "error")}


def vote_gone(services: Services, tab: CompareTab, annotator: str, pending: Pending) -> Update:
    """Return what changes in the tab after a vote was taken back elsewhere: nothing, unless it is the one shown."""
    memory = Remembered.of(pending)
    if memory.running:  # the panels show another one, which is being answered
        return {}
    try:
        now = with_standing_vote(services, annotator, memory)
    except LookupError:  # erased since
        return {}
    if not memory.comparison or now.choice == memory.choice:
        return {}
    comparison = stored_comparison(services, memory.comparison)
    changed = turn_view(services, tab, annotator, comparison, now, notice(strings.VOTE_BACK_HERE))
    return changed | {tab.pending: now.to_json()}


def follow_erasing(services: Services, erasing: Any, tab: CompareTab) -> None:
    """Have what the tab shows go from it too when it was erased; `erasing` is the event that does it."""

    def look(pending: Pending, caller: gr.Request) -> Update:
        memory = Remembered.of(pending)
        try:
            if memory.comparison and not memory.running:
                stored_comparison(services, memory.comparison)
        except LookupError:
            return empty_view(services, tab) | {tab.pending: NOTHING.to_json(), tab.finished_at: None}
        return vote_gone(services, tab, annotator_id(caller), pending) or {tab.notice: gr.skip()}

    erasing.then(look, tab.pending, [*tab.all, tab.pending, tab.finished_at], **QUIET)

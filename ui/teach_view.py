"""What the Teach tab shows of what is stored, as updates of its components."""

from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.context import Services
from service.conversations import shown_to
from service.roles import is_viewer
from service.votes import standing_vote
from ui import strings, why
from ui.annotator import annotator_id
from ui.events import QUIET
from ui.events import opened as page_opened
from ui.render import notice
from ui.teach_form import TeachTab, board, empty_board

Update = dict[Any, Any]  # what changes, by component


def idle(tab: TeachTab, *, busy: bool = False) -> Update:
    """Return the buttons as they are while nothing is open, or while answers are written."""
    return {
        tab.ask: gr.update(visible=not busy),
        tab.stop: gr.update(visible=busy),
        tab.enough: gr.update(visible=busy),
        tab.undo: gr.update(visible=False),
        tab.why: why.why(),
        tab.better: gr.update(visible=False, open=False),
    }


def shown(services: Services, tab: TeachTab, annotator: str, comparison_id: str, words: str = "") -> Update:
    """Return the tab with a stored comparison: open to a ranking, or as it was ranked. `words` is the notice."""
    comparison = stored_comparison(services, comparison_id)
    vote = standing_vote(services, annotator, comparison.id)
    completions = shown_to(services, annotator, comparison)
    same = len({one.text for one in completions}) == 1
    said = strings.ALL_THE_SAME if same else strings.RANK_THEM
    if vote is not None:
        said = strings.ALL_BAD_STORED if vote.kind == "all_bad" else strings.RANKING_STORED
    reads = is_viewer(services, annotator)
    is_open, ranked = vote is None and not reads, None if vote is None else vote.tiers
    return idle(tab) | {
        tab.board: board(tab.model, comparison.id, comparison.messages, completions, is_open=is_open, ranked=ranked),
        tab.notice: words or notice(strings.YOU_MAY_READ if reads else said),
        tab.next: gr.update(value=strings.PROPOSE_NEXT),
        tab.undo: gr.update(visible=vote is not None and not reads),
        tab.why: why.why(None if reads else vote),
        tab.better: gr.update(visible=is_open, open=False),
        tab.pending: {"comparison": comparison.id},
    }


def opened(services: Services, tab: TeachTab, annotator: str, pending: Any) -> Update:
    """Return the tab as it opens: with the comparison that the browser remembers, if there is one."""
    try:
        return shown(services, tab, annotator, remembered(pending))
    except LookupError:
        words = strings.YOU_MAY_READ if is_viewer(services, annotator) else ""
        nothing = {tab.board: empty_board(), tab.next: gr.update(value=strings.PROPOSE), tab.pending: {}}
        return idle(tab) | nothing | {tab.notice: notice(words)}


def bind_opening(services: Services, page: Any, tab: TeachTab) -> None:
    """Bind what the tab shows when a browser opens the page."""

    def look(pending: Any, caller: gr.Request) -> Update:
        return opened(services, tab, annotator_id(caller), pending)

    page.load(look, tab.pending, tab.all, **QUIET).then(None, js=page_opened("teach"), **QUIET)


def follow_erasing(services: Services, erasing: Any, tab: TeachTab) -> None:
    """Have what the tab shows go from it too when it was erased; `erasing` is the event that does it."""

    def look(pending: Any, caller: gr.Request) -> Update:
        if not remembered(pending) or remembered(pending, "running"):
            return {tab.notice: gr.skip()}
        return opened(services, tab, annotator_id(caller), pending)

    erasing.then(look, tab.pending, tab.all, **QUIET)


def remembered(pending: Any, name: str = "comparison") -> str:
    """Return the comparison that the browser remembers, or the one that is being answered; "" for none."""
    return str(pending.get(name) or "") if isinstance(pending, dict) else ""

"""The drawer with one's own conversations: found by their words, opened again, their votes taken back."""

from typing import Any

import gradio as gr

from alignment.errors import AlignmentError
from service.completions import ShownCompletion
from service.context import ServedModel, Services
from service.history import PastComparison, PastConversation, history
from service.ranking_text import ranking_text
from service.requests import HistoryRequest, WithdrawRequest, checked
from service.votes import choice_of, withdraw
from storage.errors import StorageError
from storage.records import Preference
from ui import strings
from ui.annotator import annotator_id
from ui.compare_form import CompareTab
from ui.compare_view import Pending, Remembered, Update
from ui.errors import sentence
from ui.events import QUIET, ending
from ui.render import render
from ui.reopen import reopened, vote_gone
from ui.words import panel_name

DRAWER_SCRIPT = "triptychHistory(element, props, trigger, watch)  // assets/history.js; it triggers input, select, undo"
AT_ONCE = 30  # conversations
LONGEST_TITLE = 160  # characters


def drawer() -> Any:
    """Return the drawer, closed and with nothing in it."""
    frame = {"frame": render("drawer")}
    return gr.HTML(frame, html_template="", js_on_load=DRAWER_SCRIPT, elem_id="history", apply_default_css=False)


def listed(
    services: Services, annotator: str, pending: Pending, search: str, after: str | None, reason: str = ""
) -> dict[str, Any]:
    """Return what `assets/history.js` puts into the drawer: conversations that hold some words, after a place in them.

    With a reason, only those with a vote that was given for it.

    `words` is what is said above the list: why nothing is in it, or what went wrong.
    """
    try:
        request = checked(HistoryRequest, search=search, limit=AT_ONCE, before=after, reason=reason)
        page = history(services, annotator, request)
    except (AlignmentError, StorageError) as error:
        return {"html": "", "after": after, "words": sentence(error)}
    words = (
        ""
        if page.conversations or after
        else strings.NOTHING_FOUND
        if search.strip() or reason
        else strings.NOTHING_ASKED
    )
    shown = [item(one, services.model, Remembered.of(pending)) for one in page.conversations]
    return {"html": _items(shown, page.next), "after": after, "words": words}


def _items(shown: list[dict[str, Any]], following: str | None = None) -> str:
    return render("past", conversations=shown, next=following)


def item(one: PastConversation, model: ServedModel, memory: Remembered) -> dict[str, Any]:
    """Return a conversation as the drawer lists it."""
    several = one.turns > 1
    title = " ".join(one.title.split()) or strings.ERASED_TEXT
    return {
        "key": one.conversation_id or one.comparisons[0].comparison_id,
        "comparison": one.comparisons[-1].comparison_id,
        "shown": memory.comparison in [turn.comparison_id for turn in one.comparisons],
        "title": title if len(title) <= LONGEST_TITLE else f"{title[:LONGEST_TITLE]} …",
        "own": one.conversation_id is not None,
        "teach": one.comparisons[-1].kind == "teach",
        "branch": strings.BRANCH.format(turn=one.comparisons[0].turn + 1) if one.branch_of else "",
        "answer": _told_apart(one),
        "turns": one.turns,
        "latest": one.latest,
        "votes": [_vote(turn, model, several=several) for turn in one.comparisons if turn.vote],
    }


def _told_apart(one: PastConversation) -> str:
    """Return how a branch was answered: it may ask what the conversation asks that it branches off."""
    if not one.branch_of:
        return ""
    last = one.comparisons[-1]
    preferred = choice_of(last.vote) if last.vote else ""
    texts = {shown.slot: shown.text for shown in last.completions}
    text = " ".join((texts.get(preferred) or last.completions[-1].text).split())
    return text if len(text) <= LONGEST_TITLE else f"{text[:LONGEST_TITLE]} …"


def _vote(turn: PastComparison, model: ServedModel, *, several: bool) -> dict[str, Any]:
    assert turn.vote is not None
    words = vote_words(turn.vote, turn.completions, model)
    said = strings.ONE_OF_TURNS.format(turn=turn.turn + 1, words=words) if several else words
    named = dict(strings.REASONS).get(turn.vote.reason)
    return {"id": turn.vote.id, "words": said, "reason": named or turn.vote.reason, "own_words": named is None}


def vote_words(vote: Preference, completions: tuple[ShownCompletion, ...], model: ServedModel) -> str:
    """Return a vote in words: "RLHF v1 is best", or "D > C > A = B" for a ranking."""
    choice = choice_of(vote)
    if choice == "ranking":
        return ranking_text(vote.tiers)
    for one in completions:
        if one.slot == choice:
            return strings.IS_BEST.format(name=panel_name(one, model))
    return strings.ALL_EQUAL if choice == "tie" else strings.ALL_ARE_BAD


def take_back(
    services: Services, tab: CompareTab, annotator: str, vote_id: Any, entry: str, pending: Pending
) -> tuple[dict[str, Any], Update]:
    """Take an own vote back; return its entry as the drawer shows it from then on, and what changes in the tab."""
    try:
        withdraw(services, annotator, checked(WithdrawRequest, preference_id=vote_id))
        page = history(services, annotator, checked(HistoryRequest, conversation_id=entry))
    except (AlignmentError, StorageError) as error:
        return {"words": sentence(error)}, {}
    kept = [item(one, services.model, Remembered.of(pending)) for one in page.conversations]
    shown = {"html": _items(kept), "entry": entry, "words": strings.VOTE_BACK}
    return shown, vote_gone(services, tab, annotator, pending)


def bind(services: Services, tab: CompareTab, shown: Any, header: Any, answering: Any) -> None:
    """Bind the drawer to the tab; opening a conversation ends what is being answered."""

    def find(event: gr.EventData, pending: Pending, caller: gr.Request) -> dict[str, Any]:
        return listed(services, annotator_id(caller), pending, event.search, event.after, event.reason)

    def select(event: gr.EventData, caller: gr.Request) -> Update:
        return reopened(services, tab, annotator_id(caller), event.comparison)

    def undo(event: gr.EventData, pending: Pending, caller: gr.Request) -> Update:
        value, changed = take_back(services, tab, annotator_id(caller), event.vote, event.entry, pending)
        return {shown: value, header.component: header.html()} | changed

    outputs = [*tab.all, tab.pending, tab.finished_at]
    shown.input(find, tab.pending, shown, **QUIET)
    ending([shown.select], [answering])
    shown.select(select, None, outputs, **QUIET)
    shown.undo(undo, tab.pending, [shown, header.component, *outputs], **QUIET)

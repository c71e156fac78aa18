"""Compare: one question, three answers that stream side by side, one vote, and the question after it."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.context import Services
from service.demonstrations import demonstrate_for
from service.requests import VoteRequest, WithdrawRequest, checked
from service.status import Snapshot
from service.votes import AlreadyVotedError, standing_vote, vote, withdraw
from storage.records import Preference
from ui.annotator import annotator_id
from ui.compare_form import CompareTab, Question, components, sampling_values
from ui.compare_stream import stopped, stream
from ui.compare_view import (
    NOTHING,
    SLOTS,
    Pending,
    Remembered,
    Update,
    controls,
    empty_view,
    turn_view,
    with_standing_vote,
)
from ui.errors import sentence
from ui.render import notice
from ui.words import counted

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
FOCUS_PROMPT = "() => document.querySelector('#prompt textarea').focus()"


def thanks(now: Snapshot, pairs: int) -> str:
    """Return what is said after a vote: that it is stored, and what it leads to."""
    new, needed = now.new_votes, now.retrain_every
    first = "Thanks, stored." if pairs else "Thanks, stored. It prefers no text to another."
    if now.open_run is not None:
        return f"{first} Training is under way; the next one uses this vote."
    if not needed:
        return f"{first} {counted(new, 'new vote')} since the last training."
    if new < needed:
        return f"{first} {counted(needed - new, 'vote')} to the next training."
    return f"{first} The next training begins now."


def taken_back(now: Snapshot, vote: Preference) -> str:
    """Return what is said after a vote was taken back, also of a run under way that may have read it already."""
    read = now.open_run is not None and vote.created < now.open_run.created
    return "Vote taken back. You can vote again." + (" The training under way may still learn from it." if read else "")


def choose(
    services: Services,
    tab: CompareTab,
    annotator: str,
    choice: str,
    pending: Pending,
    finished_at: float | None,
) -> Update:
    """Store a vote and return the tab with names revealed."""
    took = None if finished_at is None else time.monotonic() - finished_at
    memory = Remembered.of(pending)
    try:
        request = checked(VoteRequest, comparison_id=memory.comparison or "none", choice=choice)
        stored = vote(services, annotator, request, took)
        words = notice(thanks(services.status.now(), stored.pairs), "thanks")
    except AlreadyVotedError as standing:
        choice = standing.choice
        words = notice("You had voted on this one already; your first vote stands.")
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")} | controls(tab, "open")
    memory = replace(memory, choice=choice, picked="" if choice in SLOTS else memory.picked)
    comparison = stored_comparison(services, memory.comparison)
    return turn_view(services, tab, annotator, comparison, memory, words) | {tab.pending: memory.to_json()}


def undone(services: Services, tab: CompareTab, annotator: str, pending: Pending) -> Update:
    """Take the vote on the comparison shown back and return the tab open to another one; names stay revealed."""
    memory = replace(Remembered.of(pending), choice="")
    try:
        comparison = stored_comparison(services, memory.comparison)
        if (standing := standing_vote(services, annotator, comparison.id)) is not None:
            withdraw(services, annotator, WithdrawRequest(standing.id))
            words = notice(taken_back(services.status.now(), standing))
        else:  # it was taken back elsewhere, or the cookie is another one since
            words = notice("No vote of yours stands on this one. You can vote.")
        changed = turn_view(services, tab, annotator, comparison, memory, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    return changed | {tab.pending: memory.to_json()}


def picked(services: Services, tab: CompareTab, annotator: str, slot: str, pending: Pending) -> Update:
    """Return the tab after an answer was picked to go on from; a vote is no part of that."""
    memory = replace(Remembered.of(pending), picked=slot)
    try:
        comparison = stored_comparison(services, memory.comparison)
        words = notice("Your next question goes on from this answer.")
        changed = turn_view(services, tab, annotator, comparison, memory, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    return changed | {tab.pending: memory.to_json()}


def demonstrated(services: Services, tab: CompareTab, annotator: str, text: str, pending: Pending) -> Update:
    """Store what a person wrote as an answer to the question shown; a text that is refused stays in its field."""
    try:
        demonstrate_for(services, annotator, Remembered.of(pending).comparison, text)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    words = "Thanks, stored. The next training begins with learning to answer like this."
    return {tab.notice: notice(words, "thanks"), tab.written: ""}


def opened(services: Services, tab: CompareTab, annotator: str, pending: Pending) -> Update:
    """Return the tab as it opens: the remembered comparison, on a first visit the first example, which is asked."""
    memory = Remembered.of(pending)
    if pending is not None and not memory.comparison:
        return empty_view(services, tab)
    try:
        comparison = stored_comparison(services, memory.comparison)
    except LookupError:
        return _opened_anew(services, tab)
    memory = with_standing_vote(services, annotator, memory)
    return turn_view(services, tab, annotator, comparison, memory) | {tab.pending: memory.to_json()}


def _opened_anew(services: Services, tab: CompareTab) -> Update:
    state = services.engine.state
    if state.status == "failed":
        return empty_view(services, tab, notice(state.message, "error"), hint="")
    if not services.examples:
        return empty_view(services, tab)
    return empty_view(services, tab) | new_question(tab, services.examples[0].prompt, example=True)


def new_question(tab: CompareTab, prompt: str, *, example: bool = False) -> Update:
    """Return a request that differs from the one before, so that its change starts an answer."""
    return {tab.request: {"prompt": prompt, "example": example, "at": time.monotonic_ns()}}


def cleared(services: Services, tab: CompareTab) -> Update:
    """Return the tab ready for a new conversation; a question that stands in the box stays there."""
    return empty_view(services, tab) | {tab.pending: NOTHING.to_json(), tab.finished_at: None}


@dataclass(frozen=True)
class Header:
    """The page's header, which a vote changes."""

    component: Any
    html: Callable[[], str]


def build(services: Services, pending: Any, header: Header) -> CompareTab:
    """Build the tab and return its components; `pending` is what the browser keeps."""
    tab = components(services, pending)
    _bind_questions(services, tab)
    _bind_votes(services, tab, header)
    _bind_conversation(services, tab)
    own = sampling_values(services.model)
    switch = tab.settings[-1]
    switch.change(lambda on: gr.update(visible=on), switch, tab.preview, **QUIET)
    tab.own_way.click(lambda: own, None, tab.settings[1 : 1 + len(own)], **QUIET)
    return tab


def _bind_questions(services: Services, tab: CompareTab) -> None:
    """Bind what asks and what stops it."""

    async def answer(caller: gr.Request, request: dict[str, Any], *settings: Any) -> AsyncIterator[Update]:
        *form, pending = settings
        question, example = Question(request["prompt"], *form), request["example"]
        async for update in stream(services, tab, annotator_id(caller), question, pending, example=example):
            yield update

    def example(event: gr.EventData) -> Update:
        return new_question(tab, event.prompt, example=True)

    def stop(asked: dict[str, Any], pending: Pending, caller: gr.Request) -> Update:
        return stopped(services, tab, annotator_id(caller), asked, pending)

    answering = tab.request.change(
        answer,
        [tab.request, *tab.settings, tab.pending],
        [*tab.all, tab.pending, tab.finished_at],
        concurrency_limit=64,
        trigger_mode="multiple",
        **QUIET,
    )
    typed = [tab.ask.click, tab.prompt.submit]
    gr.on(typed, lambda prompt: new_question(tab, prompt), tab.prompt, tab.request, cancels=answering, **QUIET)
    tab.examples.click(example, None, tab.request, cancels=answering, **QUIET)
    tab.stop.click(stop, [tab.request, tab.pending], tab.all, cancels=answering, **QUIET)


def _bind_votes(services: Services, tab: CompareTab, header: Header) -> None:
    def voted(choice: str) -> Callable[..., Update]:
        def handler(pending: Pending, finished_at: float | None, caller: gr.Request) -> Update:
            changed = choose(services, tab, annotator_id(caller), choice, pending, finished_at)
            return changed | {header.component: header.html()}

        return handler

    def undo(pending: Pending, caller: gr.Request) -> Update:
        return undone(services, tab, annotator_id(caller), pending) | {header.component: header.html()}

    def saved(text: str, pending: Pending, caller: gr.Request) -> Update:
        return demonstrated(services, tab, annotator_id(caller), text, pending)

    outputs = [*tab.all, tab.pending, header.component]
    for button, choice in zip([*tab.best, tab.tie, tab.bad], [*SLOTS, "tie", "all_bad"], strict=True):
        button.click(voted(choice), [tab.pending, tab.finished_at], outputs, **QUIET)
    tab.undo.click(undo, tab.pending, outputs, **QUIET)
    tab.save.click(saved, [tab.written, tab.pending], [tab.notice, tab.written], **QUIET)


def _bind_conversation(services: Services, tab: CompareTab) -> None:
    """Bind what picks an answer to go on from, and what begins a new conversation."""

    def pick(pending: Pending, caller: gr.Request, event: gr.EventData) -> Update:
        return picked(services, tab, annotator_id(caller), event.slot, pending)

    outputs = [*tab.all, tab.pending]
    for shown_panel in tab.panels:
        shown_panel.click(pick, tab.pending, outputs, **QUIET).then(None, js=FOCUS_PROMPT, **QUIET)
    begun = tab.new.click(lambda: cleared(services, tab), None, [*outputs, tab.finished_at], **QUIET)
    begun.then(None, js=FOCUS_PROMPT, **QUIET)

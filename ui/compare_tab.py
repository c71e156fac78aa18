"""Compare: one question, three answers that stream side by side, one vote, and the question after it."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.completions import first_seed
from service.context import Services
from service.conversations import shown_to
from service.demonstrations import demonstrate_for
from service.requests import ROLES
from service.votes import standing_vote
from ui import branches, calls, changes, compare_settings, history_panel, strings, why
from ui.annotator import annotator_id
from ui.compare_form import CompareTab, Question, components
from ui.compare_stream import stopped, stream
from ui.compare_view import (
    NOTHING,
    SLOTS,
    Pending,
    Remembered,
    Update,
    empty_view,
    turn_view,
    with_standing_vote,
)
from ui.compare_vote import clicked, undone
from ui.errors import sentence
from ui.events import FOCUS_PROMPT, QUIET, ending, once_opened
from ui.first_minute import first_view
from ui.render import notice

NEW_WINDOW = "new_window"  # said of what a browser remembers, by a window that has not shown it yet
SAYS_IF_NEW = (
    f"(pending, ...rest) => [triptychIsNewWindow() && pending ? {{...pending, {NEW_WINDOW}: true}} : pending, ...rest]"
)
TELL_PREVIEW = "on => document.body.toggleAttribute('data-no-preview', !on)"  # what RLHF changed stays
FOCUS_SAID = "() => triptychSaid()"  # assets/shortcuts.js


def picked(services: Services, tab: CompareTab, annotator: str, slot: str, pending: Pending) -> Update:
    """Return the tab after an answer was picked to go on from; a vote is no part of that."""
    was = Remembered.of(pending)
    memory = replace(was, picked=slot, running="", editing="")
    try:
        comparison = stored_comparison(services, memory.comparison)
        words = notice(strings.GOES_ON_FROM_THIS)
        changed = turn_view(services, tab, annotator, comparison, memory, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    if was.editing:  # the question that stood in the box is not to be asked after this answer
        changed[tab.prompt] = changed[tab.prompt] | {"value": ""}
    return changed | {tab.pending: memory.to_json()}


def demonstrated(services: Services, tab: CompareTab, annotator: str, text: str, pending: Pending) -> Update:
    """Store what a person wrote as an answer to the question shown; a text that is refused stays in its field."""
    try:
        demonstrate_for(services, annotator, Remembered.of(pending).comparison, text)
        vote = standing_vote(services, annotator, Remembered.of(pending).comparison)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    words = strings.ALL_LOSE if vote is not None and vote.kind == "all_bad" else strings.DEMONSTRATION_STORED
    return {tab.notice: notice(words, "thanks"), tab.written: ""}


def opened(
    services: Services, tab: CompareTab, annotator: str, pending: Pending, columns: Sequence[str] = ROLES
) -> Update:
    """Return the tab as it opens: the remembered comparison, on a first visit a recorded one.

    `columns` are what empty panels are for.
    """
    running, new_window = Remembered.of(pending).running, bool(pending and pending.get(NEW_WINDOW))
    elsewhere = new_window and services.early.holds(running)
    words = notice(strings.ANSWERED_ELSEWHERE if elsewhere else strings.CUT_OFF) if running else ""
    memory = replace(Remembered.of(pending), running="", editing="")  # what was being edited went with the page
    if pending is not None and not memory.comparison:
        return empty_view(services, tab, words, columns=columns)
    try:
        comparison = stored_comparison(services, memory.comparison)
    except LookupError:
        return first_view(services, tab, columns)
    memory = with_standing_vote(services, annotator, memory)
    changed = turn_view(services, tab, annotator, comparison, memory, words, resumed=new_window)
    return changed | {tab.pending: memory.to_json()}


def new_question(tab: CompareTab, prompt: str, *, example: bool = False, again: bool = False) -> Update:
    """Return a request that differs from the one before, so that its change starts an answer."""
    return {tab.request: {"prompt": prompt, "example": example, "again": again, "at": time.monotonic_ns()}}


def cleared(services: Services, tab: CompareTab, columns: Sequence[str] = ROLES) -> Update:
    """Return the tab ready for a new conversation; a question that stands in the box stays there."""
    return empty_view(services, tab, columns=columns) | {tab.pending: NOTHING.to_json(), tab.finished_at: None}


@dataclass(frozen=True)
class Header:
    """The page's header, which a vote changes."""

    component: Any
    html: Callable[[], str]


def build(services: Services, pending: Any, header: Header) -> CompareTab:
    """Build the tab and return its components; `pending` is what the browser keeps."""
    tab = components(services, pending)
    _bind_origin(services, tab)
    answering = _bind_answering(services, tab, header)
    asking = _bind_questions(services, tab, answering)
    _bind_new_chat(services, tab, [answering, *asking])
    _bind_votes(services, tab, header)
    history_panel.bind(services, tab, history_panel.drawer(), header, answering)
    calls.bind(services, tab.calls, tab.pending, QUIET)
    changes.bind(services, tab.changes, tab.pending, QUIET)
    compare_settings.bind(services, tab.settings, QUIET)
    _bind_seed(services, tab)
    tab.settings.preview.change(None, tab.settings.preview, None, js=TELL_PREVIEW, **QUIET)
    return tab


def _bind_answering(services: Services, tab: CompareTab, header: Header) -> Any:
    """Bind the answers to a request; return their event, for what ends it."""

    async def answer(caller: gr.Request, request: dict[str, Any], *settings: Any) -> AsyncIterator[Update]:
        *form, pending = settings
        question, example, again = Question(request["prompt"], *form), request["example"], request["again"]
        if again:
            question = replace(question, seed="")
        async for update in stream(
            services, tab, annotator_id(caller), question, pending, example=example, again=again
        ):
            yield update
        yield {header.component: header.html()}  # a vote may have come early

    answering = tab.request.change(
        answer,
        [tab.request, *tab.settings.all, tab.pending],
        [*tab.all, tab.pending, tab.finished_at, header.component],
        concurrency_limit=64,
        trigger_mode="multiple",
        **QUIET,
    )
    answering.then(None, js=FOCUS_SAID, **QUIET)  # after a vote that came early
    return answering


def _bind_questions(services: Services, tab: CompareTab, answering: Any) -> list[Any]:
    """Bind what asks and what stops it; return the events that ask."""

    def example(event: gr.EventData) -> Update:
        return new_question(tab, event.prompt, example=True)

    def again(pending: Pending) -> Update:
        return new_question(tab, branches.shown_question(services, pending), again=True)

    def stop(asked: dict[str, Any], pending: Pending, caller: gr.Request) -> Update:
        return stopped(services, tab, annotator_id(caller), asked, pending)

    tab.next.click(None, js="() => triptychNext()", **QUIET)
    by_typing = [tab.ask.click, tab.prompt.submit]
    once = {"js": once_opened("compare")} | QUIET
    ending([*by_typing, tab.examples.click, tab.turns.retry, tab.stop.click], [answering])
    typed = gr.on(by_typing, lambda prompt: new_question(tab, prompt), tab.prompt, tab.request, **once)
    picked_example = tab.examples.click(example, None, tab.request, **once)
    asked_again = tab.turns.retry(again, tab.pending, tab.request, **QUIET)
    branches.bind(services, tab, answering)
    stopping = tab.stop.click(stop, [tab.request, tab.pending], [*tab.all, tab.pending], **QUIET)
    stopping.then(None, js=FOCUS_PROMPT, **QUIET)
    return [typed, picked_example, asked_again]


def _bind_votes(services: Services, tab: CompareTab, header: Header) -> None:
    def voted(choice: str) -> Callable[..., Update]:
        def handler(pending: Pending, finished_at: float | None, caller: gr.Request) -> Update:
            changed = clicked(services, tab, annotator_id(caller), choice, pending, finished_at)
            return changed | {header.component: header.html()}

        return handler

    def undo(pending: Pending, caller: gr.Request) -> Update:
        return undone(services, tab, annotator_id(caller), pending) | {header.component: header.html()}

    def saved(text: str, pending: Pending, caller: gr.Request) -> Update:
        return demonstrated(services, tab, annotator_id(caller), text, pending)

    outputs = [*tab.all, tab.pending, header.component]
    for button, choice in zip([*tab.best, tab.tie, tab.bad], [*SLOTS, "tie", "all_bad"], strict=True):
        chosen = button.click(voted(choice), [tab.pending, tab.finished_at], outputs, **QUIET)
        chosen.then(None, js=FOCUS_SAID, **QUIET)
    tab.undo.click(undo, tab.pending, outputs, **QUIET).then(None, js=FOCUS_SAID, **QUIET)
    why.bind(services, tab.why, tab.notice, tab.pending, QUIET)
    tab.save.click(saved, [tab.written, tab.pending], [tab.notice, tab.written], **QUIET)


def _bind_seed(services: Services, tab: CompareTab) -> None:
    """Bind the button that puts the seed which was used into its field."""

    def again(pending: Pending, kept: Any, caller: gr.Request) -> Update:
        try:
            comparison = stored_comparison(services, Remembered.of(pending).comparison)
        except LookupError as error:
            return {tab.notice: notice(sentence(error), "error")}
        seed = str(first_seed(shown_to(services, annotator_id(caller), comparison)))
        changed = compare_settings.kept_of(services, compare_settings.restored(services, kept) | {"seed": seed})
        words = notice(strings.SEED_SET.format(seed=seed))
        return {tab.settings.seed: seed, tab.settings.kept: changed, tab.notice: words}

    form = tab.settings
    tab.seed.click(again, [tab.pending, form.kept], [form.seed, form.kept, tab.notice], **QUIET)


def _bind_origin(services: Services, tab: CompareTab) -> None:
    """Bind what picks an answer to go on from."""

    def pick(pending: Pending, caller: gr.Request, event: gr.EventData) -> Update:
        return picked(services, tab, annotator_id(caller), event.slot, pending)

    for shown_panel in tab.panels:
        picking = shown_panel.click(pick, tab.pending, [*tab.all, tab.pending], **QUIET)
        picking.then(None, js=FOCUS_PROMPT, **QUIET)


def _bind_new_chat(services: Services, tab: CompareTab, ended: list[Any]) -> None:
    """Bind what begins a new conversation; it ends what is being asked and answered in the old one.

    The browser forgets at once, without asking the server, so that a quick question begins a conversation of its own,
    and is not wiped out by the answer of the server.
    """

    def begin(*columns: str) -> Update:
        return cleared(services, tab, [name for name in columns if name != compare_settings.NONE])

    form = tab.settings
    ending([tab.new.click], ended)
    tab.new.click(None, None, tab.pending, js=f"() => ({json.dumps(NOTHING.to_json())})", **QUIET)
    outputs = [*tab.all, tab.pending, tab.finished_at]
    clearing = tab.new.click(begin, [form.first, form.second, form.third], outputs, **QUIET)
    clearing.then(None, js=FOCUS_PROMPT, **QUIET)
    ending([tab.request.change], [clearing])

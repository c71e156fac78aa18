"""Compare: one prompt, three answers that stream side by side, one vote."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from service.compare import stored_comparison
from service.completions import ShownCompletion, shown
from service.context import Services
from service.demonstrations import demonstrate_for
from service.requests import VoteRequest, checked
from service.status import Snapshot
from service.votes import AlreadyVotedError, vote
from storage.messages import question_of
from storage.records import Comparison
from ui.annotator import annotator_id
from ui.compare_form import INVITATION, CompareTab, Question, components
from ui.errors import sentence
from ui.panels import SILENCE, panel, unasked
from ui.render import notice
from ui.words import counted, panel_name

Phase = Literal["idle", "streaming", "open", "voted"]
Update = dict[Any, Any]  # what changes, by component
Pending = dict[str, Any] | None  # what the browser remembers: the comparison's id, and the choice once there is one
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
SLOTS = "ABC"
NO_COMPARISON: dict[str, Any] = {}  # None would not be written: the browser would go on remembering
QUESTION = "Which answer is best?"


def controls(tab: CompareTab, phase: Phase, names: Sequence[str] = (), best: int | None = None) -> Update:
    """Return updates of all buttons, and of the field for an answer of one's own.

    `names` are what the panels are called, `best` is the place of the one that was chosen.
    """
    active, streaming = phase == "open", phase == "streaming"
    changed: Update = {button: gr.update(interactive=active) for button in (*tab.best, tab.tie, tab.bad)}
    for place, name in enumerate(names):
        label = f"{'✓ ' if place == best else ''}{name} is best"
        changed[tab.best[place]] = gr.update(interactive=active, value=label)
    changed |= {
        tab.following: gr.update(interactive=not streaming),
        tab.ask: gr.update(visible=not streaming),
        tab.stop: gr.update(visible=streaming),
        tab.own: gr.update(visible=True) if phase in ("open", "voted") else gr.update(visible=False, open=False),
    }
    if streaming:
        changed[tab.written] = ""  # what was written there answered another prompt
    return changed


def view(
    tab: CompareTab,
    completions: Sequence[ShownCompletion],
    phase: Phase,
    words: str,
    *,
    hint: str = SILENCE,
    choice: str | None = None,
) -> Update:
    """Return the three panels, the notice and the buttons; `words` is the notice as HTML."""
    best = SLOTS.index(choice) if choice and choice in SLOTS else None
    changed = panels(tab, completions, hint=hint, busy=phase == "streaming", best=best)
    names = [panel_name(completion) for completion in completions]
    return changed | {tab.notice: words} | controls(tab, phase, names, best)


def panels(
    tab: CompareTab, completions: Sequence[ShownCompletion], *, hint: str = "", busy: bool, best: int | None = None
) -> Update:
    """Return the three panels."""
    marks = ["your choice" if place == best else "" for place in range(len(completions))]
    html = [panel(one, hint=hint, busy=busy, mark=mark) for one, mark in zip(completions, marks, strict=True)]
    return dict(zip(tab.panels, html, strict=True))


def empty_view(services: Services, tab: CompareTab, words: str = "", *, hint: str = INVITATION) -> Update:
    """Return the tab before anything is asked."""
    return view(tab, unasked(services.engine.live.version), "idle", words or notice(""), hint=hint)


def restored(tab: CompareTab, comparison: Comparison, choice: str | None) -> Update:
    """Return a comparison that the browser remembers, voted on or not."""
    completions = shown(comparison.completions, reveal=bool(choice) or not comparison.blind)
    if choice:
        return view(tab, completions, "voted", notice("Your vote on this one is stored."), choice=choice)
    return view(tab, completions, "open", notice(QUESTION))


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


async def stream(
    services: Services, tab: CompareTab, annotator: str, question: Question, pending: Pending
) -> AsyncIterator[Update]:
    """Yield the tab while the answers grow, the pending comparison with the last item.

    `pending` is the comparison that is still shown: a refusal leaves it as it is.
    """
    phase: Phase = "voted" if pending and pending.get("choice") else "open" if pending else "idle"
    try:
        async for seconds in question.loading(services):
            words = f"The model is loading: {seconds:.0f} s. Your question is answered as soon as it is ready."
            empty, phase = unasked(services.engine.live.version), "idle"
            shown_now = view(tab, empty, "streaming", notice(words), hint="Waiting for the model.")
            yield shown_now | {tab.pending: NO_COMPARISON, tab.finished_at: None}
        last_words = None
        async for item in question.ask(services, annotator):
            words = notice("Answering …" if item.waiting is None else f"Number {item.waiting} in line.")
            if words == last_words:
                yield panels(tab, item.completions, busy=True)
            else:
                yield view(tab, item.completions, "streaming", words, hint="") | {tab.pending: NO_COMPARISON}
            last_words, last, phase = words, item, "idle"
        pending = {"comparison": last.comparison_id}
        finished = {tab.pending: pending, tab.finished_at: time.monotonic()}
        yield view(tab, last.completions, "open", notice(QUESTION)) | finished
    except Exception as error:
        yield {tab.notice: notice(sentence(error), "error")} | controls(tab, phase)


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
    comparison_id = str((pending or {}).get("comparison"))
    try:
        request = checked(VoteRequest, comparison_id=comparison_id, choice=choice)
        stored = vote(services, annotator, request, took)
        words = notice(thanks(services.status.now(), stored.pairs), "thanks")
    except AlreadyVotedError as standing:
        choice = standing.choice
        words = notice("You had voted on this one already; your first vote stands.")
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")} | controls(tab, "open")
    revealed = shown(stored_comparison(services, comparison_id).completions, reveal=True)
    changed = view(tab, revealed, "voted", words, choice=choice)
    return changed | {tab.pending: {"comparison": comparison_id, "choice": choice}}


def demonstrated(services: Services, tab: CompareTab, annotator: str, text: str, pending: Pending) -> Update:
    """Store what a person wrote as an answer to the prompt shown; a text that is refused stays in its field."""
    try:
        demonstrate_for(services, annotator, str((pending or {}).get("comparison")), text)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    words = "Thanks, stored. The next training begins with learning to answer like this."
    return {tab.notice: notice(words, "thanks"), tab.written: ""}


def opened(services: Services, tab: CompareTab, pending: Pending) -> Update:
    """Return the tab as it opens: the remembered comparison, else the first example is asked."""
    remembered = pending or {}
    try:
        comparison = stored_comparison(services, str(remembered.get("comparison")))
    except LookupError:
        return _opened_anew(services, tab)
    return restored(tab, comparison, remembered.get("choice")) | {tab.prompt: question_of(comparison.messages)}


def _opened_anew(services: Services, tab: CompareTab) -> Update:
    state = services.engine.state
    if state.status == "failed":
        return empty_view(services, tab, notice(state.message, "error"), hint="") | {tab.prompt: ""}
    if not services.examples:
        return empty_view(services, tab) | {tab.prompt: ""}
    return empty_view(services, tab) | new_question(tab, services.examples[0].prompt)


def new_question(tab: CompareTab, prompt: str) -> Update:
    """Return the prompt, and a request that differs from the one before, so that its change starts an answer."""
    return {tab.prompt: prompt, tab.request: {"prompt": prompt, "at": time.monotonic_ns()}}


def stopped(tab: CompareTab) -> Update:
    """Return the tab after an answer was stopped."""
    return {tab.notice: notice("Stopped. Ask again, or pick an example.")} | controls(tab, "idle")


def cleared(services: Services, tab: CompareTab) -> Update:
    """Return the tab ready for the next prompt."""
    return empty_view(services, tab) | {tab.prompt: "", tab.pending: NO_COMPARISON, tab.finished_at: None}


@dataclass(frozen=True)
class Header:
    """The page's header, which a vote changes."""

    component: Any
    html: Callable[[], str]


def build(services: Services, pending: Any, header: Header) -> CompareTab:
    """Build the tab and return its components; `pending` is what the browser keeps."""
    tab = components(services, pending)
    answering = _bind_questions(services, tab)
    _bind_votes(services, tab, header)
    tab.stop.click(lambda: stopped(tab), None, [tab.notice, *tab.controls], cancels=answering, **QUIET)
    tab.following.click(
        lambda: cleared(services, tab), None, [*tab.all, tab.prompt, tab.pending, tab.finished_at], **QUIET
    ).then(None, js="() => document.querySelector('#prompt textarea').focus()", **QUIET)
    return tab


def _bind_questions(services: Services, tab: CompareTab) -> Any:
    """Bind what asks and return the event that answers, which others may stop."""

    async def answer(caller: gr.Request, request: dict[str, Any], *settings: Any) -> AsyncIterator[Update]:
        *form, pending = settings
        question = Question(request["prompt"], *form)
        async for update in stream(services, tab, annotator_id(caller), question, pending):
            yield update

    def picked(event: gr.EventData) -> Update:
        return new_question(tab, event.prompt)

    answering = tab.request.change(
        answer,
        [tab.request, *tab.settings, tab.pending],
        [*tab.all, tab.pending, tab.finished_at],
        concurrency_limit=64,
        trigger_mode="multiple",
        **QUIET,
    )
    wanted = [tab.prompt, tab.request]
    gr.on(
        [tab.ask.click, tab.prompt.submit],
        lambda prompt: new_question(tab, prompt),
        tab.prompt,
        wanted,
        cancels=answering,
        **QUIET,
    )
    tab.examples.click(picked, None, wanted, cancels=answering, **QUIET)
    return answering


def _bind_votes(services: Services, tab: CompareTab, header: Header) -> None:
    def voted(choice: str) -> Callable[..., Update]:
        def handler(pending: Pending, finished_at: float | None, caller: gr.Request) -> Update:
            changed = choose(services, tab, annotator_id(caller), choice, pending, finished_at)
            return changed | {header.component: header.html()}

        return handler

    def saved(text: str, pending: Pending, caller: gr.Request) -> Update:
        return demonstrated(services, tab, annotator_id(caller), text, pending)

    for button, choice in zip([*tab.best, tab.tie, tab.bad], [*SLOTS, "tie", "all_bad"], strict=True):
        button.click(voted(choice), [tab.pending, tab.finished_at], [*tab.all, tab.pending, header.component], **QUIET)
    tab.save.click(saved, [tab.written, tab.pending], [tab.notice, tab.written], **QUIET)

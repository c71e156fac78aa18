"""A question on its way: what it goes on from, the tab while answers grow, and after those that did not end."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.completions import Progress, ShownCompletion
from service.context import Services
from service.roles import NotInvitedError, require_annotator
from ui import strings
from ui.answers import Drawn, drawn
from ui.column import turns
from ui.compare_form import CompareTab, Question
from ui.compare_view import (
    Pending,
    Phase,
    Remembered,
    Update,
    controls,
    panels,
    turn_view,
    view,
    with_standing_vote,
)
from ui.compare_vote import choose, early_controls
from ui.errors import not_written
from ui.origins import Origin, WentOnError, origin_of
from ui.panels import unasked
from ui.render import notice

# While an answer grows, its last blocks are read and sent again. Long ones rest in between, so that they slow nobody.
REST_SECONDS = 10e-6  # a character
SOON_SECONDS = 0.3  # after which a question without a first word is shown as taken
TICK_SECONDS = 1.0  # between two looks at how long the first word takes
SHORT = 2_000  # characters without a rest


async def stream(
    services: Services,
    tab: CompareTab,
    annotator: str,
    question: Question,
    pending: Pending,
    *,
    example: bool = False,
    again: bool = False,
) -> AsyncIterator[Update]:
    """Yield the tab while the answers grow, what the browser is to remember with the last item.

    `pending` is what it remembers now: a refusal leaves all as it is, a failure brings the turn before back. With
    `again` the question that is shown is asked once more, and what stands in the box stays there.
    """
    memory, began = replace(Remembered.of(pending), running=""), False
    growing = [Drawn()] * len(question.columns)
    try:
        await asyncio.to_thread(require_annotator, services, annotator)  # a viewer waits for no model in vain
        origin = await asyncio.to_thread(origin_of, services, annotator, memory, question, example=example, again=again)
        started = _started(tab, origin, question.prompt, keeps_box=again or example)
        begun = started | {tab.pending: origin.kept.to_json()}
        async for seconds in question.loading(services):
            words = notice(strings.LOADING.format(seconds=seconds))
            yield _waiting(services, tab, question, words) | ({} if began else begun)
            began = True
        last: Progress | None = None
        last_words, due, was_open = "", 0.0, None
        async for item, words in _told(question.ask(services, annotator, **origin.arguments)):
            if item is None or item is last:
                yield {tab.notice: words} if began else _waiting(services, tab, question, words) | begun
                last_words, began = words, True
                continue
            whole, last = last is None or words != last_words, item
            if not whole and time.monotonic() < due:
                continue
            growing = await asyncio.to_thread(_grown, item.completions, growing)
            shown_now = panels(tab, item.completions, drawn=growing)
            if whole:
                shown_now = view(services, tab, item.completions, "streaming", words, hint="", drawn=growing)
                shown_now |= {tab.pending: replace(origin.kept, running=item.comparison_id).to_json()}
            if (open_now := early_controls(tab, item.completions)) != was_open or whole:
                shown_now |= open_now
            due = time.monotonic() + _rest(growing)
            yield shown_now if began else shown_now | started
            last_words, was_open, began = words, open_now, True
        assert last is not None
        await asyncio.sleep(max(0.0, due - time.monotonic()))  # a long text is still being drawn there
        now = Remembered(last.comparison_id, example=example or (again and memory.example))
        yield await asyncio.to_thread(_ended, services, tab, annotator, last, now)
    except WentOnError as later:
        yield await asyncio.to_thread(_gone_on, services, tab, annotator, later)
    except Exception as error:
        words = not_written(services, error)
        if not began:
            phase: Phase = "read" if isinstance(error, NotInvitedError) else memory.phase
            yield {tab.notice: words} | controls(tab, phase)
        else:
            typed = None if again else question.prompt
            yield await asyncio.to_thread(put_back, services, tab, annotator, typed, origin.kept, words)


async def _told(asking: AsyncGenerator[Progress]) -> AsyncIterator[tuple[Progress | None, str]]:
    """Yield what comes, each with the notice, and until there is a word the last of it again each second.

    It is None where nothing came yet. Two views at once are not sent: a browser that is busy with a long second one
    may keep parts of the first.
    """
    last: Progress | None = None
    began, patience = time.monotonic(), SOON_SECONDS
    following: asyncio.Future[Progress | None] | None = None
    try:
        while not _has_a_word(last):
            following = asyncio.ensure_future(anext(asking, None))
            while not (await asyncio.wait({following}, timeout=patience))[0]:
                yield last, _so_far(last, time.monotonic() - began)
                patience = TICK_SECONDS
            if (last := await following) is None:
                return
            yield last, _so_far(last, time.monotonic() - began)
        async for item in asking:
            yield item, _so_far(item, 0.0)
    finally:
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await following
        await asking.aclose()


def _has_a_word(item: Progress | None) -> bool:
    return item is not None and any(one.text.strip() for one in item.completions)


def _waiting(services: Services, tab: CompareTab, question: Question, words: str) -> Update:
    """Return the tab while a question waits for its first word; `words` is the notice."""
    empty, nothing = unasked(services.engine.live.version, question.columns), [Drawn()] * len(question.columns)
    return view(services, tab, empty, "streaming", words, hint="", drawn=nothing)


def _so_far(item: Progress | None, seconds: float) -> str:
    """Return what is said while answers come, with the seconds for as long as there is no word."""
    place = None if item is None else item.waiting
    words = strings.ANSWERING if place is None else strings.IN_LINE.format(place=place)
    counted = seconds >= TICK_SECONDS and not _has_a_word(item)
    return notice(words, waited=strings.WAITED.format(seconds=seconds) if counted else "")


def _gone_on(services: Services, tab: CompareTab, annotator: str, later: WentOnError) -> Update:
    """Return the tab with the last turn of a conversation that went on elsewhere."""
    memory = with_standing_vote(services, annotator, Remembered(later.last.id))
    changed = turn_view(services, tab, annotator, later.last, memory, notice(strings.WENT_ON, "error"))
    return changed | {tab.pending: memory.to_json()}


def _ended(services: Services, tab: CompareTab, annotator: str, last: Progress, memory: Remembered) -> Update:
    """Return the tab after the last word, or after an early vote, which is stored here."""
    finished = {tab.pending: memory.to_json(), tab.finished_at: time.monotonic()}
    comparison = stored_comparison(services, last.comparison_id)
    open_now = turn_view(services, tab, annotator, comparison, memory, notice(strings.WHICH_IS_BEST)) | finished
    if not last.early_choice:
        return open_now
    return open_now | choose(services, tab, annotator, last.early_choice, memory.to_json(), None)


def _grown(completions: Sequence[ShownCompletion], before: Sequence[Drawn]) -> list[Drawn]:
    return [drawn(one.text, was) for one, was in zip(completions, before, strict=True)]


def _rest(growing: Sequence[Drawn]) -> float:
    """Return for how many seconds what stands is left alone."""
    unsettled = sum(one.unsettled for one in growing)
    return REST_SECONDS * unsettled if unsettled > SHORT else 0.0


def _started(tab: CompareTab, origin: Origin, prompt: str, *, keeps_box: bool) -> Update:
    """Return what changes once as soon as a question is taken: it moves from the box into the conversation.

    With `keeps_box` it did not come from there, and what stands in it stays.
    """
    column = turns(tab.model, origin.system, origin.before, prompt)
    box = gr.update() if keeps_box else gr.update(value="")
    return {tab.turns: column, tab.prompt: box, tab.finished_at: None}


def put_back(
    services: Services, tab: CompareTab, annotator: str, prompt: str | None, memory: Remembered, words: str
) -> Update:
    """Return the tab after answers that did not come to an end: the question is in the box, the turn before stands.

    With None as the prompt the box is left alone. Where there was no turn before, or it cannot be read, what was
    written of the answers stays to be read.
    """
    box = {} if prompt is None else {tab.prompt: gr.update(value=prompt)}
    left = {tab.notice: words, tab.pending: memory.to_json()} | box | controls(tab, "idle")
    if not memory.comparison:
        return left
    try:
        before = turn_view(services, tab, annotator, stored_comparison(services, memory.comparison), memory, words)
    except sqlite3.Error:  # the question is not lost with the database
        return left
    if prompt is not None:
        before[tab.prompt] = before[tab.prompt] | {"value": prompt}
    return before | {tab.pending: memory.to_json()}


def stopped(services: Services, tab: CompareTab, annotator: str, asked: dict[str, Any], pending: Pending) -> Update:
    """Return the tab after an answer was stopped: by a vote that came before, if there was one, else by this."""
    with suppress(LookupError):  # it is stored only once it has ended
        running = stored_comparison(services, Remembered.of(pending).running)
        if (voted := with_standing_vote(services, annotator, Remembered(running.id))).choice:
            return turn_view(services, tab, annotator, running, voted) | {tab.pending: voted.to_json()}
    memory = replace(Remembered.of(pending), running="")
    if asked.get("again"):
        return put_back(services, tab, annotator, None, memory, notice(strings.STOPPED_AGAIN))
    return put_back(services, tab, annotator, str(asked["prompt"]), memory, notice(strings.STOPPED))

"""A question on its way: what it goes on from, the tab while answers grow, and after those that did not end."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.compare import stored_comparison
from service.context import Services
from service.conversations import last_turn
from storage.records import Comparison
from ui.compare_form import CompareTab, Question
from ui.compare_view import (
    NOTHING,
    QUESTION,
    Pending,
    Remembered,
    Update,
    controls,
    next_column,
    panels,
    turn_view,
    view,
    with_standing_vote,
)
from ui.errors import sentence
from ui.panels import turns, unasked
from ui.render import notice

PICK_FIRST = (
    "Which answer does this go on from? Press “Go on from this” below it and ask again, or begin a new chat (C)."
)
NOT_YOURS = "This browser no longer knows that this conversation is yours; begin a new chat (C)."
WENT_ON = "This conversation went on elsewhere. Here is its last turn; your question is still in the box."
STOPPED = "Stopped. Your question is back in the box."


class WentOnError(Exception):
    """The conversation has a later turn than the one shown: it went on in another window, or past a reload."""

    def __init__(self, last: Comparison) -> None:
        super().__init__(WENT_ON)
        self.last = last


def gone_on_from(
    services: Services, annotator: str, memory: Remembered, prompt: str, *, example: bool
) -> Comparison | None:
    """Return the comparison that the next question goes on from; None where it begins a conversation of its own.

    Raises ConfigError where people have to say first which answer to go on from, WentOnError where it is not the last
    turn any more.
    """
    begins = example or not memory.comparison or (memory.example and not memory.origin)
    if begins or not prompt.strip():  # an empty prompt is refused for that, whatever it goes on from
        return None
    comparison = stored_comparison(services, memory.comparison)
    if comparison.conversation_id is None:  # it was asked before there were conversations
        return None
    try:
        last = last_turn(services, annotator, comparison.conversation_id)
    except LookupError:
        raise ConfigError(NOT_YOURS) from None
    if last.id != comparison.id:
        raise WentOnError(last)
    if not memory.origin:
        raise ConfigError(PICK_FIRST)
    return comparison


async def stream(
    services: Services, tab: CompareTab, annotator: str, question: Question, pending: Pending, *, example: bool = False
) -> AsyncIterator[Update]:
    """Yield the tab while the answers grow, what the browser is to remember with the last item.

    `pending` is what it remembers now: a refusal leaves all as it is, a failure brings the turn before back.
    """
    memory, began = Remembered.of(pending), False
    try:
        before = await asyncio.to_thread(gone_on_from, services, annotator, memory, question.prompt, example=example)
        started = await asyncio.to_thread(_started, services, tab, annotator, question, before, memory)
        async for seconds in question.loading(services):
            words = f"The model is loading: {seconds:.0f} s. Your question is answered as soon as it is ready."
            waiting = view(services, tab, unasked(services.engine.live.version), "streaming", notice(words), hint="")
            yield waiting if began else waiting | started
            began = True
        last_words = None
        goes_on = (before.conversation_id, memory.origin) if before else ()
        async for item in question.ask(services, annotator, *goes_on):
            words = notice("Answering …" if item.waiting is None else f"Number {item.waiting} in line.")
            shown_now = panels(tab, item.completions, busy=True)
            if words != last_words:
                shown_now = view(services, tab, item.completions, "streaming", words, hint="")
            yield shown_now if began else shown_now | started
            last_words, last, began = words, item, True
        memory = Remembered(last.comparison_id, example=example)
        finished = {tab.pending: memory.to_json(), tab.finished_at: time.monotonic()}
        yield view(services, tab, last.completions, "open", notice(QUESTION), memory) | finished
    except WentOnError as later:
        memory = await asyncio.to_thread(with_standing_vote, services, annotator, Remembered(later.last.id))
        changed = await asyncio.to_thread(
            turn_view, services, tab, annotator, later.last, memory, notice(WENT_ON, "error")
        )
        yield changed | {tab.pending: memory.to_json()}
    except Exception as error:
        words = notice(sentence(error), "error")
        if not began:
            yield {tab.notice: words} | controls(tab, memory.phase)
        else:
            kept = memory if before else NOTHING
            yield await asyncio.to_thread(put_back, services, tab, annotator, question.prompt, kept, words)


def _started(
    services: Services,
    tab: CompareTab,
    annotator: str,
    question: Question,
    before: Comparison | None,
    memory: Remembered,
) -> Update:
    """Return what changes once as soon as a question is taken: it moves from the box into the conversation.

    While a conversation goes on, the browser remembers the turn before: a reload or a stop leads back to it.
    """
    if before is not None:
        column = next_column(services, tab, annotator, before, memory.origin, question.prompt)
        remembered: Update = {}
    else:
        column = turns(tab.model, question.new_system or "", question=question.prompt)
        remembered = {tab.pending: NOTHING.to_json()}
    return remembered | {tab.turns: column, tab.prompt: gr.update(value=""), tab.finished_at: None}


def put_back(
    services: Services, tab: CompareTab, annotator: str, prompt: str, memory: Remembered, words: str
) -> Update:
    """Return the tab after answers that did not come to an end: the question is in the box, the turn before stands.

    Where there was none, what was written of the answers stays to be read.
    """
    if not memory.comparison:
        return {tab.notice: words, tab.prompt: gr.update(value=prompt)} | controls(tab, "idle")
    before = turn_view(services, tab, annotator, stored_comparison(services, memory.comparison), memory, words)
    before[tab.prompt] = before[tab.prompt] | {"value": prompt}
    return before


def stopped(services: Services, tab: CompareTab, annotator: str, asked: dict[str, Any], pending: Pending) -> Update:
    """Return the tab after an answer was stopped."""
    return put_back(services, tab, annotator, str(asked["prompt"]), Remembered.of(pending), notice(STOPPED))

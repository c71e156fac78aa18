"""Teach: a prompt, a few answers whose names are hidden, and a ranking of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.again import propose_or_again
from service.completions import Progress
from service.context import Services
from service.requests import checked
from service.teach_requests import ProposeRequest
from ui import strings, teach_pool, why
from ui.annotator import annotator_id
from ui.answers import Drawn, drawn
from ui.compare_tab import Header
from ui.errors import not_written, sentence
from ui.events import QUIET, ending, once_opened
from ui.render import notice
from ui.teach_form import TeachTab, board, components, drafts_board
from ui.teach_judge import bind_judging
from ui.teach_view import Update, idle, opened, remembered, shown


async def asked(
    services: Services,
    tab: TeachTab,
    annotator: str,
    prompt: str | None,
    k: Any,
    pending: Any,
    tokens: float | None = None,
) -> AsyncIterator[Update]:
    """Yield the tab while answers to a prompt are written, or to one of the pool for None.

    A refusal leaves what stands there, a failure brings it back. `tokens` is how long they may be, None for the
    model's own way.
    """
    began, growing, last = False, [Drawn()] * int(k), None
    try:
        longest = services.model.max_tokens
        if tokens is not None and not 1 <= tokens <= longest:  # a bound of the field would be said by Gradio's toast
            raise ConfigError(strings.TOKENS_TO_RANK.format(longest=longest, value=tokens))
        request = checked(ProposeRequest, prompt=prompt, k=int(k), max_new_tokens=tokens)
        async for last in propose_or_again(services, annotator, request):
            growing = await asyncio.to_thread(_grown, last, growing)
            now = {tab.notice: notice(_way_of(last)), tab.board: _growing(tab, last, growing)}
            if not began:
                memory = {"comparison": remembered(pending), "running": last.comparison_id}
                now |= idle(tab, busy=True) | {tab.prompt: "", tab.written: "", tab.pending: memory}
            yield now
            began = True
        assert last is not None
        done = await asyncio.to_thread(shown, services, tab, annotator, last.comparison_id)
        yield done | {tab.finished_at: time.monotonic()}
    except Exception as error:
        yield await asyncio.to_thread(_put_back, services, tab, annotator, prompt if began else None, pending, error)


def enough(services: Services, tab: TeachTab, annotator: str, pending: Any) -> Update:
    """Have the answers stopped that are being written; their stream shows what can be ranked of them."""
    try:
        services.early.enough(remembered(pending, "running"), annotator)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    return {tab.notice: gr.skip()}


def _grown(item: Progress, before: list[Drawn]) -> list[Drawn]:
    return [drawn(one.text, was) for one, was in zip(item.completions, before, strict=True)]


def _growing(tab: TeachTab, item: Progress, texts: list[Drawn]) -> dict[str, Any]:
    if item.drafts is not None:
        return drafts_board(item)
    return board(tab.model, item.comparison_id, item.messages, item.completions, busy=True, drawn=texts)


def _way_of(item: Progress) -> str:
    """Return what is said while answers are written."""
    if item.loading is not None:
        return strings.LOADING.format(seconds=item.loading)
    if item.waiting is not None:
        return strings.IN_LINE.format(place=item.waiting)
    if item.drafts is None:
        return strings.ANSWERING
    drafts, shown = item.drafts, len(item.completions)
    if drafts.done == drafts.count:
        return strings.CHOOSING.format(shown=shown)
    tried = strings.prompts(len(drafts.of))
    return strings.WRITING_TO_CHOOSE.format(drafts=drafts.count, prompts=tried, shown=shown)


def _put_back(
    services: Services, tab: TeachTab, annotator: str, prompt: str | None, pending: Any, error: Exception | None
) -> Update:
    """Return the tab after answers that did not come: what stood there before, the prompt in its box."""
    words = notice(strings.STOPPED) if error is None else not_written(services, error)
    before = opened(services, tab, annotator, pending) | {tab.notice: words}
    return before if prompt is None else before | {tab.prompt: prompt}


def build(services: Services, pending: Any, token: Any, header: Header) -> TeachTab:
    """Build the tab and return its components; `pending` is what the browser keeps, `token` what an admin's does."""
    tab = components(services, pending)
    _bind_asking(services, tab)
    bind_judging(services, tab, header)
    why.bind(services, tab.why, tab.notice, tab.pending, QUIET)
    teach_pool.build(services, token)
    return tab


def _bind_asking(services: Services, tab: TeachTab) -> None:
    async def answer(
        caller: gr.Request, request: dict[str, Any], k: str, tokens: float | None, pending: Any
    ) -> AsyncIterator[Update]:
        async for update in asked(services, tab, annotator_id(caller), request["prompt"], k, pending, tokens):
            yield update

    def stop(request: dict[str, Any], pending: Any, caller: gr.Request) -> Update:
        return _put_back(services, tab, annotator_id(caller), request["prompt"], pending, None)

    def suffices(pending: Any, caller: gr.Request) -> Update:
        return enough(services, tab, annotator_id(caller), pending)

    def typed(prompt: str) -> dict[str, Any]:
        return {"prompt": prompt, "at": time.monotonic_ns()}

    def proposed() -> dict[str, Any]:
        return {"prompt": None, "at": time.monotonic_ns()}

    outputs = [*tab.all, tab.finished_at]
    answering = tab.request.change(
        answer,
        [tab.request, tab.k, tab.tokens, tab.pending],
        outputs,
        concurrency_limit=64,
        trigger_mode="multiple",
        **QUIET,
    )
    asking = {"js": once_opened("teach")} | QUIET
    by_typing = [tab.ask.click, tab.prompt.submit]
    ending([*by_typing, tab.next.click, tab.stop.click], [answering])
    gr.on(by_typing, typed, tab.prompt, tab.request, **asking)
    tab.next.click(proposed, None, tab.request, **asking)
    tab.enough.click(suffices, tab.pending, tab.notice, **QUIET)
    tab.stop.click(stop, [tab.request, tab.pending], outputs, **QUIET)

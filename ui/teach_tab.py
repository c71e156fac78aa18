"""Teach: a prompt, a few answers whose names are hidden, and a ranking of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.again import propose_or_again
from service.better import none_good
from service.compare import stored_comparison
from service.completions import Progress
from service.context import Services
from service.conversations import shown_to
from service.requests import WithdrawRequest, checked
from service.roles import NotInvitedError, is_viewer
from service.teach_requests import ProposeRequest, RankRequest
from service.votes import AlreadyVotedError, rank, standing_vote, withdraw
from ui import strings, teach_pool, why
from ui.annotator import annotator_id
from ui.answers import Drawn, drawn
from ui.compare_tab import Header
from ui.compare_vote import taken_back
from ui.errors import not_written, sentence
from ui.events import QUIET, ending, once_opened
from ui.render import notice
from ui.teach_form import TeachTab, board, components, drafts_board, empty_board

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
    said = strings.RANKING_STORED if vote else strings.ALL_THE_SAME if same else strings.RANK_THEM
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
        return shown(services, tab, annotator, _remembered(pending))
    except LookupError:
        said = {tab.notice: notice(strings.YOU_MAY_READ)} if is_viewer(services, annotator) else {}
        return idle(tab) | {tab.board: empty_board()} | said


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
                memory = {"comparison": _remembered(pending), "running": last.comparison_id}
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
        services.early.enough(_remembered(pending, "running"), annotator)
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


def ranked(
    services: Services, tab: TeachTab, annotator: str, ranking: Any, pending: Any, finished_at: float | None
) -> Update:
    """Store a ranking and return the tab with names revealed."""
    return _judged(
        services,
        tab,
        annotator,
        pending,
        lambda comparison: (
            strings.RANKED.format(pairs=strings.pairs(made))
            if (made := _rank(services, annotator, comparison, ranking, _took(finished_at)))
            else strings.RANKED_NO_ORDER
        ),
    )


def _rank(services: Services, annotator: str, comparison: str, ranking: Any, took: float | None) -> int:
    request = checked(RankRequest, comparison_id=comparison, ranking=ranking)
    return rank(services, annotator, request, took).pairs


def none_of_these(
    services: Services, tab: TeachTab, annotator: str, better: str | None, pending: Any, finished_at: float | None
) -> Update:
    """Store that all are bad, with a better answer or, for None, without one, and return the tab."""

    def store(comparison: str) -> str:
        if better is not None and not better.strip():
            raise ConfigError(strings.NO_BETTER)
        none_good(services, annotator, comparison, better or "", _took(finished_at))
        return strings.NONE_STORED if better is None else strings.NONE_AND_BETTER

    return {tab.written: ""} | _judged(services, tab, annotator, pending, store)


def _judged(services: Services, tab: TeachTab, annotator: str, pending: Any, store: Any) -> Update:
    """Return the tab after a judgement was stored by `store`, which returns what is said; or why it was refused."""
    comparison = _remembered(pending)
    try:
        words = notice(store(comparison or "none"), "thanks")
    except AlreadyVotedError:
        words = notice(strings.RANKED_BEFORE)
    except NotInvitedError as error:  # roles were switched on since the answers were shown
        return shown(services, tab, annotator, comparison, notice(sentence(error), "error")) | {tab.written: gr.skip()}
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error"), tab.written: gr.skip()}
    return shown(services, tab, annotator, comparison, words)


def undone(services: Services, tab: TeachTab, annotator: str, pending: Any) -> Update:
    """Take the judgement of the comparison shown back and return the tab open to another one; names stay revealed."""
    comparison = _remembered(pending)
    try:
        words = notice(strings.NO_VOTE_STANDS)
        if (standing := standing_vote(services, annotator, comparison)) is not None:
            withdraw(services, annotator, WithdrawRequest(standing.id))
            back = taken_back(services.status.now(), standing, strings.RANKING_BACK)
            words = notice(back)
        return shown(services, tab, annotator, comparison, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}


def _remembered(pending: Any, name: str = "comparison") -> str:
    return str(pending.get(name) or "") if isinstance(pending, dict) else ""


def _took(finished_at: float | None) -> float | None:
    return None if finished_at is None else time.monotonic() - finished_at


def build(services: Services, pending: Any, token: Any, header: Header) -> TeachTab:
    """Build the tab and return its components; `pending` is what the browser keeps, `token` what an admin's does."""
    tab = components(services, pending)
    _bind_asking(services, tab)
    _bind_judging(services, tab, header)
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


def _bind_judging(services: Services, tab: TeachTab, header: Header) -> None:
    def submit(event: gr.EventData, pending: Any, finished_at: Any, caller: gr.Request) -> Update:
        changed = ranked(services, tab, annotator_id(caller), event.ranking, pending, finished_at)
        return changed | {header.component: header.html()}

    def save(text: str, pending: Any, finished_at: Any, caller: gr.Request) -> Update:
        changed = none_of_these(services, tab, annotator_id(caller), text, pending, finished_at)
        return changed | {header.component: header.html()}

    def all_bad(pending: Any, finished_at: Any, caller: gr.Request) -> Update:
        changed = none_of_these(services, tab, annotator_id(caller), None, pending, finished_at)
        return changed | {header.component: header.html()}

    def undo(pending: Any, caller: gr.Request) -> Update:
        return undone(services, tab, annotator_id(caller), pending) | {header.component: header.html()}

    def select(event: gr.EventData, caller: gr.Request) -> Update:
        return opened(services, tab, annotator_id(caller), {"comparison": event.comparison}) | {tab.finished_at: None}

    outputs = [*tab.all, header.component]
    judging = [tab.pending, tab.finished_at]
    tab.board.submit(submit, judging, outputs, **QUIET)
    tab.board.select(select, None, [*tab.all, tab.finished_at], **QUIET)
    tab.save.click(save, [tab.written, *judging], outputs, **QUIET)
    tab.all_bad.click(all_bad, judging, outputs, **QUIET)
    tab.undo.click(undo, tab.pending, outputs, **QUIET)

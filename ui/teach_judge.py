"""What happens when somebody ranks on the Teach tab, calls all of it bad, or takes that back."""

import time
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.better import none_good, take_back
from service.context import Services
from service.requests import checked
from service.roles import NotInvitedError
from service.teach_requests import RankRequest
from service.votes import AlreadyVotedError, rank
from ui import strings
from ui.annotator import annotator_id
from ui.compare_tab import Header
from ui.compare_vote import taken_back
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice
from ui.teach_form import TeachTab
from ui.teach_view import Update, opened, remembered, shown


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
    comparison = remembered(pending)
    try:
        words = notice(store(comparison or "none"), "thanks")
    except AlreadyVotedError:
        return shown(services, tab, annotator, comparison, notice(strings.RANKED_BEFORE)) | {tab.written: gr.skip()}
    except NotInvitedError as error:  # roles were switched on since the answers were shown
        return shown(services, tab, annotator, comparison, notice(sentence(error), "error")) | {tab.written: gr.skip()}
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error"), tab.written: gr.skip()}
    return shown(services, tab, annotator, comparison, words)


def undone(services: Services, tab: TeachTab, annotator: str, pending: Any) -> Update:
    """Take the judgement of the comparison shown back, with a better answer that was written with it, and return the
    tab open to another one; names stay revealed.
    """
    comparison = remembered(pending)
    try:
        words = notice(strings.NO_VOTE_STANDS)
        if (back := take_back(services, annotator, comparison)) is not None:
            said = strings.BETTER_BACK if back.written else strings.RANKING_BACK
            words = notice(taken_back(services.status.now(), back.vote, said))
        return shown(services, tab, annotator, comparison, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}


def _took(finished_at: float | None) -> float | None:
    return None if finished_at is None else time.monotonic() - finished_at


def bind_judging(services: Services, tab: TeachTab, header: Header) -> None:
    """Bind what ranks, judges and takes back, and what opens an earlier one."""

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

"""Asking in place of a turn: its question edited, or the same once more; and the way between what was asked there."""

from dataclasses import replace
from typing import Any

import gradio as gr

from service.compare import stored_comparison
from service.context import Services
from storage.messages import question_of
from ui import strings
from ui.annotator import annotator_id
from ui.compare_form import CompareTab
from ui.compare_view import Pending, Remembered, Update, turn_view
from ui.errors import sentence
from ui.events import FOCUS_PROMPT, QUIET, ending
from ui.render import notice
from ui.reopen import reopened


def edited(services: Services, tab: CompareTab, annotator: str, comparison_id: str, pending: Pending) -> Update:
    """Return the tab with a turn's question in the box, to be changed; "" leaves what was being edited as it was."""
    memory = replace(Remembered.of(pending), editing=str(comparison_id), running="")
    words = notice(strings.EDITING if memory.editing else strings.LEFT)
    try:
        question = question_of(stored_comparison(services, memory.editing).messages) if memory.editing else ""
        changed = turn_view(services, tab, annotator, stored_comparison(services, memory.comparison), memory, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    changed[tab.prompt] = changed[tab.prompt] | {"value": question}
    return changed | {tab.pending: memory.to_json()}


def shown_question(services: Services, pending: Pending) -> str:
    """Return the question that the panels answer, "" where there is none."""
    try:
        return question_of(stored_comparison(services, Remembered.of(pending).comparison).messages)
    except LookupError:
        return ""


def bind(services: Services, tab: CompareTab, answering: Any) -> None:
    """Bind what may be done with a turn above the panels; asking again and opening another version end an answer."""

    def edit(event: gr.EventData, pending: Pending, caller: gr.Request) -> Update:
        return edited(services, tab, annotator_id(caller), event.comparison, pending)

    def leave(pending: Pending, caller: gr.Request) -> Update:
        return edited(services, tab, annotator_id(caller), "", pending)

    def open_version(event: gr.EventData, caller: gr.Request) -> Update:
        return reopened(services, tab, annotator_id(caller), event.comparison)

    outputs = [*tab.all, tab.pending]
    tab.turns.edit(edit, tab.pending, outputs, **QUIET).then(None, js=FOCUS_PROMPT, **QUIET)
    tab.turns.clear(leave, tab.pending, outputs, **QUIET).then(None, js=FOCUS_PROMPT, **QUIET)
    ending([tab.turns.select], [answering])
    tab.turns.select(open_version, None, [*outputs, tab.finished_at], **QUIET)

"""Votes on the Compare tab: while answers grow, after they have ended, and taken back."""

import time
from collections.abc import Sequence
from dataclasses import replace

import gradio as gr

from service.compare import stored_comparison
from service.completions import ShownCompletion
from service.context import Services
from service.early import votable
from service.requests import VoteRequest, WithdrawRequest, checked
from service.roles import NotInvitedError
from service.status import Snapshot
from service.votes import AlreadyVotedError, standing_vote, vote, withdraw
from storage.records import Preference
from ui import strings
from ui.compare_form import CompareTab
from ui.compare_view import SLOTS, Pending, Phase, Remembered, Update, best_label, controls, turn_view
from ui.errors import sentence
from ui.render import notice
from ui.words import panel_name


def clicked(
    services: Services,
    tab: CompareTab,
    annotator: str,
    choice: str,
    pending: Pending,
    finished_at: float | None,
) -> Update:
    """Return the tab after a vote button was pressed. While answers grow they stop, and their stream shows the vote."""
    memory = Remembered.of(pending)
    try:
        if memory.running and services.early.vote(memory.running, annotator, choice):
            return {tab.pending: gr.skip()}
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    if memory.running:  # it has ended since, by itself or not
        memory = Remembered(memory.running)
        try:
            stored_comparison(services, memory.comparison)
        except LookupError:
            return {tab.notice: notice(strings.VOTE_STOPPED, "error")}
    return choose(services, tab, annotator, choice, memory.to_json(), finished_at)


def early_controls(tab: CompareTab, completions: Sequence[ShownCompletion]) -> Update:
    """Return the vote buttons while answers grow: those that judge nothing but what can be read already work."""
    changed = {}
    for button, one in zip(tab.best, completions, strict=False):
        label = best_label(panel_name(one, tab.model))
        changed[button] = gr.update(interactive=votable(completions, one.slot), value=label)
    both = {button: gr.update(interactive=votable(completions, "tie")) for button in (tab.tie, tab.bad)}
    return changed | both


def thanks(now: Snapshot, words: str) -> str:
    """Return what is said after a vote: `words`, that it is stored, and what it leads to."""
    new, needed = now.new_votes, now.retrain_every
    if now.open_run is not None:
        leads_to = strings.IN_THE_NEXT_TRAINING
    elif not needed:
        leads_to = strings.SINCE_LAST_TRAINING.format(votes=strings.new_votes(new))
    elif new < needed:
        leads_to = strings.TO_NEXT_TRAINING.format(votes=strings.votes(needed - new))
    else:
        leads_to = strings.TRAINING_BEGINS
    return f"{words} {leads_to}"


def taken_back(now: Snapshot, vote: Preference, words: str = strings.VOTE_BACK_HERE) -> str:
    """Return what is said after a vote was taken back, also of a run under way that may have read it already."""
    read = now.open_run is not None and vote.created < now.open_run.created
    return f"{words} {strings.MAY_STILL_LEARN}" if read else words


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
        said = strings.THANKS if stored.pairs else strings.THANKS_NO_ORDER
        if choice == "all_bad" and not stored.pairs:
            said = strings.THANKS_ALL_BAD
        teaches = stored.pairs or choice == "all_bad"
        leans = f" {strings.PREVIEW_LEANS}" if teaches and services.preview.fitted else ""
        words = notice(thanks(services.status.now(), said) + leans, "thanks")
    except AlreadyVotedError as standing:
        choice = standing.choice
        words = notice(strings.FIRST_VOTE_STANDS)
    except Exception as error:
        phase: Phase = "read" if isinstance(error, NotInvitedError) else "open"
        return {tab.notice: notice(sentence(error), "error")} | controls(tab, phase)
    memory = replace(memory, choice=choice, picked="" if choice in SLOTS else memory.picked)
    comparison = stored_comparison(services, memory.comparison)
    return turn_view(services, tab, annotator, comparison, memory, words) | {tab.pending: memory.to_json()}


def undone(services: Services, tab: CompareTab, annotator: str, pending: Pending) -> Update:
    """Take the vote on the comparison shown back and return the tab open to another one; names stay revealed."""
    memory = replace(Remembered.of(pending), choice="", running="")
    try:
        comparison = stored_comparison(services, memory.comparison)
        if (standing := standing_vote(services, annotator, comparison.id)) is not None:
            withdraw(services, annotator, WithdrawRequest(standing.id))
            back = strings.VOTE_BACK_KNOWN if comparison.blind else strings.VOTE_BACK_HERE
            words = notice(taken_back(services.status.now(), standing, back))
        else:  # it was taken back elsewhere, or the cookie is another one since
            words = notice(strings.NO_VOTE_STANDS)
        changed = turn_view(services, tab, annotator, comparison, memory, words)
    except Exception as error:
        return {tab.notice: notice(sentence(error), "error")}
    return changed | {tab.pending: memory.to_json()}

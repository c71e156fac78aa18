"""What the Compare tab shows at each moment, as updates of its components. Nothing is asked or stored here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import gradio as gr

from service.compare import stored_comparison
from service.completions import ShownCompletion, first_seed
from service.context import Services
from service.conversations import is_own, shown_to, turns_before, versions_of
from service.requests import ROLES
from service.roles import is_viewer
from service.votes import choice_of, standing_vote
from storage.messages import question_of
from storage.records import Comparison
from ui import strings
from ui.answers import Drawn
from ui.column import Here, turns
from ui.compare_form import CompareTab
from ui.panels import no_panel, panel, preview_line, unasked
from ui.render import notice
from ui.why import why
from ui.words import panel_name

Phase = Literal["idle", "streaming", "open", "voted", "read"]  # "read": shown to a viewer, who may not vote
Update = dict[Any, Any]  # what changes, by component
Pending = dict[str, Any] | None  # what the browser remembers, as JSON; None where nothing was ever asked in it
SLOTS = ("A", "B", "C")


@dataclass(frozen=True)
class Remembered:
    """What the browser remembers: ids and slots, no text."""

    comparison: str = ""  # the one that is shown; "" for none
    choice: str = ""  # what was voted: a slot, "tie" or "all_bad"
    picked: str = ""  # slot that was picked to go on from
    running: str = ""  # the one that is being answered: its votes come early
    editing: str = ""  # the comparison in whose place the next question is asked
    example: bool = False  # the comparison came of an example: what is typed next begins a conversation of its own
    shared: bool = False  # it is of somebody else's conversation, so nothing goes on from it

    @classmethod
    def of(cls, stored: Pending) -> Self:
        """Return what a browser sent; it may be of an older page, or anything."""
        values = stored or {}
        texts = {name: str(values.get(name) or "") for name in ("comparison", "choice", "picked", "running", "editing")}
        return cls(**texts, example=values.get("example") is True, shared=values.get("shared") is True)

    def to_json(self) -> dict[str, Any]:
        """Return it without what is empty. It is never None, which would not be written over what was there."""
        return {name: value for name, value in vars(self).items() if value}

    @property
    def origin(self) -> str:
        """The slot that the next question goes on from, "" if none was picked or voted best."""
        return self.picked or (self.choice if self.choice in SLOTS else "")

    @property
    def phase(self) -> Phase:
        """What whoever is no viewer may do on the page."""
        return "voted" if self.choice else "open" if self.comparison else "idle"


NOTHING = Remembered()


def with_standing_vote(services: Services, annotator: str, memory: Remembered) -> Remembered:
    """Return what a browser remembers of a comparison with what the database knows of it.

    The vote that stands may have been made or taken back elsewhere, and the conversation may be somebody else's.
    """
    vote = standing_vote(services, annotator, memory.comparison)
    shared = not is_own(services, annotator, stored_comparison(services, memory.comparison))
    return replace(memory, choice=choice_of(vote) if vote else "", shared=shared)


def best_label(name: str, *, chosen: bool = False) -> str:
    """Return what the button below a panel says."""
    return (strings.CHOSEN_IS_BEST if chosen else strings.IS_BEST).format(name=name)


def controls(tab: CompareTab, phase: Phase, names: Sequence[str] = (), best: str = "") -> Update:
    """Return updates of all buttons, and of the field for an answer of one's own.

    `names` are what the panels are called, `best` is the slot of the one that was chosen.
    """
    active, streaming = phase == "open", phase == "streaming"
    changed: Update = {button: gr.update(interactive=active) for button in (*tab.best, tab.tie, tab.bad)}
    for button, slot, name in zip(tab.best, SLOTS, names, strict=False):
        changed[button] = gr.update(interactive=active, value=best_label(name, chosen=slot == best))
    changed |= {
        tab.undo: gr.update(visible=phase == "voted"),
        tab.next: gr.update(interactive=not streaming),
        tab.ask: gr.update(visible=not streaming),
        tab.stop: gr.update(visible=streaming),
        tab.own: gr.update(visible=True) if phase in ("open", "voted") else gr.update(visible=False, open=False),
    }
    if streaming:
        changed[tab.written] = ""  # what was written there answered another prompt
    return changed


def panels(
    tab: CompareTab,
    completions: Sequence[ShownCompletion],
    memory: Remembered = NOTHING,
    *,
    hint: str = "",
    drawn: Sequence[Drawn | None] = (None,) * len(SLOTS),
    stored: bool = False,
) -> Update:
    """Return the three panels; `drawn` are their texts as HTML while they grow, `stored` says that they have ended."""
    origin = memory.origin if memory.comparison else None
    marks = [strings.YOUR_CHOICE if one.slot == memory.choice else "" for one in completions]
    shown = [
        panel(one, tab.model, hint=hint, mark=mark, origin=origin, drawn=growing, stored=stored)
        for one, mark, growing in zip(completions, marks, drawn, strict=False)
    ]
    left_out = [no_panel()] * (len(tab.panels) - len(shown))
    return dict(zip(tab.panels, shown + left_out, strict=False))


def view(
    services: Services,
    tab: CompareTab,
    completions: Sequence[ShownCompletion],
    phase: Phase,
    words: str,
    memory: Remembered = NOTHING,
    *,
    hint: str = strings.SILENCE,
    drawn: Sequence[Drawn | None] = (None,) * len(SLOTS),
) -> Update:
    """Return the three panels, the line below, the notice, the buttons and what the box invites to.

    `words` is the notice as HTML, `drawn` are the texts as HTML while they grow.
    """
    names = [panel_name(completion, tab.model) for completion in completions]
    stored = phase in ("open", "voted", "read")
    changed = panels(tab, completions, memory, hint=hint, drawn=drawn, stored=stored)
    invited = gr.update(placeholder=_invitation(names, memory))
    changed |= {
        tab.preview: preview_line(services.preview, completions, stored=stored),
        tab.notice: words,
        tab.prompt: invited,
    }
    changed |= controls(tab, phase, names, memory.choice)
    changed[tab.why] = why()
    changed[tab.seed] = _seed_button(completions, phase)
    for place, button in enumerate(tab.best):
        changed[button] |= gr.update(visible=place < len(completions))
    for button, completion in zip(tab.best, completions, strict=False):
        if completion.unread:  # also after the vote that stopped it was taken back
            changed[button] |= gr.update(interactive=False)
    return changed


def _seed_button(completions: Sequence[ShownCompletion], phase: Phase) -> Update:
    """Return the button that names the seed; it keeps its place where there is none."""
    known = phase in ("open", "voted", "read")
    label = strings.SEED_USED.format(seed=first_seed(completions)) if known else ""
    changed: Update = gr.update(value=label, interactive=known)
    return changed


def _invitation(names: Sequence[str], memory: Remembered) -> str:
    """Return what the empty box says."""
    if memory.editing:
        return strings.ASK_INSTEAD
    if memory.comparison and memory.origin in SLOTS:
        return strings.GO_ON_FROM.format(name=names[SLOTS.index(memory.origin)])
    return strings.GO_ON if memory.comparison and not memory.example else strings.ASK_ALL


def empty_view(
    services: Services,
    tab: CompareTab,
    words: str = "",
    *,
    hint: str = strings.ASK_OR_PICK,
    columns: Sequence[str] = ROLES,
) -> Update:
    """Return the tab before anything is asked."""
    completions = unasked(services.engine.live.version, columns)
    return view(services, tab, completions, "idle", words or notice(""), hint=hint) | {tab.turns: turns(tab.model)}


def turn_view(
    services: Services,
    tab: CompareTab,
    annotator: str,
    comparison: Comparison,
    memory: Remembered,
    words: str = "",
    *,
    resumed: bool = False,
) -> Update:
    """Return a stored comparison that the browser remembers, with the turns before it.

    With `resumed` it says that it is the last conversation, because nobody asked this window for it.
    """
    completions = shown_to(services, annotator, comparison)
    phase: Phase = "read" if is_viewer(services, annotator) else memory.phase
    words = words or notice(_invites(memory, phase))
    before = turns_before(services, annotator, comparison)
    versions = versions_of(services, comparison)
    here = Here(
        comparison.id,
        own=not memory.shared and comparison.conversation_id is not None,
        editing=memory.editing,
        versions=versions,
        since=comparison.created if resumed and not memory.shared else "",
    )
    column = turns(tab.model, system_of(comparison), before, question_of(comparison.messages), here)
    vote = standing_vote(services, annotator, comparison.id) if phase == "voted" else None
    reasons = why(vote)
    if comparison.conversation_id is None or memory.shared or phase == "read":  # nothing goes on from it
        memory = replace(memory, comparison="")
    return view(services, tab, completions, phase, words, memory) | {tab.turns: column, tab.why: reasons}


def _invites(memory: Remembered, phase: Phase) -> str:
    """Return what the notice says of a stored comparison where nothing else is to be said."""
    if phase == "read":
        return strings.YOU_MAY_READ
    if memory.choice:
        return strings.VOTE_STORED
    return strings.SHARED if memory.shared else strings.WHICH_IS_BEST


def system_of(comparison: Comparison) -> str:
    """Return the system prompt of a comparison's conversation, "" without one."""
    first = comparison.messages[0]
    return first.content if first.role == "system" else ""

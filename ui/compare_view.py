"""What the Compare tab shows at each moment, as updates of its components. Nothing is asked or stored here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import gradio as gr

from service.completions import ShownCompletion
from service.context import Services
from service.conversations import past_turn, shown_to, turns_before
from service.votes import choice_of, standing_vote
from storage.messages import question_of
from storage.records import Comparison
from ui.compare_form import FIRST, INVITATION, CompareTab
from ui.panels import SILENCE, panel, preview_line, turns, unasked
from ui.render import notice
from ui.words import panel_name

Phase = Literal["idle", "streaming", "open", "voted"]
Update = dict[Any, Any]  # what changes, by component
Pending = dict[str, Any] | None  # what the browser remembers, as JSON; None where nothing was ever asked in it
SLOTS = ("A", "B", "C")
QUESTION = "Which answer is best?"


@dataclass(frozen=True)
class Remembered:
    """What the browser remembers: ids and slots, no text."""

    comparison: str = ""  # the one that is shown; "" for none
    choice: str = ""  # what was voted: a slot, "tie" or "all_bad"
    picked: str = ""  # slot that was picked to go on from
    example: bool = False  # the comparison came of an example: what is typed next begins a conversation of its own

    @classmethod
    def of(cls, stored: Pending) -> Self:
        """Return what a browser sent; it may be of an older page, or anything."""
        values = stored or {}
        texts = {name: str(values.get(name) or "") for name in ("comparison", "choice", "picked")}
        return cls(**texts, example=values.get("example") is True)

    def to_json(self) -> dict[str, Any]:
        """Return it without what is empty. It is never None, which would not be written over what was there."""
        return {name: value for name, value in vars(self).items() if value}

    @property
    def origin(self) -> str:
        """The slot that the next question goes on from, "" if none was picked or voted best."""
        return self.picked or (self.choice if self.choice in SLOTS else "")

    @property
    def phase(self) -> Phase:
        """What may be done on the page."""
        return "voted" if self.choice else "open" if self.comparison else "idle"


NOTHING = Remembered()


def with_standing_vote(services: Services, annotator: str, memory: Remembered) -> Remembered:
    """Return what a browser remembers with the vote that stands: it may have been made or taken back elsewhere."""
    vote = standing_vote(services, annotator, memory.comparison)
    return replace(memory, choice=choice_of(vote) if vote else "")


def controls(tab: CompareTab, phase: Phase, names: Sequence[str] = (), best: str = "") -> Update:
    """Return updates of all buttons, and of the field for an answer of one's own.

    `names` are what the panels are called, `best` is the slot of the one that was chosen.
    """
    active, streaming = phase == "open", phase == "streaming"
    changed: Update = {button: gr.update(interactive=active) for button in (*tab.best, tab.tie, tab.bad)}
    for button, slot, name in zip(tab.best, SLOTS, names, strict=False):
        label = f"{'✓ ' if slot == best else ''}{name} is best"
        changed[button] = gr.update(interactive=active, value=label)
    changed |= {
        tab.undo: gr.update(visible=phase == "voted"),
        tab.new: gr.update(interactive=not streaming),
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
    busy: bool = False,
) -> Update:
    """Return the three panels."""
    origin = memory.origin if memory.comparison else None
    marks = ["your choice" if one.slot == memory.choice else "" for one in completions]
    html = [
        panel(one, tab.model, hint=hint, mark=mark, origin=origin, busy=busy)
        for one, mark in zip(completions, marks, strict=True)
    ]
    return dict(zip(tab.panels, html, strict=True))


def view(
    services: Services,
    tab: CompareTab,
    completions: Sequence[ShownCompletion],
    phase: Phase,
    words: str,
    memory: Remembered = NOTHING,
    *,
    hint: str = SILENCE,
) -> Update:
    """Return the three panels, the line below, the notice, the buttons and what the box invites to.

    `words` is the notice as HTML.
    """
    names = [panel_name(completion, tab.model) for completion in completions]
    changed = panels(tab, completions, memory, hint=hint, busy=phase == "streaming")
    invited = gr.update(placeholder=_invitation(names, memory))
    changed |= {tab.preview: preview_line(services.preview, completions), tab.notice: words, tab.prompt: invited}
    return changed | controls(tab, phase, names, memory.choice)


def _invitation(names: Sequence[str], memory: Remembered) -> str:
    """Return what the empty box says."""
    if memory.comparison and memory.origin in SLOTS:
        return f"Go on from {names[SLOTS.index(memory.origin)]} …"
    return "Go on …" if memory.comparison and not memory.example else FIRST


def empty_view(services: Services, tab: CompareTab, words: str = "", *, hint: str = INVITATION) -> Update:
    """Return the tab before anything is asked."""
    completions = unasked(services.engine.live.version)
    return view(services, tab, completions, "idle", words or notice(""), hint=hint) | {tab.turns: turns(tab.model)}


def turn_view(
    services: Services, tab: CompareTab, annotator: str, comparison: Comparison, memory: Remembered, words: str = ""
) -> Update:
    """Return a stored comparison that the browser remembers, with the turns before it."""
    completions = shown_to(services, annotator, comparison)
    words = words or notice("Your vote on this one is stored." if memory.choice else QUESTION)
    before = turns_before(services, annotator, comparison)
    column = turns(tab.model, system_of(comparison), before, question_of(comparison.messages))
    phase = memory.phase
    if comparison.conversation_id is None:  # asked before there were conversations: it takes a vote, nothing goes on
        memory = replace(memory, comparison="")
    return view(services, tab, completions, phase, words, memory) | {tab.turns: column}


def next_column(
    services: Services, tab: CompareTab, annotator: str, comparison: Comparison, origin: str, question: str
) -> str:
    """Return the column of turns while a question is answered that goes on from a comparison."""
    before = turns_before(services, annotator, comparison)
    gone_on = past_turn(services, annotator, comparison, origin)
    return turns(tab.model, system_of(comparison), (*before, gone_on), question)


def system_of(comparison: Comparison) -> str:
    """Return the system prompt of a comparison's conversation, "" without one."""
    first = comparison.messages[0]
    return first.content if first.role == "system" else ""

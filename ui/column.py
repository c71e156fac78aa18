"""The conversation above the panels, as HTML: what was asked, which answers it went on from, what the others said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.completions import ShownCompletion
from service.context import ServedModel
from service.conversations import PastTurn
from ui.answers import drawn_whole
from ui.markdown import markdown
from ui.panels import as_plain
from ui.render import render
from ui.words import panel_name

TURNS_SCRIPT = "triptychTurns(element, props, trigger, watch)  // assets/turns.js"


@dataclass(frozen=True)
class Here:
    """The comparison in the panels, as far as the column offers to do something with it."""

    comparison: str = ""  # "" for none: nothing is asked, or it is being answered
    own: bool = True
    editing: str = ""  # the comparison in whose place the next question is asked
    versions: tuple[str, ...] = ()  # comparisons that stand at its place in branches, itself among them
    since: str = ""  # when it was asked, where a window shows the last conversation without being told to
    tag: str = ""  # what kind of question it is, if it is none of the visitor's


NOWHERE = Here()


def turns(
    model: ServedModel,
    system: str = "",
    before: Sequence[PastTurn] = (),
    question: str = "",
    here: Here = NOWHERE,
) -> str:
    """Return the conversation above the panels: what was asked, which answers it went on from, what is asked now."""
    return render(
        "turns",
        system=system,
        before=[_turn(past, model) for past in before],
        question=markdown(question).blocks,
        here=here,
        versions=_versions(here.comparison, here.versions),
    )


def _turn(past: PastTurn, model: ServedModel) -> dict[str, Any]:
    return {
        "id": past.comparison_id,
        "versions": _versions(past.comparison_id, past.versions),
        "question": drawn_whole(past.question).answer.blocks,
        "answer": _said(past.answer, model),
        "others": [_said(other, model) for other in past.others],
    }


def _versions(comparison: str, versions: Sequence[str]) -> dict[str, Any] | None:
    """Return which of several versions a turn is, and which stand beside it; None for the only one."""
    if comparison not in versions or len(versions) < 2:
        return None
    place = versions.index(comparison)
    following = versions[place + 1] if place + 1 < len(versions) else ""
    return {"place": place + 1, "of": len(versions), "before": versions[place - 1] if place else "", "after": following}


def _said(completion: ShownCompletion, model: ServedModel) -> dict[str, Any]:
    """Return what one of them said as the template shows it: as it was written, or as blocks of HTML."""
    return {
        "name": panel_name(completion, model),
        "role": completion.role or "hidden",
        "folded": completion.folded,
        "plain": completion.text.strip("\n") if as_plain(completion.role) else None,
        "shown": drawn_whole(completion.text),
    }

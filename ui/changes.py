"""What RLHF changed about an answer, token by token, as the page shows it."""

import math
from time import monotonic_ns
from typing import Any

import gradio as gr

from service.changes import Changes, Token, changes
from service.context import Services
from ui import strings
from ui.annotator import annotator_id
from ui.calls import SCRIPT
from ui.errors import sentence
from ui.render import render

STEPS = (0.25, 1.0, 3.0)  # nats, from which a change is a little, some, much
MOST_NAMED = 10  # tokens in the table


def changes_room() -> Any:
    """Build what shows the changes of an answer; its button stands below the panels."""
    frame = {
        "title": strings.CHANGED_TITLE,
        "close": strings.CLOSE,
        "waiting": strings.MEASURING,
        "opener": ".preview .changed",
    }
    return gr.HTML(frame, html_template="", js_on_load=SCRIPT, elem_id="changes", apply_default_css=False)


def step(change: float) -> int:
    """Return how much a change is, from -3 for much less likely to 3 for much likelier."""
    size = sum(abs(change) >= least for least in STEPS)
    return size if change > 0 else -size


def _numbers(token: Token) -> str:
    own, reference = math.exp(token.log_prob), math.exp(token.reference)
    return strings.TOKEN_CHANGE.format(change=token.change, own=own, reference=reference)


def html_of(found: Changes) -> str:
    """Return what RLHF changed as HTML: the answer, coloured and underlined, a legend, what changed most, the score."""
    if all(token.change == 0 for token in found.tokens):
        words = strings.NOTHING_CHANGED
    else:
        factor = strings.MORE_LIKELY if found.total > 0 else strings.LESS_LIKELY
        words = strings.CHANGED_TOTAL.format(factor=factor, total=found.total)
    shown = [{"text": one.text, "step": step(one.change), "numbers": _numbers(one)} for one in found.tokens]
    largest = sorted(found.tokens, key=lambda one: -abs(one.change))[:MOST_NAMED]
    score = strings.NO_SCORE
    if found.score is not None and found.deviation is not None:
        votes = strings.votes(found.votes)
        score = strings.SCORE_IS.format(votes=votes, score=found.score, deviation=found.deviation)
    rows = [
        {
            "text": one.text or strings.END_OF_ANSWER,
            "change": f"{one.change:+.2f}",
            "own": f"{math.exp(one.log_prob):.2%}",
            "reference": f"{math.exp(one.reference):.2%}",
        }
        for one in largest
    ]
    says = strings.CHANGED_SAYS.format(version=found.version)
    return render("changes", says=says, words=words, tokens=shown, rows=rows, score=score)


async def shown_changes(services: Services, annotator: str, comparison_id: str, slot: object) -> dict[str, Any]:
    """Return the changes of an answer as `assets/calls.js` takes them, or why there are none to show."""
    try:
        html = html_of(await changes(services, annotator, comparison_id, slot))
    except Exception as error:
        html = render("notice", text=sentence(error), kind="error")
    return {"html": html, "at": monotonic_ns()}


def bind(services: Services, room: Any, pending: Any, quiet: dict[str, Any]) -> None:
    """Bind the button below the panels."""

    async def show(event: gr.EventData, remembered: dict[str, Any] | None, caller: gr.Request) -> dict[str, Any]:
        comparison = str((remembered or {}).get("comparison", ""))
        return await shown_changes(services, annotator_id(caller), comparison, event.slot)

    room.select(show, pending, room, **quiet)

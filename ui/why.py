"""Why somebody voted so: a few reasons or a short line, after the vote and never asked for twice."""

from typing import Any

import gradio as gr

from service.context import Services
from service.requests import LONGEST_REASON
from service.votes import explain
from ui import strings
from ui.annotator import annotator_id
from ui.errors import sentence
from ui.render import notice, render

SCRIPT = """
const send = reason => trigger('select', {reason});
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-reason]');
  if (button) send(button.getAttribute('aria-pressed') === 'true' ? '' : button.dataset.reason);
});
element.addEventListener('submit', event => {
  event.preventDefault();
  element.querySelector('input').blur();
});
element.addEventListener('change', event => send(event.target.value));  // also of one who goes on without Enter
"""


def why(offered: bool, reason: str = "") -> str:
    """Return the row of reasons as HTML, the stored one marked; it keeps its place where it is not offered."""
    names = [name for name, _ in strings.REASONS]
    own_words = "" if reason in names else reason
    return render(
        "why", offered=offered, reasons=strings.REASONS, chosen=reason, own_words=own_words, longest=LONGEST_REASON
    )


def why_room(elem_id: str = "why") -> Any:
    """Build the row of reasons."""
    return gr.HTML(why(offered=False), js_on_load=SCRIPT, elem_id=elem_id, apply_default_css=False)


def explained(services: Services, annotator: str, comparison_id: str, reason: object) -> tuple[str, str]:
    """Store the reason of the vote that stands on a comparison; return the row, and a notice where that failed."""
    try:
        stored = explain(services, annotator, comparison_id, reason)
    except Exception as error:
        return why(offered=True), notice(sentence(error), "error")
    return why(offered=True, reason=stored), ""


def bind(services: Services, room: Any, words: Any, pending: Any, quiet: dict[str, Any]) -> None:
    """Bind the reasons to the vote on the comparison that the browser remembers."""

    def choose(event: gr.EventData, remembered: dict[str, Any] | None, caller: gr.Request) -> dict[Any, Any]:
        comparison = str((remembered or {}).get("comparison", ""))
        row, failed = explained(services, annotator_id(caller), comparison, event.reason)
        return {room: row} | ({words: failed} if failed else {})

    room.select(choose, pending, [room, words], **quiet)

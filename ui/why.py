"""Why somebody voted so: a few reasons or a short line, after the vote and never asked for twice."""

from typing import Any

import gradio as gr

from service.context import Services
from service.requests import LONGEST_REASON
from service.votes import explain, standing_vote
from storage.records import Preference
from ui import strings
from ui.annotator import annotator_id
from ui.errors import sentence
from ui.render import notice, render

ABOUT = {"choice": "best", "ranking": "ranking"}  # whom a reason blames, by the kind of vote; of all others, all
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


def why(vote: Preference | None = None) -> str:
    """Return the row of reasons for a vote as HTML, the stored one marked; without a vote it only keeps its place."""
    reason, kind = (vote.reason, vote.kind) if vote else ("", "choice")
    names = [name for name, _ in strings.REASONS]
    own_words = "" if reason in names else reason
    return render(
        "why",
        offered=vote is not None,
        about=ABOUT.get(kind, "all"),
        reasons=strings.REASONS,
        chosen=reason,
        own_words=own_words,
        longest=LONGEST_REASON,
    )


def why_room(elem_id: str = "why") -> Any:
    """Build the row of reasons."""
    return gr.HTML(why(), js_on_load=SCRIPT, elem_id=elem_id, apply_default_css=False)


def explained(services: Services, annotator: str, comparison_id: str, reason: object) -> tuple[str, str]:
    """Store the reason of the vote that stands on a comparison; return the row, or "" and why that failed."""
    try:
        explain(services, annotator, comparison_id, reason)
        return why(standing_vote(services, annotator, comparison_id)), ""
    except Exception as error:
        return "", notice(sentence(error), "error")


def bind(services: Services, room: Any, words: Any, pending: Any, quiet: dict[str, Any]) -> None:
    """Bind the reasons to the vote on the comparison that the browser remembers."""

    def choose(event: gr.EventData, remembered: dict[str, Any] | None, caller: gr.Request) -> dict[Any, Any]:
        comparison = str((remembered or {}).get("comparison", ""))
        row, failed = explained(services, annotator_id(caller), comparison, event.reason)
        return {words: failed} if failed else {room: row}

    room.select(choose, pending, [room, words], **quiet)

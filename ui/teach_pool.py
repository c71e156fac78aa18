"""The pool of prompts on the Teach tab: an admin sees, searches, adds and removes."""

from typing import Any

import gradio as gr

from alignment.errors import AccessError
from service import pool
from service.context import Services
from storage.messages import question_of
from ui import strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

MOST_SHOWN = 200
LONGEST = 140  # characters of a prompt
SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-prompt-id]');
  if (button) trigger('delete', {id: Number(button.dataset.promptId)});
});
element.addEventListener('change', event => {
  if (event.target.matches('input')) trigger('input', {search: event.target.value});
});
element.addEventListener('submit', event => event.preventDefault());
"""


def listed(services: Services, token: str | None, search: str = "") -> str:
    """Return the pool as HTML; to whom it is not open, what to do."""
    try:
        found = pool.listed(services, token)
    except AccessError:
        return render("pool", closed=True, prompts=[], words="", search="")
    wanted = search.strip().casefold()
    fitting = [one for one in found if wanted in question_of(one.messages).casefold()]
    shown = [
        {
            "id": one.id,
            "text": text if len(text := question_of(one.messages)) <= LONGEST else f"{text[:LONGEST]} …",
            "source": strings.POOL_SOURCES.get(one.source, one.source),
            "topic": one.topic,
        }
        for one in reversed(fitting[-MOST_SHOWN:])
    ]
    words = strings.POOL_SHOWS.format(shown=len(shown), count=strings.prompts(len(found)))
    return render("pool", closed=False, prompts=shown, words=words, search=search)


def changed(services: Services, token: str | None, add: str = "", remove: list[int] | None = None) -> tuple[str, bool]:
    """Change the pool; return what is said of it, and whether it was done."""
    try:
        done = pool.change(services, token, add, remove)
    except Exception as error:
        return notice(sentence(error), "error"), False
    words = strings.POOL_CHANGED.format(added=done.added, removed=done.removed)
    if done.refused:
        more = [strings.POOL_AND_MORE.format(count=done.left_out)] if done.left_out else []
        lines = "; ".join([*done.refused, *more])
        count = len(done.refused) + done.left_out
        return notice(f"{words} {strings.POOL_REFUSED.format(count=count, lines=lines)}", "error"), True
    return notice(words, "thanks"), True


def build(services: Services, token: Any) -> None:
    """Build the pool's place and bind it; `token` is what an admin's browser keeps."""
    with gr.Accordion(strings.POOL, open=False, elem_id="pool") as room:
        prompts = gr.HTML(
            render("pool", closed=True, prompts=[], words="", search=""),
            js_on_load=SCRIPT,
            elem_id="pool-list",
            apply_default_css=False,
        )
        with gr.Column(visible=False, elem_id="pool-add") as adding:
            text = gr.Textbox(label=strings.POOL_ADD, lines=3, max_lines=10, elem_id="pool-text")
            add = gr.Button(strings.POOL_ADD_BUTTON, elem_id="pool-save", size="sm")
            words = gr.HTML(notice(""), elem_id="pool-notice", apply_default_css=False)

    def opened(held: str | None) -> list[Any]:
        return [listed(services, held), gr.update(visible=services.admin.is_valid(held))]

    def added(held: str | None, lines: str) -> list[Any]:
        said, done = changed(services, held, lines)
        return [said, listed(services, held), "" if done else gr.skip()]

    def removed(held: str | None, event: gr.EventData) -> list[Any]:
        said, _ = changed(services, held, remove=[event.id])
        return [said, listed(services, held)]

    def searched(held: str | None, event: gr.EventData) -> str:
        return listed(services, held, event.search)

    room.expand(opened, token, [prompts, adding], **QUIET)
    add.click(added, [token, text], [words, prompts, text], **QUIET)
    prompts.delete(removed, token, [words, prompts], **QUIET)
    prompts.input(searched, token, prompts, **QUIET)

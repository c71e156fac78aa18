"""The components of the Teach tab, and what stands on its board."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from service.completions import Progress, ShownCompletion
from service.context import ServedModel, Services
from service.teach_requests import FEWEST, MOST, USUAL
from storage.messages import Messages, question_of
from ui import strings
from ui.answers import Drawn, drawn_whole
from ui.markdown import markdown
from ui.panels import CUTS
from ui.render import notice, render
from ui.why import why_room
from ui.words import panel_name

BOARD_SCRIPT = "triptychTeach(element, props, trigger, watch)  // assets/teach.js; it triggers 'submit', 'select'"
TEACH_CUTS = CUTS | {"cancelled": strings.CUT_TO_RANK}


@dataclass(frozen=True)
class TeachTab:
    """The tab's components, and what it remembers."""

    model: ServedModel
    prompt: Any
    ask: Any
    stop: Any
    next: Any  # a button: a prompt of the pool
    k: Any  # how many answers are ranked
    tokens: Any  # how long they may be
    board: Any  # what is to be ranked, and the ranking
    notice: Any
    enough: Any  # a button: rank what is there
    undo: Any
    why: Any
    better: Any  # holds the field for a better answer
    written: Any
    save: Any
    all_bad: Any
    request: Any  # changes when something is asked
    pending: Any  # the comparison that the browser remembers
    finished_at: Any  # when its answers had ended

    @property
    def all(self) -> list[Any]:
        """What changes with a comparison."""
        buttons = [self.ask, self.stop, self.next, self.enough, self.undo]
        return [self.prompt, self.board, self.notice, self.why, self.better, self.written, *buttons, self.pending]


def components(services: Services, pending: Any) -> TeachTab:
    """Build the tab's components as they look before anything is asked; `pending` is what the browser keeps."""
    html = partial(gr.HTML, apply_default_css=False)
    made: dict[str, Any] = {}
    with gr.Row(elem_id="teach-ask"):
        made["prompt"] = gr.Textbox(
            placeholder=strings.TEACH_INVITES,
            label=strings.TEACH_PROMPT,
            show_label=False,
            container=False,
            lines=1,
            max_lines=5,
            elem_id="teach-prompt",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        made["ask"] = gr.Button(strings.ASK, elem_id="teach-send", variant="primary")
        made["stop"] = gr.Button(strings.STOP, elem_id="teach-stop", visible=False)
    with gr.Row(elem_id="teach-options"):
        made["next"] = gr.Button(strings.PROPOSE, elem_id="teach-next")
        made["k"] = gr.Radio(
            [str(count) for count in range(FEWEST, MOST + 1)],
            value=str(USUAL),
            label=strings.ANSWERS_TO_RANK,
            container=False,
            elem_id="teach-k",
        )
        made["tokens"] = gr.Number(
            services.model.sampling.max_new_tokens,
            label=strings.LONGEST_TO_RANK,
            precision=0,
            container=False,
            elem_id="teach-tokens",
        )
        html(render("teach_says"), elem_id="teach-says")
    made["board"] = html(empty_board(), html_template="", js_on_load=BOARD_SCRIPT, elem_id="board")
    with gr.Row(elem_id="teach-said"):
        made["notice"] = html(notice(""), elem_id="teach-notice")
        made["enough"] = gr.Button(strings.RANK_WHAT_IS_THERE, elem_id="teach-enough", size="sm", visible=False)
        made["undo"] = gr.Button(strings.UNDO_RANKING, elem_id="teach-undo", size="sm", visible=False)
    made["why"] = why_room("teach-why")
    with gr.Accordion(strings.NONE_OF_THESE, open=False, visible=False, elem_id="teach-better") as better:
        made["written"] = gr.Textbox(label=strings.BETTER_ANSWER, lines=3, max_lines=8, elem_id="teach-written")
        with gr.Row():
            made["save"] = gr.Button(strings.SAVE_BETTER, elem_id="teach-save", size="sm", variant="primary")
            made["all_bad"] = gr.Button(strings.ALL_BAD_ALONE, elem_id="teach-all-bad", size="sm")
    states = {"pending": pending, "request": gr.State(None), "finished_at": gr.State(None)}
    return TeachTab(model=services.model, better=better, **made, **states)


def empty_board() -> dict[str, Any]:
    """Return the board with nothing on it."""
    return {
        "frame": render("teach_frame"),
        "places": list(strings.PLACES),
        "comparison": "",
        "question": "",
        "html": "",
        "slots": [],
        "open": False,
        "ranked": None,
    }


def board(
    model: ServedModel,
    comparison: str,
    messages: Messages,
    completions: Sequence[ShownCompletion],
    *,
    is_open: bool = False,
    busy: bool = False,
    ranked: list[list[str]] | None = None,
    drawn: Sequence[Drawn] = (),
) -> dict[str, Any]:
    """Return the board with answers on it, as `assets/teach.js` takes it.

    `is_open` says whether they can be ranked, `busy` that they are being written, `ranked` how they were. `drawn` are
    their texts as HTML while they grow.
    """
    texts = drawn or [drawn_whole(one.text) for one in completions]
    cards = [
        {
            "slot": one.slot,
            "role": one.role or "hidden",
            "name": "" if one.role is None else panel_name(one, model),
            "label": strings.ANSWER_OF_SLOT.format(slot=one.slot),
            "said": bool(one.text.strip()),
            "blocks": text.answer.blocks,
            "folded": one.folded,
            "hint": strings.PREPARING if busy else strings.SILENCE,
            "tokens": one.tokens,
            "seconds": one.seconds,
            "ended": not busy,
            "cut": TEACH_CUTS.get(one.finish_reason or ""),
        }
        for one, text in zip(completions, texts, strict=True)
    ]
    html = render("teach_cards", cards=cards, open=is_open, busy=busy)
    return _with(comparison, messages, completions, html) | {"open": is_open, "ranked": ranked}


def drafts_board(item: Progress) -> dict[str, Any]:
    """Return the board while answers are written out of which some will be shown."""
    html = render("teach_drafts", drafts=item.drafts)
    return _with(item.comparison_id, item.messages, item.completions, html)


def _with(comparison: str, messages: Messages, completions: Sequence[ShownCompletion], html: str) -> dict[str, Any]:
    question = render("teach_question", blocks=markdown(question_of(messages)).blocks)
    slots = [one.slot for one in completions]
    return empty_board() | {"comparison": comparison, "question": question, "html": html, "slots": slots}

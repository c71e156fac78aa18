"""The components of the Compare tab, and what a person fills in there as a question."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from reprlib import repr as brief
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.compare import compare
from service.completions import Progress, ShownCompletion
from service.context import ServedModel, Services
from service.requests import CompareRequest, checked
from ui import strings
from ui.calls import call_room
from ui.changes import changes_room
from ui.column import TURNS_SCRIPT, turns
from ui.compare_settings import SettingsForm, columns_of, settings_form
from ui.hint import hint
from ui.panels import chips, panel, preview_line, unasked
from ui.render import notice, render
from ui.why import why_room
from ui.words import panel_name

LOADING_POLL_SECONDS = 0.5
# A menu closes when a prompt is picked, with Escape, or with a click beside it.
CHIPS_SCRIPT = """
const close = () => element.querySelectorAll('details[open]').forEach(menu => { menu.open = false; });
element.addEventListener('click', event => {
  const chip = event.target.closest('button[data-prompt]');
  if (chip) { close(); trigger('click', {prompt: chip.dataset.prompt}); }
});
document.addEventListener('keydown', event => { if (event.key === 'Escape') close(); });
document.addEventListener('click', event => { if (!element.contains(event.target)) close(); });
"""
PANEL_SCRIPT = "triptychPanel(element, props, trigger, watch)  // assets/panel.js; it triggers 'click'"


@dataclass(frozen=True)
class Question:
    """A prompt with the settings beside it, as a person filled them in; None: the model's own."""

    prompt: str
    blind: bool = False
    temperature: float | None = None
    top_p: float | None = None
    tokens: float | None = None
    best_of: float = 1
    seed: str = ""
    system: str = ""  # of a new conversation
    preview: bool = True  # the RLHF panel shows the best of a few answers by the votes so far
    first: str = "base"  # what the panels show, as `/compare` takes it
    second: str = "sft"
    third: str = "rlhf"  # or nothing: "none"

    def ask(
        self,
        services: Services,
        annotator: str,
        *,
        conversation_id: str | None = None,
        continue_from: str | None = None,
        instead_of: str | None = None,
    ) -> AsyncGenerator[Progress]:
        """Return the comparison as it grows; raise ConfigError for what cannot be asked.

        A slider that stands where the model's own way is says nothing, so that a preview may draw more varied samples.
        """
        own = services.model.sampling
        request = checked(
            CompareRequest,
            prompt=self.prompt,
            columns=self.columns,
            temperature=None if self.temperature == own.temperature else self.temperature,
            max_new_tokens=self.tokens,
            seed=seed_number(self.seed),
            blind=self.blind,
            best_of=self.best_of,
            conversation_id=conversation_id,
            continue_from=continue_from,
            system=None if conversation_id or instead_of else self.new_system,
            top_p=None if self.top_p == own.top_p else self.top_p,
            preview=self.preview and self.best_of == 1,
            instead_of=instead_of,
        )
        return compare(services, annotator, request)

    @property
    def new_system(self) -> str | None:
        """The system prompt of a conversation that begins with this question, None without one."""
        return self.system if self.system.strip() else None

    @property
    def columns(self) -> list[str]:
        """What the panels show, from the left."""
        return columns_of(vars(self))

    async def loading(self, services: Services) -> AsyncIterator[float]:
        """Yield for how many seconds the model has been loading, until it is there; nothing for an empty prompt."""
        while self.prompt.strip() and (state := services.engine.state).status == "loading":
            yield state.seconds
            await asyncio.sleep(LOADING_POLL_SECONDS)


def seed_number(text: str) -> int | None:
    """Return the seed that a person typed, None for an empty field."""
    try:
        return int(text) if text.strip() else None
    except ValueError as error:
        raise ConfigError(strings.SEED_IS_NO_NUMBER.format(value=brief(text))) from error


@dataclass(frozen=True)
class CompareTab:
    """The tab's components, and what it remembers."""

    model: ServedModel
    prompt: Any
    ask: Any
    stop: Any
    calls: Any  # a dialog: the call that makes an answer again
    changes: Any  # a dialog: what RLHF changed about an answer
    examples: Any
    settings: SettingsForm
    turns: Any  # the conversation above the panels
    panels: list[Any]
    preview: Any  # a line below the panels and their buttons: what the RLHF panel's answer was picked by
    seed: Any  # a button: the seed that was used, to use it again
    best: list[Any]  # a button a panel
    tie: Any
    bad: Any
    next: Any  # a button: the next example
    new: Any  # a button: a new conversation
    notice: Any
    undo: Any  # a button beside the notice: takes the vote back
    why: Any  # the reasons for a vote
    own: Any  # holds the field for an answer of one's own
    written: Any
    save: Any
    request: Any  # changes when something is asked
    pending: Any  # the comparison that the browser remembers
    finished_at: Any  # when its answers had ended

    @property
    def controls(self) -> list[Any]:
        """What `controls` changes."""
        votes = [*self.best, self.tie, self.bad, self.undo]
        return [*votes, self.next, self.ask, self.stop, self.own, self.written]

    @property
    def all(self) -> list[Any]:
        """Turns, panels, the line below them, notice, the box for the question and controls."""
        return [self.turns, *self.panels, self.preview, self.seed, self.why, self.notice, self.prompt, *self.controls]


def components(services: Services, pending: Any) -> CompareTab:
    """Build the tab's components as they look before anything is asked."""
    question = _question(services)
    return CompareTab(
        model=services.model,
        **question,
        **_answers(services, question["settings"].preview),
        **_own_answer(services),
        request=gr.State(None),
        pending=pending,
        finished_at=gr.State(None),
    )


def _question(services: Services) -> dict[str, Any]:
    with gr.Row(elem_id="ask"):
        prompt = gr.Textbox(
            placeholder=strings.ASK_ALL,
            label=strings.PROMPT,
            show_label=False,
            container=False,
            lines=1,
            max_lines=5,
            elem_id="prompt",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        ask = gr.Button(strings.ASK, elem_id="send", variant="primary")
        stop = gr.Button(strings.STOP, elem_id="stop", visible=False)
    with gr.Row(elem_id="options"):
        menus = chips(services.example_groups)
        examples = gr.HTML(menus, js_on_load=CHIPS_SCRIPT, elem_id="examples", apply_default_css=False)
        settings = settings_form(services)
        gr.Button(strings.HISTORY, elem_id="history-open", size="sm")  # assets/history.js hears it
    return {
        "prompt": prompt,
        "ask": ask,
        "stop": stop,
        "examples": examples,
        "settings": settings,
    }


def _answers(services: Services, preview_switch: Any) -> dict[str, Any]:
    empty, model = unasked(services.engine.live.version), services.model
    html = partial(gr.HTML, apply_default_css=False)
    html(hint(model, services.engine.live.version), elem_id="hint")
    column = html(turns(model), html_template="", js_on_load=TURNS_SCRIPT, elem_id="turns")
    with gr.Row(elem_id="panels"):
        panels = [
            html(
                panel(one, model, hint=strings.ASK_OR_PICK),
                html_template="",
                js_on_load=PANEL_SCRIPT,
                elem_classes="slot",
            )
            for one in empty
        ]
    votes = _votes(services, empty, preview_switch)
    return {"turns": column, "panels": panels, **votes}


def _votes(services: Services, empty: Sequence[ShownCompletion], preview_switch: Any) -> dict[str, Any]:
    """Return what stands below the panels; on a narrow screen `rest` is folded away behind `more`."""
    button, model = partial(gr.Button, interactive=False), services.model
    with gr.Row(elem_id="votes"):
        names = [strings.IS_BEST.format(name=panel_name(one, model)) for one in empty]
        best = [button(name, elem_id=f"best-{i}", elem_classes="best") for i, name in enumerate(names, 1)]
        gr.Button(strings.MORE, elem_id="more")  # assets/shortcuts.js hears it
        with gr.Row(elem_id="rest"):
            made = {"seed": button("", elem_id="seed-used", size="sm")}
            with gr.Row(elem_id="preview-row"):
                preview_switch.render()
                line = preview_line(services.preview, empty)
                made["preview"] = gr.HTML(line, elem_id="preview", apply_default_css=False)
            made |= {
                "tie": button(strings.ALL_EQUAL, elem_id="tie"),
                "bad": button(strings.ALL_ARE_BAD, elem_id="all-bad"),
                "next": gr.Button(strings.NEXT, elem_id="next", visible=bool(services.examples)),
                "new": gr.Button(strings.NEW_CHAT, elem_id="new-chat"),
            }
        with gr.Row(elem_id="said"):
            made["notice"] = gr.HTML(notice(""), elem_id="notice", apply_default_css=False)
            made["undo"] = gr.Button(strings.UNDO, elem_id="undo", size="sm", visible=False)
        made["why"] = why_room()
    return {"best": best, **made}


def _own_answer(services: Services) -> dict[str, Any]:
    with (
        gr.Column(elem_id="own"),
        gr.Accordion(strings.WRITE_BETTER, open=False, visible=False, elem_id="better") as own,
    ):
        written = gr.Textbox(label=strings.WHAT_INSTEAD, lines=3, max_lines=8, elem_id="written")
        save = gr.Button(strings.SAVE_DEMONSTRATION, elem_id="demonstrate", size="sm")
        gr.HTML(render("learned"), apply_default_css=False)
    calls, changes = call_room(), changes_room()
    gr.HTML(render("stored", model=services.model), apply_default_css=False, elem_id="about")
    return {"own": own, "written": written, "save": save, "calls": calls, "changes": changes}

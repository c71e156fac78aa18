"""The components of the Compare tab, and what a person fills in there as a question."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from reprlib import repr as brief
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from alignment.settings import MAX_BEST_OF
from service.compare import Progress, compare
from service.context import ServedModel, Services
from service.requests import PREVIEW_SAMPLES, CompareRequest, checked
from ui.panels import chips, panel, preview_line, turns, unasked
from ui.render import notice, render
from ui.words import panel_name

LOADING_POLL_SECONDS = 0.5
LONGEST_ANSWER = 4096  # tokens that the slider goes to, where the model reads as many
INVITATION = "Ask something above, or pick an example."
PREVIEW_LABEL = f"Preview: RLHF shows the best of {PREVIEW_SAMPLES} answers by the votes so far"
FIRST = "Ask all three …"
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
PANEL_SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-slot]');
  if (button) trigger('click', {slot: button.dataset.slot});
});
"""


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

    def ask(
        self, services: Services, annotator: str, conversation_id: str | None = None, continue_from: str | None = None
    ) -> AsyncIterator[Progress]:
        """Return the comparison as it grows; raise ConfigError for what cannot be asked.

        A slider that stands where the model's own way is says nothing, so that a preview may draw more varied samples.
        """
        own = services.model.sampling
        request = checked(
            CompareRequest,
            prompt=self.prompt,
            temperature=None if self.temperature == own.temperature else self.temperature,
            max_new_tokens=self.tokens,
            seed=seed_number(self.seed),
            blind=self.blind,
            best_of=self.best_of,
            conversation_id=conversation_id,
            continue_from=continue_from,
            system=None if conversation_id else self.new_system,
            top_p=None if self.top_p == own.top_p else self.top_p,
            preview=self.preview and self.best_of == 1,
        )
        return compare(services, annotator, request)

    @property
    def new_system(self) -> str | None:
        """The system prompt of a conversation that begins with this question, None without one."""
        return self.system if self.system.strip() else None

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
        raise ConfigError(f"the seed must be a whole number or empty, got {brief(text)}; see settings") from error


@dataclass(frozen=True)
class CompareTab:
    """The tab's components, and what it remembers."""

    model: ServedModel
    prompt: Any
    ask: Any
    stop: Any
    examples: Any
    settings: list[Any]  # in the order of the fields of `Question`
    own_way: Any  # a button: sampling as the model's makers recommend
    turns: Any  # the conversation above the panels
    panels: list[Any]
    preview: Any  # a line below the panels and their buttons: what the RLHF panel's answer was picked by
    best: list[Any]  # a button a panel
    tie: Any
    bad: Any
    new: Any  # a button: a new conversation
    notice: Any
    undo: Any  # a button beside the notice: takes the vote back
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
        return [*votes, self.new, self.ask, self.stop, self.own, self.written]

    @property
    def all(self) -> list[Any]:
        """Turns, panels, the line below them, notice, the box for the question and controls."""
        return [self.turns, *self.panels, self.preview, self.notice, self.prompt, *self.controls]


def components(services: Services, pending: Any) -> CompareTab:
    """Build the tab's components as they look before anything is asked."""
    return CompareTab(
        model=services.model,
        **_question(services),
        **_answers(services),
        **_own_answer(services),
        request=gr.State(None),
        pending=pending,
        finished_at=gr.State(None),
    )


def _question(services: Services) -> dict[str, Any]:
    with gr.Row(elem_id="ask"):
        prompt = gr.Textbox(
            placeholder=FIRST,
            label="Prompt",
            show_label=False,
            container=False,
            lines=1,
            max_lines=5,
            elem_id="prompt",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        ask = gr.Button("Ask", elem_id="send", variant="primary")
        stop = gr.Button("Stop", elem_id="stop", visible=False)
    with gr.Row(elem_id="options"):
        menus = chips(services.example_groups)
        examples = gr.HTML(menus, js_on_load=CHIPS_SCRIPT, elem_id="examples", apply_default_css=False)
        blind = gr.Checkbox(label="blind", elem_id="blind", container=False)
        settings, own_way = _settings(services.model)
    return {
        "prompt": prompt,
        "ask": ask,
        "stop": stop,
        "examples": examples,
        "settings": [blind, *settings],
        "own_way": own_way,
    }


def sampling_values(model: ServedModel) -> list[float]:
    """Return where the sliders of temperature, top-p and length stand for the model's own way of answering."""
    own = model.sampling
    return [own.temperature, own.top_p, min(own.max_new_tokens, _longest(model))]


def _longest(model: ServedModel) -> int:
    return min(model.max_tokens, LONGEST_ANSWER)


def _settings(model: ServedModel) -> tuple[list[Any], Any]:
    """Return the settings behind their button, and the button that sets sampling back."""
    slider = partial(gr.Slider, interactive=True)
    temperature, top_p, tokens = sampling_values(model)
    with gr.Accordion("settings", open=False, elem_id="settings"):
        sampling = [
            slider(0, 2, temperature, step=0.05, label="Temperature (0 = greedy)"),
            slider(0.05, 1, top_p, step=0.05, label="Top-p (1 = off)"),
            slider(1, _longest(model), tokens, step=1, label="Longest answer (tokens)"),
        ]
        own_way = gr.Button("Back to the model's own", elem_id="own-way", size="sm")
        best_of = slider(1, MAX_BEST_OF, 1, step=1, label="RLHF: best of so many answers, picked by the reward model")
        seed = gr.Textbox("", label="Seed (empty = a new one every time)", max_lines=1, elem_id="seed")
        system = gr.Textbox("", label="System prompt of a new chat", lines=2, max_lines=4, elem_id="system")
        preview = gr.Checkbox(True, label=PREVIEW_LABEL, elem_id="preview-switch")
    return [*sampling, best_of, seed, system, preview], own_way


def _answers(services: Services) -> dict[str, Any]:
    empty, model = unasked(services.engine.live.version), services.model
    html = partial(gr.HTML, apply_default_css=False)
    column = html(turns(model), elem_id="turns")
    with gr.Row(elem_id="panels"):
        panels = [
            html(panel(one, model, hint=INVITATION), js_on_load=PANEL_SCRIPT, elem_classes="slot") for one in empty
        ]
    with gr.Row(elem_id="votes"):
        best = [
            gr.Button(f"{panel_name(one, model)} is best", interactive=False, elem_id=f"best-{i}", elem_classes="best")
            for i, one in enumerate(empty, 1)
        ]
        preview = html(preview_line(services.preview, empty), elem_id="preview")
        tie = gr.Button("Equally good", interactive=False, elem_id="tie")
        bad = gr.Button("All bad", interactive=False, elem_id="all-bad")
        new = gr.Button("New chat", elem_id="new-chat")
        with gr.Row(elem_id="said"):
            words = html(notice(""), elem_id="notice")
            undo = gr.Button("Undo vote", elem_id="undo", size="sm", visible=False)
    return {
        "turns": column,
        "panels": panels,
        "preview": preview,
        "best": best,
        "tie": tie,
        "bad": bad,
        "new": new,
        "notice": words,
        "undo": undo,
    }


def _own_answer(services: Services) -> dict[str, Any]:
    with (
        gr.Column(elem_id="own"),
        gr.Accordion("Write a better answer", open=False, visible=False, elem_id="better") as own,
    ):
        written = gr.Textbox(label="What should they have answered?", lines=3, max_lines=8, elem_id="written")
        save = gr.Button("Save as demonstration", elem_id="demonstrate", size="sm")
        gr.HTML(render("learned"), apply_default_css=False)
    gr.HTML(render("stored", model=services.model), apply_default_css=False, elem_id="about")
    return {"own": own, "written": written, "save": save}

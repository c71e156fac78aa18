"""The components of the Compare tab, and what a person fills in there as a question."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from alignment.settings import MAX_BEST_OF, MAX_NEW_TOKENS
from service.compare import Progress, compare
from service.context import Services
from service.requests import CompareRequest, checked
from ui.panels import chips, panel, unasked
from ui.render import notice, render
from ui.words import panel_name

LOADING_POLL_SECONDS = 0.5
INVITATION = "Ask something above, or pick an example."
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


@dataclass(frozen=True)
class Question:
    """A prompt with the settings beside it, as a person filled them in."""

    prompt: str
    blind: bool = False
    temperature: float = 0.7
    tokens: float = 96
    best_of: float = 1
    seed: str = ""

    def ask(self, services: Services, annotator: str) -> AsyncIterator[Progress]:
        """Return the comparison as it grows; raise ConfigError for what cannot be asked."""
        request = checked(
            CompareRequest,
            prompt=self.prompt,
            temperature=self.temperature,
            max_new_tokens=self.tokens,
            seed=seed_number(self.seed),
            blind=self.blind,
            best_of=self.best_of,
        )
        return compare(services, annotator, request)

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

    prompt: Any
    ask: Any
    stop: Any
    examples: Any
    settings: list[Any]  # blind, temperature, longest answer, best of, seed: as in `Question`
    panels: list[Any]
    best: list[Any]  # a button a panel
    tie: Any
    bad: Any
    following: Any
    notice: Any
    own: Any  # holds the field for an answer of one's own
    written: Any
    save: Any
    request: Any  # changes when something is asked
    pending: Any  # the comparison that the browser remembers
    finished_at: Any  # when its answers had ended

    @property
    def controls(self) -> list[Any]:
        """What `controls` changes."""
        return [*self.best, self.tie, self.bad, self.following, self.ask, self.stop, self.own, self.written]

    @property
    def all(self) -> list[Any]:
        """Panels, notice and controls."""
        return [*self.panels, self.notice, *self.controls]


def components(services: Services, pending: Any) -> CompareTab:
    """Build the tab's components as they look before anything is asked."""
    return CompareTab(
        **_question(services),
        **_answers(services),
        **_own_answer(),
        request=gr.State(None),
        pending=pending,
        finished_at=gr.State(None),
    )


def _question(services: Services) -> dict[str, Any]:
    with gr.Row(elem_id="ask"):
        prompt = gr.Textbox(
            placeholder="Ask all three …",
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
        with gr.Accordion("settings", open=False, elem_id="settings"):
            temperature = gr.Slider(0, 2, 0.7, step=0.05, label="Temperature (0 = greedy)")
            tokens = gr.Slider(1, MAX_NEW_TOKENS, 96, step=1, label="Longest answer (tokens)")
            best_of = gr.Slider(
                1, MAX_BEST_OF, 1, step=1, label="RLHF: best of so many answers, picked by the reward model"
            )
            seed = gr.Textbox("", label="Seed (empty = a new one every time)", max_lines=1, elem_id="seed")
    settings = [blind, temperature, tokens, best_of, seed]
    return {"prompt": prompt, "ask": ask, "stop": stop, "examples": examples, "settings": settings}


def _answers(services: Services) -> dict[str, Any]:
    empty = unasked(services.engine.live.version)
    with gr.Row(elem_id="panels"):
        panels = [gr.HTML(panel(one, hint=INVITATION), apply_default_css=False, elem_classes="slot") for one in empty]
    with gr.Row(elem_id="votes"):
        best = [
            gr.Button(f"{panel_name(one)} is best", interactive=False, elem_id=f"best-{i}", elem_classes="best")
            for i, one in enumerate(empty, 1)
        ]
        tie = gr.Button("Equally good", interactive=False, elem_id="tie")
        bad = gr.Button("All bad", interactive=False, elem_id="all-bad")
        following = gr.Button("Next", elem_id="next")
        words = gr.HTML(notice(""), apply_default_css=False, elem_id="notice")
    return {"panels": panels, "best": best, "tie": tie, "bad": bad, "following": following, "notice": words}


def _own_answer() -> dict[str, Any]:
    with (
        gr.Column(elem_id="own"),
        gr.Accordion("Write a better answer", open=False, visible=False, elem_id="better") as own,
    ):
        written = gr.Textbox(label="What should they have answered?", lines=3, max_lines=8, elem_id="written")
        save = gr.Button("Save as demonstration", elem_id="demonstrate", size="sm")
        gr.HTML(render("learned"), apply_default_css=False)
    gr.HTML(render("stored"), apply_default_css=False, elem_id="about")
    return {"own": own, "written": written, "save": save}

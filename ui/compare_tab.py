"""Compare: one prompt, three answers that stream side by side, one vote."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from html import escape
from reprlib import repr as brief
from typing import Any, Literal

import gradio as gr

from alignment.errors import ConfigError
from alignment.settings import MAX_BEST_OF, MAX_NEW_TOKENS
from storage import preferences, runs
from storage.records import Preference
from ui import endpoints
from ui.access import annotator_id
from ui.endpoints import Services
from ui.formatting import answers, counted, notice, panel, panel_name, unasked
from ui.spoken import sentence

Phase = Literal["idle", "streaming", "open", "voted"]
LOADING_POLL_SECONDS = 0.5
SLOTS = "ABC"
NOTHING: dict[str, Any] = {}  # no pending comparison; None would not be written: the browser would remember
INVITATION = "Ask something above, or pick an example."
SILENCE = "(ended without a word)"
STORED = """<p class="small">Models may be wrong. What you choose is stored on the computer that runs this page and
trains the third panel.</p><details class="stored"><summary>What is stored?</summary><p>Your prompt, the three answers
with their seeds and settings, what you chose and how long you took, and an answer that you write, under a random id
that a cookie keeps in this browser. No name, no address, nothing from elsewhere, and nothing is sent anywhere else.</p>
</details>"""
LEARNED = """<p class="small">It is stored for the prompt above and joins the instruction tuning with which the next
training begins: both tuned panels learn to answer like this.</p>"""

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
class CompareTab:
    """What the page's own events need of this tab."""

    open: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def chips(services: Services) -> str:
    """Return the example prompts as one menu a group."""
    groups: dict[str, list[str]] = {}
    for example in services.examples:
        groups.setdefault(example.group, []).append(example.prompt)
    menus = (
        f'<details name="examples"><summary>{escape(group)}</summary><div class="menu">'
        + "".join(f'<button type="button" data-prompt="{escape(text)}">{escape(text)}</button>' for text in prompts)
        + "</div></details>"
        for group, prompts in groups.items()
    )
    return f'<nav class="chips" aria-label="Example prompts">{"".join(menus)}</nav>'


def controls(phase: Phase, names: list[str] | None = None, best: int | None = None) -> list[Any]:
    """Return updates of the buttons: three times best, equally good, all bad, next, ask, stop; and of the room for an
    answer of one's own and the text in it.
    """
    active = phase == "open"
    buttons = []
    for i in range(3):
        label = {} if names is None else {"value": f"{'✓ ' if i == best else ''}{names[i]} is best"}
        buttons.append(gr.update(interactive=active, **label))
    return [
        *buttons,
        gr.update(interactive=active),
        gr.update(interactive=active),
        gr.update(interactive=phase != "streaming"),
        gr.update(visible=phase != "streaming"),
        gr.update(visible=phase == "streaming"),
        gr.update(visible=True) if phase in ("open", "voted") else gr.update(visible=False, open=False),
        gr.update(value="") if phase == "streaming" else gr.skip(),  # what was written there answered another prompt
    ]


def view(
    columns: list[dict[str, Any]],
    phase: Phase,
    said: str,
    *,
    hint: str = SILENCE,
    choice: str | None = None,
) -> list[Any]:
    """Return updates of the three panels, the notice and the buttons."""
    best = SLOTS.index(choice) if choice and choice in SLOTS else None
    busy = phase == "streaming"
    panels = [
        panel(column, hint=hint, busy=busy, mark="your choice" if i == best else "") for i, column in enumerate(columns)
    ]
    return [*panels, said, *controls(phase, [panel_name(column) for column in columns], best)]


def empty_view(services: Services, said: str = "", *, hint: str = INVITATION) -> list[Any]:
    """Return the tab before anything is asked."""
    return view(unasked(services.server.live.version), "idle", notice(said), hint=hint)


def shown(services: Services, pending: dict[str, Any] | None) -> list[Any] | None:
    """Return the comparison that the browser remembers, voted or not, as panels, notice and buttons; None if gone."""
    try:
        comparison = preferences.get_comparison(services.db, str((pending or {})["comparison"]))
    except LookupError:
        return None
    choice = (pending or {}).get("choice")
    columns = answers(comparison, reveal=bool(choice) or not comparison.blind)
    if choice:
        return view(columns, "voted", notice("Your vote on this one is stored."), choice=choice)
    return view(columns, "open", notice("Which answer is best?"))


def thanks(services: Services, pairs: int) -> str:
    """Return what is said after a vote: that it is stored, and what it leads to."""
    new, every = preferences.new_since_last_run(services.db), runs.get_schedule(services.db).retrain_every
    first = "Thanks, stored." if pairs else "Thanks, stored. It prefers no text to another."
    if runs.open_run(services.db) is not None:
        return f"{first} Training is under way; the next one uses this vote."
    if not every:
        return f"{first} {counted(new, 'new vote')} since the last training."
    if new < every:
        return f"{first} {counted(every - new, 'vote')} to the next training."
    return f"{first} The next training begins now."


async def stream(
    services: Services,
    prompt: str,
    blind: bool,
    temperature: float,
    tokens: float,
    best_of: float,
    seed: str,
    pending: Any,
) -> AsyncIterator[list[Any]]:
    """Yield the tab while the answers grow: panels, notice, buttons, pending comparison, time it was finished."""
    phase: Phase = "idle"  # what a refusal leaves
    if pending:
        phase = "voted" if pending.get("choice") else "open"
    try:
        while prompt.strip() and (state := services.server.state).status == "loading":
            wait = f"The model is loading: {state.seconds:.0f} s. Your question is answered as soon as it is ready."
            columns, phase = unasked(services.server.live.version), "idle"
            yield [*view(columns, "streaming", notice(wait), hint="Waiting for the model."), NOTHING, None]
            await asyncio.sleep(LOADING_POLL_SECONDS)
        spoken = None
        async for item in endpoints.compare(
            services, prompt, None, temperature, int(tokens), seed_number(seed), blind, int(best_of)
        ):
            said = notice(f"Number {item['waiting']} in line." if "waiting" in item else "Answering …")
            update = [*view(item["completions"], "streaming", said, hint=""), NOTHING, gr.skip()]
            if said == spoken:
                update[3:] = [gr.skip()] * len(update[3:])  # only text changes while it grows
            spoken, last, phase = said, item, "idle"
            yield update
        finished = view(last["completions"], "open", notice("Which answer is best?"))
        yield [*finished, {"comparison": last["comparison_id"]}, time.monotonic()]
    except Exception as error:
        said = notice(sentence(error), "error")
        yield [gr.skip(), gr.skip(), gr.skip(), said, *controls(phase), gr.skip(), gr.skip()]


def seed_number(text: str) -> int | None:
    """Return the seed that a person typed, None for an empty field."""
    try:
        return int(text) if text.strip() else None
    except ValueError as error:
        raise ConfigError(f"the seed must be a whole number or empty, got {brief(text)}; see settings") from error


def choose(
    services: Services, annotator: str, choice: str, pending: dict[str, Any] | None, finished_at: float | None
) -> list[Any]:
    """Store a vote and return the tab with names revealed: panels, notice, buttons, pending comparison."""
    took = None if finished_at is None else time.monotonic() - finished_at
    try:
        stored = endpoints.vote(services, annotator, str((pending or {}).get("comparison")), choice, "human", took)
        said = notice(thanks(services, stored["pairs"]), "thanks")
    except preferences.DuplicateVoteError as duplicate:
        choice = _choice_of(duplicate.preference)
        said = notice("You had voted on this one already; your first vote stands.")
    except Exception as error:
        said = notice(sentence(error), "error")
        return [gr.skip(), gr.skip(), gr.skip(), said, *controls("open"), gr.skip()]
    comparison = preferences.get_comparison(services.db, str((pending or {}).get("comparison")))
    update = view(answers(comparison, reveal=True), "voted", said, choice=choice)
    return [*update, {"comparison": comparison.id, "choice": choice}]


def demonstrated(services: Services, annotator: str, text: str, pending: dict[str, Any] | None) -> list[str]:
    """Store what a person wrote as an answer to the prompt shown; return what to say, and the text that is left."""
    try:
        comparison = preferences.get_comparison(services.db, str((pending or {}).get("comparison")))
        endpoints.demonstrate(services, annotator, comparison.prompt, text)
    except Exception as error:
        return [notice(sentence(error), "error"), text]
    return [notice("Thanks, stored. The next training begins with learning to answer like this.", "thanks"), ""]


def _choice_of(preference: Preference) -> str:
    return preference.tiers[0][0] if preference.kind == "choice" else preference.kind


def opened(services: Services, pending: dict[str, Any] | None) -> list[Any]:
    """Return the tab as it opens: the remembered comparison, else the first example is asked.

    Panels, notice, buttons, prompt, request; a new request is what starts an answer.
    """
    if (remembered := shown(services, pending)) is not None:
        prompt = preferences.get_comparison(services.db, str((pending or {})["comparison"])).prompt
        return [*remembered, prompt, gr.skip()]
    if services.server.state.status == "failed":
        said = notice(services.server.state.message, "error")
        return [*view(unasked(services.server.live.version), "idle", said, hint=""), "", gr.skip()]
    if not services.examples:
        return [*empty_view(services), "", gr.skip()]
    return [*empty_view(services), *asked(services.examples[0].prompt)]


def asked(prompt: str) -> list[Any]:
    """Return the prompt, and a request that differs from the one before, so that its change is noticed."""
    return [prompt, {"prompt": prompt, "at": time.monotonic_ns()}]


def build(services: Services, pending: Any, header: Any, status: Callable[[], str]) -> CompareTab:
    """Build the tab and return what the page's load event needs.

    `pending` keeps the comparison's id in the browser; `status()` is what `header` says.
    """
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
        examples = gr.HTML(chips(services), js_on_load=CHIPS_SCRIPT, elem_id="examples", apply_default_css=False)
        blind = gr.Checkbox(label="blind", elem_id="blind", container=False)
        with gr.Accordion("settings", open=False, elem_id="settings"):
            temperature = gr.Slider(0, 2, 0.7, step=0.05, label="Temperature (0 = greedy)")
            tokens = gr.Slider(1, MAX_NEW_TOKENS, 96, step=1, label="Longest answer (tokens)")
            best_of = gr.Slider(
                1, MAX_BEST_OF, 1, step=1, label="RLHF: best of so many answers, picked by the reward model"
            )
            seed = gr.Textbox("", label="Seed (empty = a new one every time)", max_lines=1, elem_id="seed")
    start = empty_view(services)
    with gr.Row(elem_id="panels"):
        panels = [gr.HTML(html, apply_default_css=False, elem_classes="slot") for html in start[:3]]
    with gr.Row(elem_id="votes"):
        best = [
            gr.Button(f"{name} is best", interactive=False, elem_id=f"best-{i + 1}", elem_classes="best")
            for i, name in enumerate(panel_name(column) for column in unasked(services.server.live.version))
        ]
        tie = gr.Button("Equally good", interactive=False, elem_id="tie")
        bad = gr.Button("All bad", interactive=False, elem_id="all-bad")
        following = gr.Button("Next", elem_id="next")
        said = gr.HTML(start[3], apply_default_css=False, elem_id="notice")
    with (
        gr.Column(elem_id="own"),
        gr.Accordion("Write a better answer", open=False, visible=False, elem_id="better") as room,
    ):
        written = gr.Textbox(
            label="What should they have answered?",
            lines=3,
            max_lines=8,
            elem_id="written",
        )
        save = gr.Button("Save as demonstration", elem_id="demonstrate", size="sm")
        gr.HTML(LEARNED, apply_default_css=False)
    gr.HTML(STORED, apply_default_css=False, elem_id="about")
    finished_at = gr.State(None)
    request = gr.State(None)

    tab = [*panels, said, *best, tie, bad, following, ask, stop, room, written]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    async def answer(
        wanted: dict[str, Any], hidden: bool, warmth: float, most: float, several: float, number: str, left: Any
    ) -> AsyncIterator[list[Any]]:
        async for update in stream(services, wanted["prompt"], hidden, warmth, most, several, number, left):
            yield update

    def picked(event: gr.EventData) -> list[Any]:
        return asked(event.prompt)

    def voted(choice: str) -> Callable[..., list[Any]]:
        def handler(left: Any, since: float | None, caller: gr.Request) -> list[Any]:
            return [*choose(services, annotator_id(caller), choice, left, since), status()]

        return handler

    def saved(text: str, left: Any, caller: gr.Request) -> list[str]:
        return demonstrated(services, annotator_id(caller), text, left)

    def stopped() -> list[Any]:
        return [notice("Stopped. Ask again, or pick an example."), *controls("idle")]

    def cleared() -> list[Any]:
        return [*empty_view(services), "", NOTHING, None]

    answering = request.change(
        answer,
        [request, blind, temperature, tokens, best_of, seed, pending],
        [*tab, pending, finished_at],
        concurrency_limit=64,
        trigger_mode="multiple",
        **quiet,
    )
    gr.on([ask.click, prompt.submit], asked, prompt, [prompt, request], cancels=answering, **quiet)
    examples.click(picked, None, [prompt, request], cancels=answering, **quiet)
    stop.click(stopped, None, tab[3:], cancels=answering, **quiet)
    for button, choice in zip([*best, tie, bad], [*SLOTS, "tie", "all_bad"], strict=True):
        button.click(voted(choice), [pending, finished_at], [*tab, pending, header], **quiet)
    save.click(saved, [written, pending], [said, written], **quiet)
    following.click(cleared, None, [*tab, prompt, pending, finished_at], **quiet).then(
        None, js="() => document.querySelector('#prompt textarea').focus()", **quiet
    )
    return CompareTab(lambda left: opened(services, left), [pending], [*tab, prompt, request])

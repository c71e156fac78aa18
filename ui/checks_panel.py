"""The admin's own checks: a part of the Admin tab that is read when it is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from service import checks
from service.checks import CheckRequest, Tried
from service.context import Services
from service.requests import checked
from storage.messages import question_of
from storage.records import OwnCheck
from ui import strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render
from ui.training_view import wanted_words

Update = dict[Any, Any]  # what changes, by component
SCRIPT = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-act]');
  if (button) trigger('select', {act: button.dataset.act, id: Number(button.dataset.id)});
});
"""


@dataclass(frozen=True)
class ChecksPanel:
    """The panel's components."""

    box: Any
    listed: Any
    prompt: Any
    holds: Any
    lacks: Any
    add: Any

    @property
    def shown(self) -> list[Any]:
        """What changes on the panel."""
        return [self.listed, self.prompt, self.holds, self.lacks]


@dataclass(frozen=True)
class CheckRow:
    """A check as the list shows it."""

    id: int
    prompt: str
    wanted: str
    tried: Tried | None


def components() -> ChecksPanel:
    """Build the panel and return its components."""
    with gr.Accordion(strings.OWN_CHECKS, open=False, elem_id="own-checks") as box:
        listed = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="own-checks-list")
        prompt = gr.Textbox(
            label=strings.CHECK_PROMPT, info=strings.CHECK_PROMPT_INFO, lines=2, max_lines=8, elem_id="check-prompt"
        )
        with gr.Row():
            holds = gr.Textbox(
                label=strings.CHECK_HOLDS, info=strings.ONE_A_LINE, lines=2, max_lines=6, elem_id="check-holds"
            )
            lacks = gr.Textbox(
                label=strings.CHECK_LACKS, info=strings.ONE_A_LINE, lines=2, max_lines=6, elem_id="check-lacks"
            )
        add = gr.Button(strings.ADD_CHECK, elem_id="add-check", size="sm")
    return ChecksPanel(box, listed, prompt, holds, lacks, add)


def listed(services: Services, token: str | None, tried: Sequence[Tried] = ()) -> str:
    """Return the checks as HTML, with what was just answered; raises AccessError without the admin's token."""
    by_id = {one.id: one for one in tried}
    rows = [_row(one, by_id.get(one.id)) for one in checks.listed(services, token)]
    return render("checks", rows=rows)


def _row(check: OwnCheck, tried: Tried | None) -> CheckRow:
    return CheckRow(check.id, question_of(check.messages), wanted_words("own", check.holds, check.lacks), tried)


def added(services: Services, token: str | None, prompt: str, holds: str, lacks: str) -> tuple[str, bool]:
    """Add the check of the form, or the JSON lines in its prompt; return a notice, and whether the form is done."""
    if prompt.lstrip().startswith("{"):
        done = checks.change(services, token, prompt)
        words = strings.CHECKS_ADDED.format(count=done.added)
        if done.refused:
            return notice(f"{words} {strings.CHECKS_REFUSED.format(lines='; '.join(done.refused))}", "error"), False
        return notice(words), True
    wanted = checked(CheckRequest, prompt=prompt, holds=holds.splitlines(), lacks=lacks.splitlines())
    new = checks.add(services, token, wanted)
    return notice(strings.CHECK_ADDED if new else strings.CHECK_KNOWN), True


def bind(services: Services, panel: ChecksPanel, token: Any, said: Any) -> list[Any]:
    """Bind the panel's events and return its acts; `said` is where its sentences stand."""

    def opened(held: str | None) -> Update:
        try:
            return {panel.listed: listed(services, held), said: notice("")}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    def add(held: str | None, *values: str) -> Update:
        try:
            words, done = added(services, held, *values)
        except Exception as error:
            return {said: notice(sentence(error), "error")}
        emptied = dict.fromkeys((panel.prompt, panel.holds, panel.lacks), "") if done else {}
        return {said: words, panel.listed: listed(services, held), **emptied}

    async def act(held: str | None, event: gr.EventData) -> Update:
        try:
            if event.act == "remove":
                done = checks.change(services, held, remove=[event.id])
                words = strings.CHECK_REMOVED if done.removed else strings.CHECK_GONE
                return {said: notice(words), panel.listed: listed(services, held)}
            tried = await checks.tried(services, held, None if event.act == "try-all" else [event.id])
            words = strings.CHECKS_TRIED.format(passed=sum(one.passed for one in tried), count=len(tried))
            return {said: notice(words), panel.listed: listed(services, held, tried)}
        except Exception as error:
            return {said: notice(sentence(error), "error")}

    outputs = [said, *panel.shown]
    panel.box.expand(opened, token, outputs, **QUIET)
    return [
        panel.add.click(add, [token, panel.prompt, panel.holds, panel.lacks], outputs, **QUIET),
        panel.listed.select(act, token, outputs, **QUIET),
    ]

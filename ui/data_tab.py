"""The Data tab: what is stored, browsed; export and import; one's name; erasing what one wrote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from service.context import Services
from service.erasing import EraseRequest, erase
from service.exchange.exporting import ExportRequest, export
from service.exchange.importing import Report, import_file
from service.people import NameRequest, rename
from service.requests import checked
from ui import strings
from ui.annotator import annotator_id
from ui.data_shelves import acted, listed
from ui.errors import sentence
from ui.events import QUIET
from ui.leaderboard_tab import topic_choices
from ui.render import notice, render

SCRIPT = "triptychData(element, props, trigger)  // assets/data.js; it triggers select"


def taken_out(services: Services, annotator: str, token: str | None, *wanted: str) -> tuple[str | None, str]:
    """Return the path of an exported file and what to say of it."""
    what, kind, form, topic = wanted
    held = token if services.admin.is_valid(token) else None
    try:
        done = export(
            services, annotator, held, checked(ExportRequest, what=what, format=kind, form=form, topic=topic or None)
        )
    except Exception as error:
        return None, notice(sentence(error), "error")
    words = strings.EXPORTED_WITHOUT if done.left_out else strings.EXPORTED
    return str(done.path), notice(words.format(rows=done.rows, left=done.left_out))


def taken_in(services: Services, token: str | None, path: str | None) -> Iterator[str]:
    """Take a file in and yield how far that is, at the end what was refused."""
    if not path:
        yield notice(strings.NO_FILE_CHOSEN, "error")
        return
    try:
        for report in import_file(services, token, Path(path), Path(path).name):
            yield _reported(report)
    except Exception as error:
        yield notice(sentence(error), "error")


def _reported(report: Report) -> str:
    words = strings.IMPORTED if report.status == "finished" else strings.IMPORTING
    counts = {"taken": report.taken, "known": report.known, "refused": report.refused}
    shown = report if report.status == "finished" else None
    return render("import_report", words=words.format(progress=report.progress, **counts), report=shown)


def named(services: Services, annotator: str, name: str) -> str:
    """Store somebody's name and return what to say."""
    try:
        rename(services, annotator, checked(NameRequest, name=name or None))
    except Exception as error:
        return notice(sentence(error), "error")
    return notice(strings.NAME_SAVED)


def erased(services: Services, annotator: str, token: str | None, keep: bool, certain: bool, person: str | None) -> str:
    """Erase what somebody wrote, if they are certain, and return what to say."""
    if not certain:
        return notice(strings.NOT_CERTAIN, "error")
    try:
        done = erase(services, annotator, token, checked(EraseRequest, keep_votes=keep, person=(person or "").strip()))
    except Exception as error:
        return notice(sentence(error), "error")
    return notice(strings.erased(done.comparisons, done.demonstrations, done.votes))


def choices(names: dict[str, str]) -> list[tuple[str, str]]:
    """Return the choices of a drop-down list."""
    return [(name, key) for key, name in names.items()]


def build(services: Services, tab: Any, token: Any) -> Any:
    """Build the tab; it is drawn whenever it is opened or something else is looked for. Return the event of erasing."""
    with gr.Row(elem_id="which-data"):
        shelf = gr.Dropdown(choices(strings.SHELVES), value="votes", label=strings.SHELF, filterable=False)
        source = gr.Dropdown(choices(strings.ANY_SOURCE), value="all", label=strings.FROM_SOURCE, filterable=False)
        search = gr.Textbox(
            label=strings.SEARCH_DATA, placeholder=strings.SEARCH_DATA_HOLDER, max_lines=1, elem_id="search-data"
        )
    shown = gr.HTML(js_on_load=SCRIPT, apply_default_css=False, elem_id="shelf")

    def look(held: str | None, kind: str, words: str, origin: str, caller: gr.Request) -> str:
        return listed(services, annotator_id(caller), held, kind, words, origin)

    def act(event: gr.EventData, held: str | None, kind: str, words: str, origin: str, caller: gr.Request) -> str:
        older = int(event.id) if event.act == "older" else None
        said = "" if older else acted(services, held, event.act, event.id)
        return listed(services, annotator_id(caller), held, kind, words, origin, older, said)

    wanted = [token, shelf, search, source]
    gr.on([tab.select, shelf.input, source.input], look, wanted, shown, **QUIET)
    # While one types, as in the history; `input` would miss what is pasted.
    search.change(look, wanted, shown, trigger_mode="always_last", **QUIET)
    shown.select(act, wanted, shown, **QUIET)
    with gr.Row(elem_id="exchange"):
        with gr.Column():
            exported = _build_export(services, tab, token)
            _build_name(services)
        with gr.Column():
            taking_in, taken = _build_import(services, token)
            person, away = _build_erase(services, token)
    for changed in (taken, away):
        changed.then(look, wanted, shown, **QUIET)
    away.then(lambda: (gr.update(value=None, visible=False), notice("")), None, exported, **QUIET)

    def opened(held: str | None) -> list[Any]:
        return [gr.update(visible=services.admin.is_valid(held))] * 2

    tab.select(opened, token, [taking_in, person], **QUIET)
    return away


@contextmanager
def _section(title: str, words: str, **column: Any) -> Iterator[Any]:
    """Hold components below a heading; on a phone they are folded until it is pressed (assets/data.js)."""
    with gr.Column(elem_classes="section", **column) as box:
        gr.HTML(render("part", title=title, words=words), apply_default_css=False)
        yield box


def _build_export(services: Services, tab: Any, token: Any) -> list[Any]:
    """Build what takes rows out; return the file and the words about it, which go when their texts are erased."""
    with _section(strings.TAKE_OUT, strings.TAKE_OUT_SAYS):
        what = gr.Dropdown(choices(strings.WHATS), value="preferences", label=strings.WHAT_OUT, filterable=False)
        with gr.Row():
            kind = gr.Dropdown(choices(strings.FORMATS), value="jsonl", label=strings.FORMAT, filterable=False)
            form = gr.Dropdown(choices(strings.FORMS), value="conversational", label=strings.FORM, filterable=False)
        topic = gr.Dropdown(
            [(strings.ANY_QUESTION, "")], value="", label=strings.WHICH_QUESTIONS, elem_id="export-topic"
        )
        start = gr.Button(strings.EXPORT, elem_id="export")
        said = gr.HTML(notice(""), apply_default_css=False, elem_id="exported")
        file = gr.File(label=strings.FILE, interactive=False, visible=False, elem_id="export-file")

    def take(held: str | None, what: str, kind: str, form: str, about: str, caller: gr.Request) -> tuple[Any, str]:
        path, words = taken_out(services, annotator_id(caller), held, what, kind, form, about)
        return gr.update(value=path, visible=path is not None), words

    def opened() -> Any:
        return gr.update(choices=topic_choices(services))

    start.click(take, [token, what, kind, form, topic], [file, said], **QUIET)
    tab.select(opened, None, topic, **QUIET)
    return [file, said]


def _build_import(services: Services, token: Any) -> tuple[Any, Any]:
    """Build what takes files in; return it, which the admin alone sees, and the event of taking one in."""
    with _section(strings.TAKE_IN, strings.TAKE_IN_SAYS, visible=False, elem_id="taking-in") as box:
        chosen = gr.UploadButton(strings.IMPORT, elem_id="import")
        said = gr.HTML(notice(""), apply_default_css=False, elem_id="imported")

    def take(held: str | None, path: str | None) -> Iterator[str]:
        yield from taken_in(services, held, path)

    return box, chosen.upload(take, [token, chosen], said, concurrency_limit=1, **QUIET)


def _build_name(services: Services) -> None:
    with _section(strings.YOUR_NAME, strings.NAME_SAYS):
        name = gr.Textbox(label=strings.YOUR_NAME, show_label=False, max_lines=1, elem_id="own-name")
        save = gr.Button(strings.SAVE_NAME, elem_id="save-name")
        said = gr.HTML(notice(""), apply_default_css=False)

    def keep(given: str, caller: gr.Request) -> str:
        return named(services, annotator_id(caller), given)

    gr.on([save.click, name.submit], keep, name, said, **QUIET)


def _build_erase(services: Services, token: Any) -> tuple[Any, Any]:
    """Build what erases; return the field that says whose, which the admin alone sees, and the event of erasing."""
    with _section(strings.ERASE, strings.ERASE_SAYS):
        keep = gr.Checkbox(label=strings.KEEP_VOTES, elem_id="keep-votes")
        person = gr.Textbox(label=strings.ERASE_PERSON, max_lines=1, visible=False, elem_id="erase-person")
        certain = gr.Checkbox(label=strings.CERTAIN, elem_id="certain")
        start = gr.Button(strings.ERASE_NOW, variant="stop", elem_id="erase")
        said = gr.HTML(notice(""), apply_default_css=False, elem_id="erased")

    def away(held: str | None, votes: bool, sure: bool, who: str, caller: gr.Request) -> tuple[str, bool]:
        return erased(services, annotator_id(caller), held, votes, sure, who), False

    return person, start.click(away, [token, keep, certain, person], [said, certain], **QUIET)

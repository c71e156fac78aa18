"""Taking a version away in a file, and removing the files of old ones: a part of the Versions tab, for the admin."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from service.context import Services
from service.requests import checked
from service.version_files import ExportVersionRequest, PruneRequest, export_version, prune
from ui import strings
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice

MEGABYTE = 2**20


def taken_away(services: Services, token: str | None, version: Any, form: Any) -> Path:
    """Return a file with a version."""
    return export_version(services, token, checked(ExportVersionRequest, version=version, form=form))


def pruned(services: Services, token: str | None, keep: Any) -> str:
    """Remove the files of old versions and return what to say."""
    services.admin.require(token)
    done = prune(services, token, checked(PruneRequest, keep=keep))
    if not done.versions:
        return strings.NOTHING_PRUNED
    named = ", ".join(f"v{version}" for version in done.versions)
    return strings.PRUNED.format(versions=named, size=done.freed / MEGABYTE)


def build(services: Services, token: Any, chosen: Any, said: Any) -> Callable[[Callable[[str | None], Any], Any], None]:
    """Build the fields where they stand and return what binds them; `chosen` is the version, `said` the notice.

    What is returned takes how the tab is drawn anew for a token, and what that changes.
    """
    with gr.Row(elem_id="take-version"):
        form = gr.Dropdown(
            [(words, name) for name, words in strings.VERSION_FORMS.items()],
            value="peft",
            label=strings.VERSION_FORM,
            filterable=False,
            min_width=150,
        )
        take = gr.Button(strings.TAKE_VERSION, elem_id="take-away", min_width=0)
    file = gr.File(label=strings.FILE, interactive=False, visible=False, elem_id="version-file")
    with gr.Row(elem_id="prune-versions"):
        keep = gr.Number(10, label=strings.KEEP_VERSIONS, precision=0, min_width=150, elem_id="keep-versions")
        remove = gr.Button(strings.PRUNE, elem_id="prune", min_width=0)

    def take_away(held: str | None, version: Any, wanted: Any) -> dict[Any, Any]:
        try:
            path = taken_away(services, held, version, wanted)
        except Exception as error:
            return {said: notice(sentence(error), "error"), file: gr.update(visible=False)}
        words = strings.TAKEN_AWAY.format(version=version, size=path.stat().st_size / MEGABYTE)
        return {said: notice(words), file: gr.update(value=str(path), visible=True)}

    def bind(opened: Callable[[str | None], Any], shown: Any) -> None:
        def remove_files(held: str | None, number: Any) -> dict[Any, Any]:
            try:
                words = pruned(services, held, number)
            except Exception as error:
                return {said: notice(sentence(error), "error")}
            return {**opened(held), said: notice(words)}

        take.click(take_away, [token, chosen, form], [said, file], concurrency_limit=1, **QUIET)
        remove.click(remove_files, [token, keep], shown, **QUIET)

    return bind

"""The named endpoints that take data out and in, and rank models by it. docs/endpoints.md lists them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from alignment.errors import ConfigError
from service.context import Services
from service.exchange.exporting import ExportRequest, export
from service.exchange.importing import import_file
from service.leaderboard import LeaderboardRequest, leaderboard
from service.requests import checked
from ui import strings
from ui.annotator import annotator_id
from ui.errors import in_plain_words, with_plain_errors


def register(services: Services) -> None:
    """Register the endpoints on the Blocks being built."""

    @with_plain_errors
    def export_endpoint(
        token: str,
        what: str,
        format: str = "jsonl",  # noqa: A002, as callers name it
        form: str = "conversational",
        topic: str | None = None,
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Return a file in one of TRL's dataset formats; with an empty token it holds the caller's own."""
        wanted = checked(ExportRequest, what=what, format=format, form=form, topic=topic or None)
        done = export(services, annotator_id(request), token, wanted)
        return {"path": str(done.path), "orig_name": done.path.name, "meta": {"_type": "gradio.FileData"}}

    def import_endpoint(token: str, file: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Take a file in, and stream how far it is; the last item says what was refused and why."""
        try:
            path, name = sent_file(file)
            for report in import_file(services, token, path, name):
                yield report.to_json()
        except Exception as error:
            raise in_plain_words(error) from error

    @with_plain_errors
    def leaderboard_endpoint(
        source: str = "all",
        asked: str = "all",
        blind: bool = False,
        own: bool = False,
        topic: str | None = None,
        annotator: str | None = None,
        token: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Return ratings with intervals and who is preferred to whom, by some of the votes."""
        if token:
            services.admin.require(token)  # one that stands no more is said, not passed over
        votes = {"source": source, "asked": asked, "blind": blind, "own": own}
        wanted = checked(LeaderboardRequest, **votes, topic=topic or None, annotator=annotator or None)
        return leaderboard(services, annotator_id(request), wanted, token).to_json()

    gr.api(leaderboard_endpoint, api_name="leaderboard")
    gr.api(export_endpoint, api_name="export")
    gr.api(import_endpoint, api_name="import", concurrency_limit=1)


def sent_file(file: Any) -> tuple[Path, str]:
    """Return where a file that was sent lies, and what its owner calls it; raise ConfigError where none was sent."""
    if not isinstance(file, dict) or not file.get("path"):
        raise ConfigError(strings.NO_FILE)
    path = Path(file["path"]).resolve()
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise ConfigError(strings.NOT_SENT)
    return path, str(file.get("orig_name") or path.name)

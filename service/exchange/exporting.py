"""Export: votes, demonstrations and prompts into one file; everybody's for the admin, else the caller's own."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic.dataclasses import dataclass as checked_dataclass

from service import audit
from service.context import Services
from service.exchange.files import Format, write_rows
from service.exchange.rows import Form, Row, What, demonstration_row, is_plain, prompt_of, vote_rows
from service.pool import OneTopic, require_topic
from storage import exports
from storage.judgements import judgements

KEPT_SECONDS = 24 * 3600.0  # after which an export's file is removed
PREFIX = "triptych-export-"


@checked_dataclass(frozen=True)
class ExportRequest:
    """What is taken out, and in which form."""

    what: What
    format: Format = "jsonl"
    form: Form = "conversational"
    topic: OneTopic = None


@dataclass(frozen=True)
class Exported:
    """A file with what was asked for."""

    path: Path
    rows: int
    left_out: int  # conversations that a plain text cannot say


class _Counting:
    """Yields rows whose prompt the form can say, and counts the others."""

    def __init__(self) -> None:
        self.left_out = 0

    def says(self, messages: object, form: Form) -> bool:
        """Return whether the form can say a prompt."""
        fits = form == "conversational" or is_plain(messages)  # type: ignore[arg-type]
        self.left_out += not fits
        return fits


def export(services: Services, annotator: str, token: str | None, request: ExportRequest) -> Exported:
    """Write a file in a folder of its own and return it; without a token it holds the caller's own.

    Raises AccessError for a token that is not an admin's, ConfigError for a topic that no prompt of the pool has.
    """
    if token:
        services.admin.require(token)
    require_topic(services, request.topic)
    _remove_old()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    path = folder / f"{request.what}.{request.format}"
    counting = _Counting()
    rows = _rows(services, None if token else annotator, request, counting)
    count = write_rows(path, rows, request.what, request.form, request.format)
    if token:
        audit.record(services, "export", f"everybody's {request.what}: {count:,}")
    return Exported(path, count, counting.left_out)


def _rows(services: Services, whose: str | None, request: ExportRequest, counting: _Counting) -> Iterator[Row]:
    form, key, topic = request.form, services.key, request.topic
    if request.what == "prompts":
        for messages in exports.prompts(services.db, whose, topic):
            if counting.says(messages, form):
                yield {"prompt": prompt_of(messages, form)}
    elif request.what == "demonstrations":
        for written in exports.demonstrations(services.db, whose, topic):
            if counting.says(written.messages, form):
                yield demonstration_row(written, form, key)
    else:
        for one in judgements(services.db, whose, topic):
            if counting.says(one.messages, form):
                yield from vote_rows(one, request.what, form, key)


def _remove_old() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)

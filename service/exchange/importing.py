"""Import: a file's rows become votes, demonstrations and prompts, with a report of every row that was refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from alignment.errors import AlignmentError, ConfigError
from service.context import Services
from service.exchange.files import AT_ONCE, Found, read_rows
from service.exchange.layouts import understand
from service.exchange.pseudonyms import annotator_pseudonym
from storage import imports, prompts
from storage.events import ACTING
from storage.imports import ImportStatus, NewDemonstration
from storage.judgements import Judgement
from storage.messages import Messages
from storage.prompts import NewPrompt

MOST_PROBLEMS = 100  # that a report lists; all are counted
MALFORMED = (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError)


@dataclass(frozen=True)
class Problem:
    """A row that was not taken."""

    place: int  # its line, or its number in a list or table, from 1
    why: str


@dataclass
class Report:
    """How far an import is."""

    import_id: int
    status: ImportStatus = "running"
    progress: float = 0.0
    taken: int = 0
    known: int = 0  # rows that were there already
    refused: int = 0
    problems: list[Problem] = field(default_factory=list)  # the first ones

    def refuse(self, place: int, why: str) -> None:
        """Count a row that is not taken."""
        self.refused += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(place, why))

    @property
    def rows(self) -> int:
        """How many rows have been read."""
        return self.taken + self.known + self.refused

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/import` get it."""
        return vars(self) | {"problems": [vars(one) for one in self.problems]}


def import_file(services: Services, token: str | None, path: Path, name: str) -> Iterator[Report]:
    """Take a file in, and yield the one report again and again as it grows; the last time its status is "finished".

    Rows are stored some hundred at a time, so that votes are not held up. An import that ends early is marked as
    stopped and keeps what it has taken; the same file taken in again goes on from there, because a row counts once.
    Raises AccessError without an admin's token, ConfigError for a file that cannot be read.
    """
    services.admin.require(token)
    by = ACTING.get()  # now: each step of a generator may run in another context, where nobody acts
    rows = read_rows(path, name)
    key = services.key
    own = {annotator_pseudonym(key, one) for one in imports.annotator_ids(services.db) if one[1:2] != "."}
    report = Report(imports.begin_import(services.db, name))
    try:
        while some := list(islice(rows, AT_ONCE)):
            _take(services, report, some, own)
            report.progress = some[-1].progress
            _keep(services, report, by)
            yield report
        report.status, report.progress = "finished", 1.0
    finally:
        if report.status != "finished":
            report.status = "stopped"
        _keep(services, report, by)
        services.status.expire()
        services.preview.votes_changed()
    yield report


def _keep(services: Services, report: Report, by: str) -> None:
    counts = {"taken": report.taken, "known": report.known, "refused": report.refused}
    imports.update_import(services.db, report.import_id, status=report.status, by=by, **counts)


def _take(services: Services, report: Report, some: list[Found], own: set[str]) -> None:
    """Store what can be taken of some rows, all in one transaction, and count them in the report."""
    judged: list[Judgement] = []
    written: list[NewDemonstration] = []
    asked: list[Messages] = []
    for found in some:
        try:
            one = _understood(found, own)
        except AlignmentError as error:
            report.refuse(found.place, str(error))
            continue
        if isinstance(one, Judgement):
            judged.append(one)
        elif isinstance(one, NewDemonstration):
            written.append(one)
        else:
            asked.append(one)
    new = imports.add_rows(services.db, report.import_id, judged, written)
    new += prompts.add_prompts(services.db, [NewPrompt(one) for one in asked])
    report.taken += new
    report.known += len(judged) + len(written) + len(asked) - new


def _understood(found: Found, own: set[str]) -> Judgement | NewDemonstration | Messages:
    if found.problem:
        raise ConfigError(found.problem)
    try:
        one = understand(found.row)
    except AlignmentError:
        raise
    except MALFORMED as error:
        raise ConfigError(f"the row has not the layout that its columns promise ({type(error).__name__})") from error
    if not isinstance(one, tuple) and one.annotator_id in own:
        raise ConfigError("it was exported from here, by somebody who is here: it is stored already")
    return one

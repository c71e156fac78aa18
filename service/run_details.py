"""What is known of a run: its settings, the rows that it learned from, its log; and two runs side by side."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.runs.dataset import digest
from alignment.runs.methods import METHODS
from service import runs as training
from service.context import Services
from service.requests import RunRequest, number
from service.runs import RunState
from storage import demonstrations, preferences, run_folder, runs
from storage.messages import question_of
from storage.records import Ranking, Run

MOST_LINES = 2_000
MOST_BYTES = 400_000  # read from the end of a log
MOST_ROWS = 500  # shown of what a run learned from


@checked_dataclass(frozen=True)
class LogRequest:
    """Whose log is wanted, and how much of its end."""

    run_id: Annotated[int, number(1, 2**53, whole=True)]
    lines: Annotated[int, number(1, MOST_LINES, whole=True)] = 200


@checked_dataclass(frozen=True)
class BothRequest:
    """Which two runs are set side by side."""

    run_id: Annotated[int, number(1, 2**53, whole=True)]
    other: Annotated[int, number(1, 2**53, whole=True)]


@dataclass(frozen=True)
class RowUsed:
    """A vote or a demonstration that a run learned from and that still stands."""

    kind: str  # "vote" or "demonstration"
    id: int
    question: str
    best: str  # what was preferred or demonstrated, "" where nothing was
    source: str


@dataclass(frozen=True)
class Rows:
    """What a run learned from people, as it stands now."""

    claimed: int  # votes and demonstrations
    standing: int  # of them, not taken back since
    sha256: str  # of what stands
    same: bool | None  # whether that is what the run read; None where that was not recorded
    listed: tuple[RowUsed, ...]  # some of them


@dataclass(frozen=True)
class Both:
    """Two runs side by side: what differs of that which both methods read, the first one's before the other's."""

    one: RunState
    other: RunState
    settings: dict[str, tuple[Any, Any]]  # those that differ, such as "ppo.updates"
    metrics: dict[str, tuple[float | None, float | None]]  # the last value of each


def log_tail(services: Services, token: str | None, request: LogRequest) -> str:
    """Return the end of what a run's process printed, "" where it printed nothing; it may name folders.

    Raises AccessError without the admin's token, a LookupError where there is no such run.
    """
    services.admin.require(token)
    run = runs.get_run(services.db, request.run_id)
    try:
        with run_folder.log_of(run_folder.folder_of(services.data_dir, run.id)).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-request.lines :])


def rows(services: Services, token: str | None, request: RunRequest) -> Rows:
    """Return what a run learned from people. Raises AccessError without the admin's token, as it is theirs."""
    services.admin.require(token)
    run = runs.get_run(services.db, request.run_id)
    voted = preferences.rankings(services.db, run.id)
    demonstrated = demonstrations.demonstrations_of(services.db, run.id)
    now = digest(voted, demonstrated)
    listed = [
        RowUsed("vote", vote.preference_id, question_of(vote.messages), _best(vote), vote.source) for vote in voted
    ]
    listed += [
        RowUsed("demonstration", one.id, question_of(one.messages), one.completion, one.source) for one in demonstrated
    ]
    return Rows(
        runs.claimed(services.db, run.id),
        len(listed),
        now,
        None if run.dataset is None else run.dataset["sha256"] == now,
        tuple(listed[:MOST_ROWS]),
    )


def _best(vote: Ranking) -> str:
    return " = ".join(vote.completions[place] for place in vote.tiers[0]) if vote.tiers else ""


def both(services: Services, request: BothRequest) -> Both:
    """Return two runs side by side; raise a LookupError where there is no such run."""
    one, other = (training.state(services, RunRequest(number)) for number in (request.run_id, request.other))
    left, right = ({"method": state.run.method, **used(state.run)} for state in (one, other))
    names = [name for name in {**left, **right} if all(_reads(state.run.method, name) for state in (one, other))]
    settings = {name: (left.get(name), right.get(name)) for name in names if left.get(name) != right.get(name)}
    measured = dict.fromkeys([*one.metrics, *other.metrics])
    metrics = {name: (_last(one, name), _last(other, name)) for name in measured}
    return Both(one, other, settings, metrics)


def _last(state: RunState, name: str) -> float | None:
    found = state.metrics.get(name)
    return found[-1][1] if found else None


def used(run: Run) -> dict[str, Any]:
    """Return the settings that a run's method reads, by names such as "ppo.updates"."""
    return {name: value for name, value in flat(run.settings).items() if _reads(run.method, name)}


def _reads(method: str, name: str) -> bool:
    part = name.partition(".")[0]
    return part in METHODS[method] or not any(part in parts for parts in METHODS.values())


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by names such as "ppo.updates"."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found

"""What the Training tab shows of runs and policies, as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.runs.records import LostCheck, lost_of, manners_from_json
from service.runs import stages_of
from service.status import Snapshot
from storage.records import Policy, Run
from ui import strings
from ui.errors import in_a_sentence
from ui.findings import ended_words, failed_words, notes, rows, status_words, verdict_of
from ui.render import render
from ui.words import clock_time, elapsed, span

MARKS = {"done": "✓", "now": "●", "stopped": "✕", "todo": "○"}
UNDER_WAY = ("queued", "running")


@dataclass(frozen=True)
class Stage:
    """One stage on the line of a run."""

    name: str
    words: str
    state: str  # "done", "now", "stopped" or "todo"

    @property
    def mark(self) -> str:
        """The sign before its name."""
        return MARKS[self.state]


@dataclass(frozen=True)
class Figure:
    """A measured number of a version with what it means."""

    words: str
    value: str


@dataclass(frozen=True)
class LostRow:
    """A check that was lost, with what was wanted."""

    check: LostCheck
    wanted: str


@dataclass(frozen=True)
class HistoryRun:
    """A run as the table shows it."""

    run: Run
    status: str
    took: str
    result: str


@dataclass(frozen=True)
class HistoryPolicy:
    """A version as the table shows it."""

    policy: Policy
    source: str
    accuracy: str
    refusals: str
    kl: str


def waiting(now: Snapshot) -> str:
    """Return when the next training starts by itself and why it waits, and what waits for it besides votes."""
    written = now.new_demonstrations
    after = now.waiting_run
    starts = _waits(now) if after is None else strings.NEXT_IS.format(run=after.id)
    if now.collection:
        starts = f"{starts} {strings.NEW_VOTES_GO.format(name=now.collection)}"
    return f"{starts} {strings.demonstrations_wait(written)}" if written else starts


def _waits(now: Snapshot) -> str:
    waits = now.waits
    if waits.reason == "due":
        return strings.ENOUGH_VOTES
    if waits.reason == "votes":
        return strings.VOTES_MISSING.format(votes=strings.more_votes(waits.votes))
    if waits.reason == "off" or waits.at is None:
        return strings.ONLY_BY_ADMIN.format(votes=strings.new_votes(now.new_votes))
    words = {
        "minutes": strings.WAITS_MINUTES,
        "quiet": strings.WAITS_QUIET,
        "idle": strings.WAITS_IDLE,
        "failed": strings.WAITS_FAILED,
    }
    return words[waits.reason].format(at=clock_time(waits.at), failures=waits.failures)


def progress(now: Snapshot) -> str:
    """Return the sentence on the latest run, its line of stages and its bar."""
    return head(now.latest_run, now.produced, now.live, waiting(now), loaded=now.engine.status == "ready")


def head(run: Run | None, produced: Policy | None, live: int, waits: str = "", *, loaded: bool) -> str:
    """Return the sentence on a run, its line of stages and its bar; `waits` says what the next one waits for."""
    return render(
        "run",
        run=run,
        status=status_words(run, produced) if run else "",
        ended=ended_words(run, produced) if run else "",
        reason=in_a_sentence(run.error or "") if run else "",
        under_way=_under_way(run, loaded=loaded) if run else "",
        made=strings.VERSION_MADE.format(version=produced.version) if produced else strings.NOTHING_MADE,
        took=elapsed(run.started or run.created, run.finished) if run else 0.0,
        percent=round(run.progress * 100) if run and run.status in UNDER_WAY else None,
        live=live,
        waiting=waits,
        stages=stages(run, produced),
    )


def stages(run: Run | None, produced: Policy | None = None) -> list[Stage]:
    """Return the stages of a run's method, each done, under way, stopped at or to come."""
    names = stages_of(run)
    at = names.index(run.stage) if run and run.stage in names else -1
    if run and status_words(run, produced) == strings.NOT_LIVE:  # its check was passed: only the last stage was not
        at = len(names) - 1
    return [Stage(name, strings.STAGES[name], _stage_state(run, place, at)) for place, name in enumerate(names)]


def _stage_state(run: Run | None, place: int, at: int) -> str:
    if run is None:
        return "todo"
    if run.status == "succeeded" or place < at:
        return "done"
    if place > at:
        return "todo"
    return "now" if run.status in UNDER_WAY else "stopped"


def _under_way(run: Run, *, loaded: bool) -> str:
    if run.status == "waiting":
        return strings.NEXT_IS.format(run=run.id)
    if run.status == "queued":
        return strings.STARTS_SOON if loaded else strings.STARTS_ONCE_LOADED
    took = elapsed(run.started)
    rest = took * (1 - run.progress) / run.progress if run.progress >= 0.05 else 0.0
    rest = round(rest / 60) * 60 if rest > 90 else rest
    stage = strings.STAGES.get(run.stage, run.stage) or strings.STARTING
    words = strings.SO_FAR_AND_LEFT if rest else strings.SO_FAR
    return words.format(stage=stage, progress=run.progress, took=span(took), rest=span(rest))


def verdict(produced: Policy | None) -> str:
    """Return why a run's policy went live, or not, and what changed in its answers."""
    evaluation: dict[str, Any] = produced.evaluation if produced else {}
    judged = verdict_of(evaluation)
    return render(
        "verdict",
        verdict=judged,
        version=produced.version if produced else None,
        findings=rows(judged) if judged else [],
        notes=notes(judged) if judged else [],
        figures=_manners(evaluation),
        lost=[LostRow(one, wanted_words(one.kind, one.wanted, one.unwanted)) for one in lost_of(evaluation)],
        changes=evaluation.get("before_after") or [],
    )


def wanted_words(kind: str, holds: Sequence[str], lacks: Sequence[str]) -> str:
    """Return what a right answer to a check does, in words."""

    def quoted(texts: Sequence[str]) -> str:
        return ", ".join(strings.QUOTED.format(text=text) for text in texts)

    parts = [strings.WANTED[kind]] if kind in strings.WANTED else []
    parts += [strings.WANTED_HOLDS.format(texts=quoted(holds))] if holds and not parts else []
    parts += [strings.WANTED_LACKS.format(texts=quoted(lacks))] if lacks else []
    return "; ".join(parts)


def _manners(evaluation: dict[str, Any]) -> list[Figure]:
    """Return how its answers to the checks are written, beside those of the version before."""
    if not (stored := evaluation.get("manners")):
        return []
    manners, figures = manners_from_json(stored), []
    for name, (words, shape) in strings.MANNERS.items():
        before, after = (shape.format(getattr(one, name)) for one in (manners.before, manners.after))
        figures.append(Figure(words, strings.MANNER.format(after=after, before=before)))
    if manners.preferred is not None:
        figures.append(Figure(strings.PREFERRED, f"{manners.preferred:.0%}"))
    return figures


def history(runs: Sequence[Run], policies: Sequence[Policy], live: int) -> str:
    """Return the tables of recent runs and of policy versions, newest first, the live one marked."""
    by_version = {policy.version: policy for policy in policies}
    return render(
        "history",
        runs=[
            HistoryRun(
                run,
                status_words(run, by_version.get(run.policy_version or 0)),
                span(elapsed(run.started, run.finished)) if run.started and run.finished else "–",
                _result(run, by_version.get(run.policy_version or 0)),
            )
            for run in runs
        ],
        policies=[
            HistoryPolicy(
                policy,
                strings.FROM_RUN.format(run=policy.run_id) if policy.run_id else strings.SHIPPED,
                *(figure(policy.evaluation, name) for name in ("accuracy", "refusals", "kl")),
            )
            for policy in policies
        ],
        live=live,
    )


def _result(run: Run, produced: Policy | None) -> str:
    if run.status == "succeeded":
        return strings.WENT_LIVE.format(version=run.policy_version)
    if run.status == "rejected" and produced is not None:
        judged = verdict_of(produced.evaluation)
        if judged is None or not judged.passed:
            return f"v{produced.version}: {failed_words(judged) if judged else ''}"
    return (run.error or "").strip().split("\n")[-1] or "–"


def figure(evaluation: dict[str, Any], name: str) -> str:
    """Return a measured number of a version in words, a dash where it was not measured."""
    value = evaluation.get(name)
    return strings.FIGURES[name].format(value) if isinstance(value, int | float) else "–"

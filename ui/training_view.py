"""What the Training tab shows of runs and policies, as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.runs import stages_of
from service.status import Snapshot
from storage.records import Policy, Run, RunStatus
from ui.findings import reasons, verdict_of
from ui.render import render
from ui.words import counted, elapsed, span

STAGES = {  # what each stage is called
    "collect": "collect",
    "sft": "instruction tuning",
    "reward": "reward model",
    "raft": "RAFT",
    "ppo": "PPO",
    "dpo": "DPO",
    "check": "check",
    "live": "live",
}
STATUS: dict[RunStatus, str] = {
    "queued": "waiting to start",
    "running": "training",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "rejected": "not passed",
}
MARKS = {"done": "✓", "now": "●", "stopped": "✕", "todo": "○"}
FIGURES = {
    "accuracy": ("questions answered correctly", "{:.0%}"),
    "refusals": ("harmful requests refused", "{:.0%}"),
    "helped": ("harmless requests helped", "{:.0%}"),
    "abstained": ("unknown names admitted", "{:.0%}"),
    "kl": ("KL to instruction-tuned, nats", "{:.1f}"),
    "ended": ("answers that ended by themselves", "{:.0%}"),
}
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
    """Return when the next training starts by itself, and what waits for it besides votes."""
    new, needed, written = now.new_votes, now.retrain_every, now.new_demonstrations
    waits = f" {counted(written, 'new demonstration')} {'waits' if written == 1 else 'wait'} for it." if written else ""
    if not needed:
        return f"{counted(new, 'new vote')} since the last training; it starts only when an admin starts it.{waits}"
    if new >= needed:
        return f"Enough new votes are in: training starts by itself.{waits}"
    return f"{counted(needed - new, 'more vote')} and training starts by itself.{waits}"


def progress(now: Snapshot) -> str:
    """Return the sentence on the latest run, its line of stages and its bar."""
    run, produced = now.latest_run, now.produced
    return render(
        "run",
        run=run,
        status=STATUS[run.status] if run else "",
        under_way=_under_way(run, loaded=now.engine.status == "ready") if run else "",
        made=f"v{produced.version}" if produced else "nothing new",
        took=elapsed(run.started or run.created, run.finished) if run else 0.0,
        percent=round(run.progress * 100) if run and run.status in UNDER_WAY else None,
        live=now.live,
        waiting=waiting(now),
        stages=stages(run),
    )


def stages(run: Run | None) -> list[Stage]:
    """Return the stages of a run's method, each done, under way, stopped at or to come."""
    names = stages_of(run)
    at = names.index(run.stage) if run and run.stage in names else -1
    return [Stage(name, STAGES[name], _stage_state(run, place, at)) for place, name in enumerate(names)]


def _stage_state(run: Run | None, place: int, at: int) -> str:
    if run is None:
        return "todo"
    if run.status == "succeeded" or place < at:
        return "done"
    if place > at:
        return "todo"
    return "now" if run.status in UNDER_WAY else "stopped"


def _under_way(run: Run, *, loaded: bool) -> str:
    if run.status == "queued":
        return "It starts in a moment." if loaded else "It starts as soon as the model is loaded."
    took = elapsed(run.started)
    rest = took * (1 - run.progress) / run.progress if run.progress >= 0.05 else 0.0
    rest = round(rest / 60) * 60 if rest > 90 else rest
    about = f", about {span(rest)} left." if rest else "."
    return f"{STAGES.get(run.stage, run.stage) or 'starting'}, {run.progress:.0%}, {span(took)} so far{about}"


def verdict(produced: Policy | None) -> str:
    """Return why the latest run's policy went live, or not, and what changed in its answers."""
    evaluation: dict[str, Any] = produced.evaluation if produced else {}
    judged = verdict_of(evaluation)
    return render(
        "verdict",
        verdict=judged,
        version=produced.version if produced else None,
        reasons=reasons(judged) if judged else [],
        figures=[Figure(words, shape.format(evaluation[name])) for name, (words, shape) in _measured(evaluation)],
        changes=evaluation.get("before_after") or [],
    )


def _measured(evaluation: dict[str, Any]) -> list[tuple[str, tuple[str, str]]]:
    return [(name, figure) for name, figure in FIGURES.items() if isinstance(evaluation.get(name), int | float)]


def history(runs: Sequence[Run], policies: Sequence[Policy], live: int) -> str:
    """Return the tables of recent runs and of policy versions, newest first, the live one marked."""
    by_version = {policy.version: policy for policy in policies}
    return render(
        "history",
        runs=[
            HistoryRun(
                run,
                STATUS[run.status],
                span(elapsed(run.started, run.finished)) if run.started and run.finished else "–",
                _result(run, by_version.get(run.policy_version or 0)),
            )
            for run in runs
        ],
        policies=[
            HistoryPolicy(
                policy,
                f"run {policy.run_id}" if policy.run_id else "shipped with the model",
                *(_figure(policy.evaluation, name) for name in ("accuracy", "refusals", "kl")),
            )
            for policy in policies
        ],
        live=live,
    )


def _result(run: Run, produced: Policy | None) -> str:
    if run.status == "succeeded":
        return f"v{run.policy_version} went live"
    if run.status == "rejected" and produced is not None:
        judged = verdict_of(produced.evaluation)
        return f"v{produced.version}: {'; '.join(reasons(judged)) if judged else ''}"
    return (run.error or "").strip().split("\n")[-1] or "–"


def _figure(evaluation: dict[str, Any], name: str) -> str:
    value = evaluation.get(name)
    return FIGURES[name][1].format(value) if isinstance(value, int | float) else "–"

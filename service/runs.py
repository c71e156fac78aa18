"""Training runs: start, watch, cancel, resume and schedule them. What changes one needs the admin's token."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from alignment.errors import TrainingError
from alignment.runs import methods
from alignment.runs.schedule import changed
from service import audit
from service.context import Services
from service.requests import RunRequest
from storage import policies, runs
from storage.overview import overview
from storage.records import Policy, Run


@dataclass(frozen=True)
class RunState:
    """Where a run stands, with everything it measured."""

    run: Run
    metrics: dict[str, list[tuple[int, float]]]  # (step, value) by name, in order of steps
    produced: Policy | None  # the version that it made

    @property
    def may_cancel(self) -> bool:
        """Whether it has not ended."""
        return self.run.status in (*runs.OPEN, "waiting")

    @property
    def may_resume(self) -> bool:
        """Whether it stopped early and made no version."""
        return self.run.status in runs.RESUMABLE and self.produced is None


def state(services: Services, request: RunRequest) -> RunState:
    """Return where a run stands; raise StorageError, a LookupError, where there is none of that number."""
    run = runs.get_run(services.db, request.run_id)
    series: dict[str, list[tuple[int, float]]] = {}
    for metric in sorted(runs.metrics(services.db, run.id), key=lambda one: one.step):
        series.setdefault(metric.name, []).append((metric.step, metric.value))
    return RunState(run, series, policies.version_made_by(services.db, run.id))


def stages_of(run: Run | None) -> tuple[str, ...]:
    """Return the stages of a run, as far as they are known before it ends; those of PPO where there is no run yet."""
    if run is None:
        return (*methods.stages_of("ppo", sft=False, raft_rounds=1), "live")
    tunes = run.stage == "sft" or bool(run.demonstrations and run.settings.get("sft", {}).get("steps", 0))
    rounds = run.settings.get("raft", {}).get("rounds", 1)
    return (*methods.stages_of(run.method, sft=tunes, raft_rounds=rounds), "live")


def retrain(services: Services, token: str | None, method: str = "ppo", settings: dict[str, Any] | None = None) -> int:
    """Queue a run over all standing votes and demonstrations and return its number."""
    services.admin.require(token)
    run_id = services.supervisor.retrain(method, settings)
    audit.record(services, "retrain", f"run {run_id} by {method}")
    services.status.expire()
    return run_id


def cancel(services: Services, token: str | None, request: RunRequest) -> Run:
    """End an open run at once and return it; what was live stays live."""
    services.admin.require(token)
    run = services.supervisor.cancel(request.run_id)
    audit.record(services, "cancel", f"run {run.id}")
    services.status.expire()
    return run


def cancel_open(services: Services, token: str | None) -> Run:
    """End the run that is open and return it."""
    services.admin.require(token)
    if (run := runs.open_run(services.db)) is None:
        raise TrainingError("no run is open, so there is nothing to cancel")
    return cancel(services, token, RunRequest(run.id))


def resume(services: Services, token: str | None, request: RunRequest) -> Run:
    """Queue a failed or cancelled run again and return it; it goes on from its last checkpoint, if it has one."""
    services.admin.require(token)
    run = services.supervisor.resume(request.run_id)
    audit.record(services, "resume", f"run {run.id}")
    services.status.expire()
    return run


def resume_latest(services: Services, token: str | None) -> Run:
    """Queue the latest run again, if it failed or was cancelled, and return it."""
    services.admin.require(token)
    if (run := runs.latest_run(services.db)) is None:
        raise TrainingError("there is no run yet, so there is nothing to resume")
    return resume(services, token, RunRequest(run.id))


def change_schedule(services: Services, token: str | None, changes: dict[str, Any] | None) -> runs.Schedule:
    """Change some of the schedule's settings, if any are given, and return all; they hold at once and after a restart.

    Raises AccessError without the admin's token, ConfigError for what does not fit; nothing is changed then.
    """
    services.admin.require(token)
    present = overview(services.db).schedule
    if not changes:
        return present
    wanted = changed(present, changes)
    runs.set_schedule(services.db, wanted)
    audit.record(services, "schedule", json.dumps(asdict(wanted)))
    services.status.expire()
    return wanted

"""The named endpoints of admins: logging in, runs, the audit trail. docs/endpoints.md lists them."""

from dataclasses import asdict
from typing import Any

import gradio as gr

from service import account, audit, checks, gate, run_details, runs, versions
from service.audit import EventsRequest
from service.context import Services
from service.insight import insight
from service.requests import RunRequest, checked
from service.run_details import LogRequest
from service.version_files import ExportVersionRequest, PruneRequest, export_version, prune
from service.versions import VersionRequest
from service.vote_collections import CollectionsRequest, collections
from ui import training_view
from ui.annotator import address_of, annotator_id
from ui.errors import in_plain_words, with_plain_errors


def register(services: Services) -> None:
    """Register the endpoints on the Blocks being built."""
    _register_account(services)
    _register_training(services)
    _register_gate(services)
    _register_collections(services)
    _register_versions(services)


def _register_account(services: Services) -> None:
    @with_plain_errors
    def login_endpoint(password: str, request: gr.Request | None = None) -> dict[str, Any]:
        """Return a token for the admin's password."""
        return {"token": account.login(services, password, address_of(request), annotator_id(request))}

    @with_plain_errors
    def logout_endpoint(token: str) -> dict[str, Any]:
        """Forget a token."""
        account.logout(services, token)
        return {}

    @with_plain_errors
    def password_endpoint(token: str, present: str, new: str) -> dict[str, Any]:
        """Store another password for the admin; all tokens end."""
        account.set_password(services, token, present, new)
        return {}

    @with_plain_errors
    def events_endpoint(token: str, limit: int = 100, before: int | None = None) -> dict[str, Any]:
        """Return the audit trail, newest first."""
        services.admin.require(token)
        return audit.trail(services, token, checked(EventsRequest, limit=limit, before=before)).to_json()

    gr.api(login_endpoint, api_name="login")
    gr.api(logout_endpoint, api_name="logout")
    gr.api(password_endpoint, api_name="password")
    gr.api(events_endpoint, api_name="events")


def _register_training(services: Services) -> None:
    @with_plain_errors
    def retrain_endpoint(token: str, method: str = "ppo", settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Queue a training run over all votes."""
        return {"run_id": runs.retrain(services, token, method, settings)}

    @with_plain_errors
    def cancel_endpoint(token: str, run_id: int) -> dict[str, Any]:
        """End an open run at once."""
        services.admin.require(token)
        return {"status": runs.cancel(services, token, checked(RunRequest, run_id=run_id)).status}

    @with_plain_errors
    def resume_endpoint(token: str, run_id: int) -> dict[str, Any]:
        """Queue a failed or cancelled run again; it goes on from its last checkpoint, if it has one."""
        services.admin.require(token)
        return {"status": runs.resume(services, token, checked(RunRequest, run_id=run_id)).status}

    @with_plain_errors
    def schedule_endpoint(token: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change some of the schedule, or with null read it; tell when the next run starts and why it waits."""
        schedule = asdict(runs.change_schedule(services, token, settings))
        now = services.status.now()
        at = now.waits.at.isoformat() if now.waits.at else None
        return schedule | {"next_at": at, "waits_for": now.waits.reason, "words": training_view.waiting(now)}

    @with_plain_errors
    def run_log_endpoint(token: str, run_id: int, lines: int = 200) -> dict[str, Any]:
        """Return the end of what a run's process printed."""
        services.admin.require(token)
        return {"log": run_details.log_tail(services, token, checked(LogRequest, run_id=run_id, lines=lines))}

    @with_plain_errors
    def run_rows_endpoint(token: str, run_id: int) -> dict[str, Any]:
        """Return what a run learned from people, and whether that is still what it read."""
        services.admin.require(token)
        return asdict(run_details.rows(services, token, checked(RunRequest, run_id=run_id)))

    gr.api(schedule_endpoint, api_name="schedule")
    gr.api(retrain_endpoint, api_name="retrain")
    gr.api(cancel_endpoint, api_name="cancel")
    gr.api(resume_endpoint, api_name="resume")
    gr.api(run_log_endpoint, api_name="run_log")
    gr.api(run_rows_endpoint, api_name="run_rows")


def _register_gate(services: Services) -> None:
    @with_plain_errors
    def gate_endpoint(token: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """Change some of the gate's bounds, or with null read them."""
        return asdict(gate.bounds(services, token, settings))

    async def checks_endpoint(
        token: str, add: str = "", remove: list[int] | None = None, try_live: list[int] | None = None
    ) -> dict[str, Any]:
        """Change the admin's own checks, which every candidate is asked, try some on the live version, return all."""
        try:
            done = checks.change(services, token, add, remove)
            tried = await checks.tried(services, token, try_live or [])
            standing = [checks.to_json(one) for one in checks.listed(services, token)]
            return {**asdict(done), "checks": standing, "tried": [asdict(one) for one in tried]}
        except Exception as error:
            raise in_plain_words(error) from error

    gr.api(checks_endpoint, api_name="checks")

    gr.api(gate_endpoint, api_name="gate")


def _register_collections(services: Services) -> None:
    @with_plain_errors
    def collections_endpoint(
        token: str,
        act: str = "list",
        name: str = "",
        version: int = 1,
        reason: str = "",
        names: list[str] | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> dict[str, Any]:
        """Open a collection for new votes, start afresh with one, choose what runs learn from, or list them all."""
        services.admin.require(token)
        asked = {"act": act, "name": name, "version": version, "reason": reason, "names": names}
        wanted = checked(CollectionsRequest, **asked, since=since, until=until)
        return collections(services, token, wanted).to_json()

    gr.api(collections_endpoint, api_name="collections")


def _register_versions(services: Services) -> None:
    @with_plain_errors
    def promote_endpoint(token: str, version: int, reason: str = "") -> dict[str, Any]:
        """Have a version answer from the next question on."""
        services.admin.require(token)
        return {"live": versions.promote(services, token, checked(VersionRequest, version=version, reason=reason))}

    @with_plain_errors
    def retire_endpoint(token: str, version: int, reason: str = "") -> dict[str, Any]:
        """Take a version out of service; a live one gives way to the one it was made from."""
        services.admin.require(token)
        return {"live": versions.retire(services, token, checked(VersionRequest, version=version, reason=reason))}

    @with_plain_errors
    def export_version_endpoint(token: str, version: int, form: str = "peft") -> dict[str, Any]:
        """Return a zip file with a version: a PEFT folder, a merged checkpoint or a GGUF file, each with a card."""
        services.admin.require(token)
        path = export_version(services, token, checked(ExportVersionRequest, version=version, form=form))
        return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}

    @with_plain_errors
    def prune_endpoint(token: str, keep: int = 10) -> dict[str, Any]:
        """Remove the files of versions that do not answer, all but the newest few; their rows stay."""
        services.admin.require(token)
        done = prune(services, token, checked(PruneRequest, keep=keep))
        return {"pruned": list(done.versions), "freed_bytes": done.freed}

    @with_plain_errors
    def insight_endpoint(token: str = "") -> dict[str, Any]:
        """Return reward and KL, diversity and what people say of all versions; texts only with the admin's token."""
        return insight(services, token).to_json()

    gr.api(insight_endpoint, api_name="insight")
    gr.api(export_version_endpoint, api_name="export_version", concurrency_limit=1)
    gr.api(prune_endpoint, api_name="prune")
    gr.api(promote_endpoint, api_name="promote")
    gr.api(retire_endpoint, api_name="retire")

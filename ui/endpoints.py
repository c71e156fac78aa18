"""The named endpoints: `gradio_client` and `curl` call the same services as the page. docs/endpoints.md lists them."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from service import policies, run_details, runs
from service.compare import compare
from service.context import Services
from service.demonstrations import demonstrate
from service.history import history
from service.requests import (
    CompareRequest,
    DemonstrateRequest,
    HistoryRequest,
    RunRequest,
    VoteRequest,
    WithdrawRequest,
    checked,
)
from service.run_details import BothRequest
from service.votes import vote, withdraw
from ui import admin_endpoints
from ui.annotator import annotator_id
from ui.errors import in_plain_words, with_plain_errors
from ui.findings import error_of, with_reasons

MANY = 16  # calls of one endpoint that are answered at once


def run_json(state: runs.RunState) -> dict[str, Any]:
    """Return where a run stands as callers of `/run` get it: metrics are `{name: [[step, value], …]}`."""
    run, produced = state.run, state.produced
    return {
        "run_id": run.id,
        "method": run.method,
        "settings": run.settings,
        "dataset": run.dataset,
        "status": run.status,
        "stage": run.stage,
        "progress": run.progress,
        "metrics": {name: [list(point) for point in points] for name, points in state.metrics.items()},
        "policy_version": produced.version if produced else None,
        "gate": with_reasons(produced.evaluation).get("gate") if produced else None,
        "error": error_of(run, produced),
    }


def policies_json(services: Services) -> dict[str, Any]:
    """Return all versions, newest first, as callers of `/policies` get them."""
    versions = [policies.to_json(policy) for policy in policies.versions(services)]
    judged = [version | {"evaluation": with_reasons(version["evaluation"])} for version in versions]
    return {"live": services.engine.live.version, "policies": judged}


def register(services: Services) -> None:
    """Register the named endpoints on the Blocks being built."""
    _register_compare(services)
    _register_feedback(services)
    admin_endpoints.register(services)
    _register_reading(services)


def _register_compare(services: Services) -> None:
    async def compare_endpoint(  # noqa: PLR0913
        prompt: str,
        columns: list[str] | None = None,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        seed: int | None = None,
        blind: bool = False,
        best_of: int = 1,
        conversation_id: str | None = None,
        continue_from: str | None = None,
        system: str | None = None,
        top_p: float | None = None,
        preview: bool = False,
        instead_of: str | None = None,
        request: gr.Request | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Stream what base, sft and rlhf answer to one prompt; the last item may be voted on and gone on from."""
        try:
            turn = checked(
                CompareRequest,
                prompt=prompt,
                columns=columns,
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                seed=seed,
                blind=blind,
                best_of=best_of,
                conversation_id=conversation_id,
                continue_from=continue_from,
                system=system,
                top_p=top_p,
                preview=preview,
                instead_of=instead_of,
            )
            async for item in compare(services, annotator_id(request), turn):
                yield item.to_json()
        except Exception as error:
            raise in_plain_words(error) from error

    gr.api(compare_endpoint, api_name="compare", concurrency_limit=MANY)


def _register_feedback(services: Services) -> None:
    @with_plain_errors
    def vote_endpoint(
        comparison_id: str,
        choice: str,
        source: str = "human",
        reason: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Store which completion is best: a slot, "tie" or "all_bad"."""
        judgement = checked(VoteRequest, comparison_id=comparison_id, choice=choice, source=source, reason=reason)
        return vote(services, annotator_id(request), judgement).to_json()

    @with_plain_errors
    def withdraw_endpoint(preference_id: int, token: str = "", request: gr.Request | None = None) -> dict[str, Any]:
        """Take back a vote: one's own, or with an admin's token anybody's."""
        withdraw(services, annotator_id(request), checked(WithdrawRequest, preference_id=preference_id), token)
        return {"withdrawn": True}

    @with_plain_errors
    def demonstrate_endpoint(
        prompt: str | list[dict[str, str]],
        completion: str,
        source: str = "human",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Store a completion that a person wrote to a prompt or to messages; the next training begins with it."""
        written = checked(DemonstrateRequest, prompt=prompt, completion=completion, source=source)
        return {"demonstration_id": demonstrate(services, annotator_id(request), written)}

    gr.api(vote_endpoint, api_name="vote", concurrency_limit=MANY)
    gr.api(withdraw_endpoint, api_name="withdraw", concurrency_limit=MANY)
    gr.api(demonstrate_endpoint, api_name="demonstrate", concurrency_limit=MANY)


def _register_reading(services: Services) -> None:
    @with_plain_errors
    def run_endpoint(run_id: int) -> dict[str, Any]:
        """Return where a run stands."""
        return run_json(runs.state(services, checked(RunRequest, run_id=run_id)))

    @with_plain_errors
    def policies_endpoint() -> dict[str, Any]:
        """Return all policy versions, the live one marked by its status."""
        return policies_json(services)

    @with_plain_errors
    def history_endpoint(
        search: str = "",
        limit: int = 50,
        before: str | None = None,
        conversation_id: str | None = None,
        reason: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Return the caller's own conversations with their comparisons and votes, newest first."""
        which = {"search": search, "limit": limit, "before": before, "conversation_id": conversation_id}
        wanted = checked(HistoryRequest, **which, reason=reason)
        return history(services, annotator_id(request), wanted).to_json()

    @with_plain_errors
    def compare_runs_endpoint(run_id: int, other: int) -> dict[str, Any]:
        """Return the settings in which two runs differ, and the last value of each metric of both."""
        found = run_details.both(services, checked(BothRequest, run_id=run_id, other=other))
        return {"settings": found.settings, "metrics": found.metrics}

    gr.api(compare_runs_endpoint, api_name="compare_runs", concurrency_limit=MANY)
    gr.api(history_endpoint, api_name="history", concurrency_limit=MANY)
    gr.api(run_endpoint, api_name="run", concurrency_limit=MANY)
    gr.api(policies_endpoint, api_name="policies", concurrency_limit=MANY)

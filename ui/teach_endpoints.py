"""The named endpoints of teaching: proposals, rankings, the pool of prompts. docs/endpoints.md lists them."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import gradio as gr

from service import pool
from service.again import propose_or_again
from service.changes import changes
from service.context import Services
from service.requests import checked
from service.teach_requests import USUAL, MeasureRequest, ProposeRequest, RankRequest
from service.votes import rank
from ui.annotator import annotator_id
from ui.endpoints import MANY
from ui.errors import in_plain_words, with_plain_errors


def register(services: Services) -> None:
    """Register the named endpoints on the Blocks being built."""
    _register_proposals(services)
    _register_pool(services)


def _register_proposals(services: Services) -> None:
    async def propose_endpoint(
        prompt: str | list[dict[str, str]] | None = None,
        k: int = USUAL,
        temperature: float | None = None,
        max_new_tokens: int | None = None,
        seed: int | None = None,
        request: gr.Request | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """Stream samples of the current policy and its predecessor, names hidden; the last item may be ranked."""
        try:
            wanted = checked(
                ProposeRequest,
                prompt=prompt,
                k=k,
                temperature=temperature,
                max_new_tokens=max_new_tokens,
                seed=seed,
            )
            async for item in propose_or_again(services, annotator_id(request), wanted):
                yield item.to_json()
        except Exception as error:
            raise in_plain_words(error) from error

    @with_plain_errors
    def rank_endpoint(
        comparison_id: str,
        ranking: str,
        source: str = "human",
        reason: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Store which completion is better than which, as in "D > C > A = B"."""
        said = checked(RankRequest, comparison_id=comparison_id, ranking=ranking, source=source, reason=reason)
        return rank(services, annotator_id(request), said).to_json()

    async def measure_endpoint(comparison_id: str, slot: str, request: gr.Request | None = None) -> dict[str, Any]:
        """Return what RLHF changed about an answer: each token's log-probability now and before, and the score."""
        try:
            asked = checked(MeasureRequest, comparison_id=comparison_id, slot=slot)
            return (await changes(services, annotator_id(request), asked.comparison_id, asked.slot)).to_json()
        except Exception as error:
            raise in_plain_words(error) from error

    gr.api(measure_endpoint, api_name="measure", concurrency_limit=MANY)
    gr.api(propose_endpoint, api_name="propose", concurrency_limit=MANY)
    gr.api(rank_endpoint, api_name="rank", concurrency_limit=MANY)


def _register_pool(services: Services) -> None:
    @with_plain_errors
    def prompts_endpoint(token: str, add: str = "", remove: list[int] | None = None) -> dict[str, Any]:
        """Change the pool of prompts that /propose draws from, and return it; an admin's."""
        changed = pool.change(services, token, add, remove)
        return {**asdict(changed), "prompts": [pool.to_json(one) for one in pool.listed(services, token)]}

    gr.api(prompts_endpoint, api_name="prompts")

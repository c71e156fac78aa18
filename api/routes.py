"""All routes beside the page's."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import BaseRoute

from api import adapters
from api.completions import answered
from api.errors import PlainErrors, told
from api.feedback import take
from api.metrics import CONTENT_TYPE, Counted
from api.schemas import ChatAsked, Feedback, TextAsked
from service.annotators import annotator_of
from service.complete import UnknownModelError, served_models, version_hashes
from service.context import Services
from service.keys import InvalidKeyError, identify

HEALTHY = {"ready": 200, "loading": 200, "failed": 503}


def routes(services: Services) -> list[BaseRoute]:
    """Return the routes of OpenAI's API, of health and of metrics."""
    counted = Counted()

    spoken = APIRouter(prefix="/v1", route_class=counting_route(services, counted))

    @spoken.get("/models")
    def models() -> dict[str, Any]:
        hashes = version_hashes(services)
        return {"object": "list", "data": [_model(services, name, hashes) for name in served_models(services)]}

    @spoken.get("/models/{name}")
    def model(name: str) -> Any:
        if name in served_models(services):
            return _model(services, name, version_hashes(services))
        return told(UnknownModelError(f"there is no model {name!r} here; /v1/models lists them"))

    @spoken.post("/chat/completions")
    async def chat(asked: ChatAsked, caller: Request) -> Response:
        return await answered(services, counted, "chat", asked, caller)

    @spoken.post("/completions")
    async def text(asked: TextAsked, caller: Request) -> Response:
        return await answered(services, counted, "text", asked, caller)

    adapters.add_routes(spoken, services)

    @spoken.post("/feedback")
    def feedback(given: Feedback, caller: Request) -> dict[str, Any]:
        return take(services, annotator_of(caller.scope), given)

    @spoken.api_route("/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def nothing_there(rest: str, caller: Request) -> JSONResponse:
        words = f"there is no {caller.method} /v1/{rest} here; docs/endpoints.md lists what there is"
        return JSONResponse(
            {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None}}, 404
        )

    watched = APIRouter()

    @watched.get("/healthz")
    def health() -> JSONResponse:
        state = services.engine.state
        return JSONResponse({"status": state.status, "message": state.message}, HEALTHY[state.status])

    @watched.get("/metrics")
    def metrics() -> Response:
        return Response(counted.page(services), media_type=CONTENT_TYPE)

    return [*spoken.routes, *watched.routes]


def counting_route(services: Services, counted: Counted) -> type[PlainErrors]:
    """Return a class of routes that know callers by their keys and count calls by status."""

    class Counting(PlainErrors):
        """Refuses keys that do not stand, and counts calls by their status."""

        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def counting(request: Request) -> Response:
                needed = services.admission.limits.key_required
                try:
                    await asyncio.to_thread(identify, services, request.scope, needed=needed)
                except InvalidKeyError as error:
                    response: Response = told(error)
                else:
                    response = await handle(request)
                counted.requests.labels(str(response.status_code)).inc()
                return response

            return counting

    return Counting


def _model(services: Services, name: str, hashes: dict[str, str]) -> dict[str, Any]:
    """Return a model as OpenAI lists it; `max_model_len`, the tokens that it reads, as vLLM does.

    `fingerprint` and `sha256` let another Triptych see that it has the same model and the same version, and
    `served_elsewhere` that this one asks a server itself.
    """
    model = services.model
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "triptych",
        "max_model_len": model.max_tokens,
        "fingerprint": model.base_fingerprint if name == "base" else model.fingerprint,
        "sha256": hashes.get(name, ""),
        "served_elsewhere": bool(model.served_by),
    }

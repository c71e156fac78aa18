"""Adapters put in and taken out while the app runs, by the two routes that vLLM has for it."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from service.annotators import annotator_of
from service.complete import served_models
from service.context import Services
from service.roles import require_annotator


class Lent(BaseModel):
    """The body of `/v1/load_lora_adapter`."""

    model_config = ConfigDict(extra="ignore")

    lora_name: str
    lora_path: str


class Returned(BaseModel):
    """The body of `/v1/unload_lora_adapter`."""

    model_config = ConfigDict(extra="ignore")

    lora_name: str


def add_routes(spoken: APIRouter, services: Services) -> None:
    """Add both routes to those of OpenAI's API."""

    @spoken.post("/load_lora_adapter")
    def load(given: Lent, caller: Request) -> dict[str, Any]:
        require_annotator(services, annotator_of(caller.scope))
        taken = [name for name in served_models(services) if name not in services.lent.names]
        services.lent.take(given.lora_name, given.lora_path, taken)
        return {"loaded": given.lora_name}

    @spoken.post("/unload_lora_adapter")
    def unload(given: Returned, caller: Request) -> dict[str, Any]:
        require_annotator(services, annotator_of(caller.scope))
        services.lent.drop(given.lora_name)
        return {"unloaded": given.lora_name}

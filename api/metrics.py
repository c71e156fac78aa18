"""`/healthz`, and `/metrics` in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from service.complete import Completions
from service.context import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Counted:
    """What is counted while the app runs, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("triptych_requests", "Calls of /v1, by status", ["status"], registry=registry)
        self._read = Counter("triptych_prompt_tokens", "Tokens of prompts", ["model"], registry=registry)
        self._written = Counter("triptych_completion_tokens", "Tokens written", ["model"], registry=registry)
        self._live = Gauge("triptych_live_version", "Version of the policy that is live", registry=registry)
        self._votes = Gauge("triptych_new_votes", "Votes that no run has used yet", registry=registry)
        self._ready = Gauge("triptych_model_ready", "1 while the model can answer", registry=registry)
        self._training = Gauge("triptych_training", "1 while a run is open", registry=registry)

    def tokens(self, model: str, held: Completions) -> None:
        """Count the tokens of an answer."""
        self._read.labels(model).inc(held.prompt_tokens)
        self._written.labels(model).inc(sum(one.tokens for one in held.written))

    def page(self, services: Services) -> bytes:
        """Return all figures as they stand, in Prometheus' text format."""
        now = services.status.now()
        self._live.set(now.live)
        self._votes.set(now.new_votes)
        self._ready.set(now.engine.status == "ready")
        self._training.set(now.open_run is not None)
        return bytes(generate_latest(self._registry))

"""Demonstrations: what people write as the answer that the models should have given."""

from alignment.errors import ConfigError
from alignment.models.sampling import Sampling
from alignment.serving.engine import Row
from service.context import Services
from service.requests import DemonstrateRequest, Source, checked
from service.roles import require_annotator
from storage import demonstrations, preferences
from storage.messages import Message, messages_to_json


def demonstrate(services: Services, annotator: str, request: DemonstrateRequest, vote: int | None = None) -> int:
    """Store what the models should have answered and return its id. The same one twice counts once.

    With `vote`, the id of the vote that it is written with, it is taken back with that one.

    Raises ConfigError for one that the model cannot read whole. While the model loads, nobody knows how much it reads;
    what turns out too long is left out by the run.
    """
    require_annotator(services, annotator)
    _require_readable(services, request)
    demonstration_id = demonstrations.save_demonstration(
        services.db,
        messages=request.prompt,
        completion=request.completion,
        annotator_id=annotator,
        source=request.source,
        vote=vote,
    )
    services.status.expire()
    services.preview.votes_changed()  # whoever called all answers to this prompt bad prefers it to them
    return demonstration_id


def demonstrate_for(services: Services, annotator: str, comparison_id: str, completion: str) -> int:
    """Store a completion that a person wrote for what a stored comparison asked and return its id."""
    return demonstrate(services, annotator, request_for(services, comparison_id, completion))


def request_for(
    services: Services, comparison_id: str, completion: str, source: Source = "human"
) -> DemonstrateRequest:
    """Return the demonstration that a completion makes of what a stored comparison asked.

    Raises ConfigError for one that would be refused; nothing is stored.
    """
    prompt = messages_to_json(preferences.get_comparison(services.db, comparison_id).messages)
    request = checked(DemonstrateRequest, prompt=prompt, completion=completion, source=source)
    _require_readable(services, request)
    return request


def _require_readable(services: Services, request: DemonstrateRequest) -> None:
    turns = (*request.prompt, Message("assistant", request.completion))
    limits = services.engine.limits(Row(turns, services.sft, True, Sampling(), 0))
    if limits is not None and limits.prompt_tokens > limits.context_tokens:
        raise ConfigError(
            f"prompt and completion need {limits.prompt_tokens:,} tokens, this model reads "
            f"{limits.context_tokens:,}; shorten them"
        )

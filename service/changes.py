"""What RLHF changed: how probable a policy's answer is to it, token by token, and to the instruction-tuned model."""

import asyncio
from dataclasses import asdict, dataclass
from reprlib import repr as brief
from typing import Any

from alignment.errors import ConfigError
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from service.compare import column_named, stored_comparison
from service.context import Services
from service.conversations import shown_to
from service.roles import require_annotator


@dataclass(frozen=True)
class Token:
    """A token of an answer. Log-probabilities are natural ones, at temperature 1."""

    text: str  # "" for one that ends the answer or is part of a character
    log_prob: float  # by the policy that wrote it
    reference: float  # by the instruction-tuned model

    @property
    def change(self) -> float:
        """By how much RLHF raised its log-probability, in nats; below 0 it lowered it."""
        return self.log_prob - self.reference


@dataclass(frozen=True)
class Changes:
    """What RLHF changed about an answer."""

    version: int  # of the policy that wrote it
    tokens: tuple[Token, ...]
    score: float | None  # by the votes so far; None while there are too few
    deviation: float | None  # standard deviation of the score
    votes: int  # that it goes by

    @property
    def total(self) -> float:
        """By how much RLHF raised the log-probability of the whole answer, in nats."""
        return sum(token.change for token in self.tokens)

    def to_json(self) -> dict[str, Any]:
        """Return it as callers of `/measure` get it."""
        return asdict(self) | {"total": self.total}


async def changes(services: Services, annotator: str, comparison_id: str, slot: object) -> Changes:
    """Return what RLHF changed about the answer in a slot of a stored comparison.

    Raises ConfigError for an answer that no policy wrote, or whose name is still hidden; AccessError for a viewer;
    StorageError, a LookupError, for a comparison that there is not.
    """
    await asyncio.to_thread(require_annotator, services, annotator)
    comparison = await asyncio.to_thread(stored_comparison, services, comparison_id)
    shown = await asyncio.to_thread(shown_to, services, annotator, comparison)
    one = next((one for one in shown if one.slot == slot), None)
    if one is None:
        raise ConfigError(f"slot must be one of {', '.join(one.slot for one in shown)}, got {brief(slot)}")
    if one.role is None:
        raise ConfigError(f"who wrote {one.slot} is hidden until you vote; vote first")
    if one.role != "rlhf" or one.policy_version is None:
        raise ConfigError(f"{one.slot} was not written by an RLHF version; name the slot of one that was")
    if not one.text:
        raise ConfigError(f"{one.slot} has no word to measure; name the slot of another answer")
    column = await asyncio.to_thread(column_named, services, f"v{one.policy_version}", Sampling())
    reference = (column.policy.sft if column.policy else None) or services.sft
    text = Text(comparison.messages, one.text, one.finish_reason == "stop")
    measured = await asyncio.wrap_future(services.engine.measure([text], [column.adapter, reference]))
    found = await asyncio.wrap_future(services.engine.features([text]))
    scored = await asyncio.to_thread(services.preview.score, found)
    values = zip(measured.tokens[0], measured.log_probs[0][0], measured.log_probs[1][0], strict=True)
    tokens = tuple(Token(piece, round(float(own), 4), round(float(other), 4)) for piece, own, other in values)
    score, deviation, votes = scored or (None, None, 0)
    return Changes(one.policy_version, tokens, score, deviation, votes)

"""Which checks a run's gate asks, and how long the answers to them get. No torch here."""

from collections.abc import Sequence
from dataclasses import dataclass

from alignment.models import shipped_files
from alignment.models.shipped_files import Check
from alignment.settings import GENERAL, ModelConfig
from storage.records import OwnCheck

EVERY = 3  # one general check in so many is asked: parent and candidate of 135M parameters take half a minute
ANSWER_TOKENS = 48  # of an answer to one: enough to see a fact, a refusal, or that help begins


@dataclass(frozen=True)
class GateChecks:
    """Checks, with the most tokens of an answer to one of them."""

    checks: Sequence[Check]
    max_new_tokens: int


def gate_checks(model: ModelConfig) -> GateChecks:
    """Return the checks that ship with a model, answered at its own length; for a model without any, general ones."""
    if own := shipped_files.checks(model.model):
        return GateChecks(own, model.rollout_tokens)
    general = shipped_files.checks(GENERAL)[::EVERY]
    return GateChecks(general, min(ANSWER_TOKENS, model.rollout_tokens))


def own_check(stored: OwnCheck) -> Check:
    """Return an admin's check as the gate asks it."""
    return Check(stored.messages, "own", stored.holds, stored.lacks)

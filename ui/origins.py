"""What a question goes on from: nothing, a preferred or picked answer, or the turn before one it replaces."""

from dataclasses import dataclass, field

from alignment.errors import ConfigError
from service.compare import stored_comparison
from service.context import Services
from service.conversations import PastTurn, last_turn, past_turn, turns_before
from storage.records import Comparison
from ui import strings
from ui.compare_form import Question
from ui.compare_view import NOTHING, Remembered, system_of


class WentOnError(Exception):
    """The conversation has a later turn than the one shown: it went on in another window, or past a reload."""

    def __init__(self, last: Comparison) -> None:
        super().__init__(strings.WENT_ON)
        self.last = last


@dataclass(frozen=True)
class Origin:
    """What a question goes on from."""

    arguments: dict[str, str] = field(default_factory=dict)  # that `/compare` takes for it
    system: str = ""  # message to the models
    before: tuple[PastTurn, ...] = ()  # turns that stand above it
    kept: Remembered = NOTHING  # what a reload, a stop or a failure leads back to


def origin_of(
    services: Services, annotator: str, memory: Remembered, question: Question, *, example: bool, again: bool
) -> Origin:
    """Return what a question goes on from; with `again` it is asked in place of the turn that is shown.

    Raises ConfigError where people have to say first which answer to go on from, WentOnError where the turn shown is
    not the last one any more.
    """
    begins = example or not memory.comparison or memory.shared or not question.prompt.strip()
    replaced = memory.comparison if again else memory.editing
    if replaced and not begins:
        comparison = stored_comparison(services, replaced)
        before = turns_before(services, annotator, comparison)
        return Origin({"instead_of": replaced}, system_of(comparison), before, memory)
    if begins or (memory.example and not memory.origin):  # an empty prompt is refused, whatever it goes on from
        return Origin(system=question.new_system or "")
    comparison = stored_comparison(services, memory.comparison)
    if comparison.conversation_id is None:  # it was asked before there were conversations
        return Origin(system=question.new_system or "")
    try:
        last = last_turn(services, annotator, comparison.conversation_id)
    except LookupError:
        raise ConfigError(strings.NOT_YOURS) from None
    if last.id != comparison.id:
        raise WentOnError(last)
    if not memory.origin:
        raise ConfigError(strings.PICK_FIRST)
    return Origin(
        {"conversation_id": comparison.conversation_id, "continue_from": memory.origin},
        system_of(comparison),
        (*turns_before(services, annotator, comparison), past_turn(services, annotator, comparison, memory.origin)),
        memory,
    )

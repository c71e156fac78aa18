"""What a new visitor sees before anything was asked: a recorded example, where the model has one."""

from collections.abc import Sequence
from datetime import date

from service.context import Services
from service.requests import ROLES
from ui import strings
from ui.column import Here, turns
from ui.compare_form import CompareTab
from ui.compare_view import Update, empty_view, view
from ui.render import notice


def first_view(services: Services, tab: CompareTab, columns: Sequence[str] = ROLES) -> Update:
    """Return the tab as a new visitor sees it. Nothing is asked by itself.

    `columns` are those that were chosen before; a recorded example answers in the usual ones.
    """
    state, example = services.engine.state, services.recorded
    if state.status == "failed":
        return empty_view(services, tab, notice(state.message, "away"), hint="", columns=columns)
    if example is None or tuple(columns) != ROLES:
        return empty_view(services, tab, columns=columns)
    day = date.fromisoformat(example.recorded)
    words = notice(strings.RECORDED.format(day=strings.day(day)))
    column = turns(services.model, question=example.prompt, here=Here(tag=strings.RECORDED_TAG))
    return view(services, tab, example.shown, "idle", words) | {tab.turns: column}

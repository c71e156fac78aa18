"""The leaderboard: ratings with intervals, who is preferred to whom, votes over time, and which votes count for it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from alignment.errors import ConfigError
from service.context import ServedModel, Services
from service.leaderboard import Leaderboard, LeaderboardRequest, Standing, leaderboard
from service.people import named_people
from service.pool import topics
from service.requests import checked
from ui import strings
from ui.annotator import annotator_id
from ui.errors import sentence
from ui.events import QUIET
from ui.render import notice, render

FEW_VOTES = 10
MOST_DAYS = 120  # bars; the latest


@dataclass(frozen=True)
class Row:
    """A model as the table and the intervals show it."""

    standing: Standing
    name: str
    left: float  # ends of the interval and the rating, in percent of the axis
    right: float
    place: float


def shown(services: Services, caller: str, token: str | None, **votes: Any) -> str:
    """Return the leaderboard of some votes as HTML, or why it cannot be shown."""
    try:
        if votes["own"] and votes["annotator"]:
            raise ConfigError(strings.MINE_OR_WHOSE)
        request = checked(LeaderboardRequest, **votes)
        found = leaderboard(services, caller, request, token)
        return drawn(found, services.model, chosen=request != LeaderboardRequest())
    except Exception as error:
        return notice(sentence(error), "error")


def drawn(board: Leaderboard, model: ServedModel, *, chosen: bool = False) -> str:
    """Return a leaderboard as HTML; `chosen` says that it is of some votes only."""
    days = board.days[-MOST_DAYS:]
    return render(
        "leaderboard",
        board=board,
        chosen=chosen,
        rows=_rows(board, model),
        few=board.judging < FEW_VOTES,
        days=days,
        most=max((votes for _, votes in days), default=1),
    )


def _rows(board: Leaderboard, model: ServedModel) -> list[Row]:
    low = min((one.low for one in board.standings), default=0.0)
    span = max((one.high for one in board.standings), default=1.0) - low or 1.0

    def at(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    return [Row(one, name_of(one, model), at(one.low), at(one.high), at(one.rating)) for one in board.standings]


def name_of(one: Standing, model: ServedModel) -> str:
    """Return what a model is called."""
    if one.role == "base" and model.shape == "chat":
        return strings.RAW_NAME
    name = strings.NAMES[one.role]
    return name if one.version is None else strings.NAME_AND_VERSION.format(name=name, version=one.version)


def topic_choices(services: Services) -> list[tuple[str, str]]:
    """Return the kinds of questions to choose from, all of them first."""
    return [(strings.ANY_QUESTION, ""), *((name, name) for name in topics(services))]


def people_choices(services: Services, token: str | None) -> list[tuple[str, str]]:
    """Return the people whose votes may be looked at alone, everybody first: to whom is no admin, nobody is named."""
    named = named_people(services, token) if services.admin.is_valid(token) else []
    shown = (strings.NAME_AND_PSEUDONYM.format(name=name, pseudonym=one) if name else one for one, name in named)
    return [(strings.EVERYBODY, ""), *zip(shown, (one for one, _ in named), strict=True)]


def build(services: Services, tab: Any, token: Any) -> None:
    """Build the tab; it is drawn whenever it is opened or another choice is made."""

    def look(
        held: str | None, source: str, asked: str, topic: str, who: str, blind: bool, own: bool, caller: gr.Request
    ) -> str:
        votes = {"source": source, "asked": asked, "topic": topic or None, "blind": blind, "own": own}
        return shown(services, annotator_id(caller), held, **votes, annotator=who or None)

    def opened(held: str | None) -> list[Any]:
        people = people_choices(services, held)
        known = {"visible": True} if len(people) > 1 else {"visible": False, "value": ""}
        return [gr.update(choices=topic_choices(services)), gr.update(choices=people, **known)]

    with gr.Row(elem_id="which-votes"):
        source = gr.Dropdown(
            [(name, key) for key, name in strings.VOTE_SOURCES.items()],
            value="all",
            label=strings.WHICH_VOTES,
            filterable=False,
        )
        asked = gr.Dropdown(
            [(name, key) for key, name in strings.PLACES_ASKED.items()],
            value="all",
            label=strings.WHERE_ASKED,
            filterable=False,
        )
        topic = gr.Dropdown([(strings.ANY_QUESTION, "")], value="", label=strings.WHICH_QUESTIONS, elem_id="topic")
        who = gr.Dropdown([(strings.EVERYBODY, "")], value="", label=strings.GIVEN_BY, visible=False, elem_id="whose")
        blind = gr.Checkbox(label=strings.ONLY_BLIND, elem_id="only-blind")
        own = gr.Checkbox(label=strings.ONLY_OWN, elem_id="only-own")
    board = gr.HTML(apply_default_css=False, elem_id="leaderboard")
    choices = [source, asked, topic, who, blind, own]
    wanted = [token, *choices]
    gr.on([one.input for one in choices], look, wanted, board, **QUIET)
    tab.select(opened, token, [topic, who], **QUIET).then(look, wanted, board, **QUIET)

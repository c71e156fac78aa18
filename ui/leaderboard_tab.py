"""The leaderboard: ratings with intervals, who is preferred to whom, votes over time, and which votes count for it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from service.context import ServedModel, Services
from service.leaderboard import Leaderboard, LeaderboardRequest, Standing, leaderboard
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


def shown(services: Services, annotator: str, source: str, asked: str, blind: bool, own: bool) -> str:
    """Return the leaderboard of some votes as HTML, or why it cannot be shown."""
    try:
        request = checked(LeaderboardRequest, source=source, asked=asked, blind=blind, own=own)
        return drawn(leaderboard(services, annotator, request), services.model)
    except Exception as error:
        return notice(sentence(error), "error")


def drawn(board: Leaderboard, model: ServedModel) -> str:
    """Return a leaderboard as HTML."""
    days = board.days[-MOST_DAYS:]
    return render(
        "leaderboard",
        board=board,
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


def build(services: Services, tab: Any) -> None:
    """Build the tab; it is drawn whenever it is opened or another choice is made."""

    def look(source: str, asked: str, blind: bool, own: bool, caller: gr.Request) -> str:
        return shown(services, annotator_id(caller), source, asked, blind, own)

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
        blind = gr.Checkbox(label=strings.ONLY_BLIND, elem_id="only-blind")
        own = gr.Checkbox(label=strings.ONLY_OWN, elem_id="only-own")
    board = gr.HTML(apply_default_css=False, elem_id="leaderboard")
    choices = [source, asked, blind, own]
    gr.on([tab.select, *(one.input for one in choices)], look, choices, board, **QUIET)

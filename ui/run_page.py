"""The page of one run: how it went, its settings, what it learned from, its log; and two runs side by side."""

from dataclasses import astuple, dataclass
from typing import Any

from service.run_details import Both, Rows, used
from service.runs import RunState
from service.settings_form import sections, shown
from service.status import Snapshot
from storage.records import Metric, Run
from ui import strings, training_plots, training_view
from ui.findings import status_words
from ui.plots import digits
from ui.render import render


@dataclass(frozen=True)
class Inside:
    """What an admin alone sees of a run."""

    rows: Rows
    log: str


@dataclass(frozen=True)
class Differs:
    """A setting or a metric of two runs."""

    name: str
    one: str
    other: str


@dataclass(frozen=True)
class RunParts:
    """The page of a run, part by part: while it goes on, those are written anew that have changed."""

    top: str
    head: str  # what it does, or how it ended
    curves: str
    verdict: str
    learned: str  # from which rows
    log: str
    settings: str  # as they were used, and the form to run it again

    @property
    def all(self) -> tuple[str, ...]:
        """All parts, from top to bottom."""
        return astuple(self)


def parts(state: RunState, now: Snapshot, inside: Inside | None) -> RunParts:
    """Return the page of a run; the curves and the check of the latest one stand on the tab already."""
    run = state.run
    others = [one.id for one in now.runs if one.id != run.id]
    on_tab = now.latest_run is not None and now.latest_run.id == run.id
    return RunParts(
        top=render(
            "run_page_top",
            run=run,
            status=status_words(run, state.produced),
            others=others,
            may_cancel=inside is not None and state.may_cancel,
            may_resume=inside is not None and state.may_resume,
        ),
        head=training_view.head(run, state.produced, now.live, loaded=now.engine.status == "ready"),
        curves=render("aside", words=strings.STANDS_ABOVE) if on_tab else training_plots.plots(metrics_of(state)),
        verdict=training_view.verdict(state.produced) if state.produced and not on_tab else "",
        learned=render(
            "run_learned",
            inside=inside,
            dataset=dataset_words(run),
            same=same_words(inside.rows) if inside else "",
        ),
        log=render("run_log", inside=inside) if inside else "",
        settings=render(
            "run_page",
            run=run,
            settings=[Differs(name, shown(value), "") for name, value in used(run).items()],
            inside=inside,
            sections=sections(run.settings) if inside else [],
            methods=list(strings.METHODS.items()),
        ),
    )


def metrics_of(state: RunState) -> list[Metric]:
    """Return what a run measured, one by one."""
    return [Metric(step, name, value) for name, points in state.metrics.items() for step, value in points]


def dataset_words(run: Run) -> str:
    """Return how much a run learned from, and its hash."""
    if run.dataset is None:
        return strings.DATASET_UNKNOWN
    told: dict[str, Any] = {"shipped": 0, "demonstrations": 0, **run.dataset}
    return strings.DATASET.format(
        votes=strings.votes(told["votes"]),
        demonstrations=told["demonstrations"],
        shipped=told["shipped"],
        sha256=told["sha256"],
    )


def same_words(rows: Rows) -> str:
    """Return whether what a run learned from still stands as it was."""
    gone = rows.claimed - rows.standing
    if gone:
        return strings.ROWS_GONE.format(gone=gone, claimed=rows.claimed)
    return {True: strings.ROWS_SAME, False: strings.ROWS_CHANGED, None: ""}[rows.same]


def side_by_side(both: Both) -> str:
    """Return what differs between two runs, their last measurements, and their curves in one plot each."""
    settings = [Differs(name, _said(one), _said(other)) for name, (one, other) in both.settings.items()]
    metrics = [Differs(name, _measured(one), _measured(other)) for name, (one, other) in both.metrics.items()]
    return render(
        "runs_compared",
        one=both.one.run.id,
        other=both.other.run.id,
        settings=settings,
        metrics=metrics,
        plots=training_plots.together(both.one.metrics, both.other.metrics, both.other.run.id),
    )


def _said(value: Any) -> str:
    return shown(value) or strings.NOT_KNOWN


def _measured(value: float | None) -> str:
    if value is None:
        return strings.NOT_KNOWN
    return f"{value:,.0f}" if value.is_integer() else digits(value)

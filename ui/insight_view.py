"""What training did, over all versions, as HTML: plots, how diverse answers are, what the reward model likes."""

from collections.abc import Iterator
from dataclasses import dataclass

from alignment.runs.records import Spread
from service.context import Services
from service.insight import Insight, VersionInsight, insight
from ui import strings
from ui.plots import SHARES, Plot, Point
from ui.render import render

KINDS = ("like", "unlike")


@dataclass(frozen=True)
class Breadth:
    """A model's answers as the table shows them."""

    role: str
    name: str
    within: str  # on prompts like those voted on, and on others
    across: str
    preferred: str
    facts: str


def shown(services: Services, token: str | None) -> str:
    """Return what training did as HTML; whoever holds a token that stands also sees texts."""
    found = insight(services, token if services.admin.is_valid(token) else None)
    measured = [one for one in found.versions if one.kl is not None or one.spreads]
    rows = list(_rows(found, services.model.shape == "chat"))
    plots = [plot for plot in _plots(measured) if plot.points]
    return render("insight", insight=found, plots=plots, rows=rows)


def _plots(versions: list[VersionInsight]) -> list[Plot]:
    by_kl = sorted(
        (one for one in versions if one.kl is not None and one.gain is not None), key=lambda one: one.kl or 0
    )
    against = Plot(
        *strings.PLOT_REWARD_AGAINST_KL,
        "rlhf",
        [(one.kl or 0.0, one.gain or 0.0) for one in by_kl],
        strings.KL_AXIS,
        names=[strings.ONE_OF_VERSIONS.format(version=one.version) for one in by_kl],
    )
    promised = [(float(one.version), one.promised) for one in versions if one.promised is not None]
    told = [(one.version, one.people) for one in versions if one.people is not None]
    half = 0.5, strings.EVEN_ODDS
    return [
        against,
        Plot(*strings.PLOT_PROMISED, "reward", promised, strings.VERSION_AXIS, limits=SHARES, reference=half),
        Plot(
            *strings.PLOT_PEOPLE,
            "rlhf",
            [(float(version), share) for version, (share, _, _) in told],
            strings.VERSION_AXIS,
            [(float(version), low) for version, (_, low, _) in told],
            [(float(version), high) for version, (_, _, high) in told],
            SHARES,
            half,
            strings.INTERVAL.format(low=told[-1][1][1], high=told[-1][1][2]) if told else "",
        ),
        Plot(*strings.PLOT_WITHIN, "rlhf", _series(versions, "within"), strings.VERSION_AXIS),
    ]


def _series(versions: list[VersionInsight], name: str) -> list[Point]:
    """Return a figure of each version's answers to prompts like those voted on, where it was measured."""
    return [(float(one.version), getattr(one.spreads["like"], name)) for one in versions if "like" in one.spreads]


def _rows(found: Insight, raw: bool) -> Iterator[Breadth]:
    names = strings.NAMES | ({"base": strings.RAW_NAME} if raw else {})
    for role, spreads in sorted(found.references.items()):
        yield _breadth(role, names[role], spreads, None)
    for one in found.versions:
        if one.spreads:
            name = strings.NAME_AND_VERSION.format(name=strings.NAMES["rlhf"], version=one.version)
            yield _breadth("rlhf", name, one.spreads, one.accuracy)


def _breadth(role: str, name: str, spreads: dict[str, Spread], facts: float | None) -> Breadth:
    def figures(field: str, shape: str) -> str:
        values = [getattr(spreads[kind], field) if kind in spreads else None for kind in KINDS]
        like, unlike = ("–" if value is None else shape.format(value) for value in values)
        return strings.LIKE_AND_UNLIKE.format(like=like, unlike=unlike)

    return Breadth(
        role,
        name,
        figures("within", "{:.2f}"),
        figures("across", "{:.2f}"),
        figures("preferred", "{:.0%}") if role == "rlhf" else "–",
        "–" if facts is None else f"{facts:.0%}",
    )

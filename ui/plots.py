"""Line plots as HTML and SVG: no script, no fonts from elsewhere, colours from the page's own style."""

from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]


@dataclass(frozen=True)
class Plot:
    """One quantity over the steps of a run."""

    title: str
    hint: str  # what the number means
    role: str  # whose colour it has: "sft", "rlhf" …
    points: list[Point]
    step_name: str  # what a step is
    low: list[Point] = field(default_factory=list)  # lower and upper end of an interval, where there is one
    high: list[Point] = field(default_factory=list)
    limits: tuple[float, float] | None = None  # of the vertical axis; else they follow the points
    reference: tuple[float, str] | None = None  # a dashed line and what it means
    note: str = ""  # beside the last value, as "81 to 92 %, 143 votes"


def draw(plot: Plot) -> str:
    """Return the plot as a figure; without points it says that nothing is measured yet."""
    last = f"<b>{_number(plot.points[-1][1])}</b>" if plot.points else "<b>–</b>"
    note = f" <small>{escape(plot.note)}</small>" if plot.note and plot.points else ""
    caption = f"<figcaption><h3>{escape(plot.title)}</h3>{last}{note}<span>{escape(plot.hint)}</span></figcaption>"
    body = _body(plot) if plot.points else '<div class="empty">not measured yet</div>'
    return f'<figure class="plot" data-role="{plot.role}">{caption}{body}</figure>'


def _body(plot: Plot) -> str:
    low, high = plot.limits or _limits([y for _, y in (*plot.points, *plot.low, *plot.high)])
    first, end = plot.points[0][0], plot.points[-1][0]

    def place(point: Point) -> Point:
        x = (point[0] - first) / (end - first) * 100 if end > first else 50.0
        return round(x, 2), round(100 - (min(max(point[1], low), high) - low) / (high - low) * 100, 2)

    marks = "".join(f'<line class="grid" x1="0" x2="100" y1="{y}" y2="{y}"/>' for y in (0, 50, 100))
    if plot.reference:
        y = place((first, plot.reference[0]))[1]
        marks += f'<line class="reference" x1="0" x2="100" y1="{y}" y2="{y}"/>'
    marks += _interval([place(p) for p in plot.low], [place(p) for p in plot.high])
    line = [place(point) for point in plot.points]
    marks += f'<polyline points="{_path(line)}"/>'
    marks += "".join(
        f'<rect x="{x - 50 / len(line):.2f}" y="0" width="{100 / len(line):.2f}" height="100">'
        f"<title>{escape(plot.step_name)} {step:g}: {_number(value)}</title></rect>"
        for (x, _), (step, value) in zip(line, plot.points, strict=True)
    )
    spoken = f"{plot.title}: {_number(plot.points[0][1])} at first, {_number(plot.points[-1][1])} at last"
    label = f'<span class="means">- - {escape(plot.reference[1])}</span>' if plot.reference else ""
    return (
        f'<div class="frame"><div class="y"><span>{_number(high)}</span><span>{_number((low + high) / 2)}</span>'
        f'<span>{_number(low)}</span></div><div class="area">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(spoken)}">{marks}</svg>'
        f'<i style="left:{line[-1][0]}%;top:{line[-1][1]}%"></i></div></div>'
        f'<div class="x"><span>{escape(plot.step_name)} {first:g}</span>{label}<span>{end:g}</span></div>'
    )


def _interval(low: list[Point], high: list[Point]) -> str:
    if not low or len(low) != len(high):
        return ""
    if len(low) == 1:
        return f'<line class="whisker" x1="{low[0][0]}" x2="{low[0][0]}" y1="{low[0][1]}" y2="{high[0][1]}"/>'
    return f'<polygon points="{_path([*low, *reversed(high)])}"/>'


def _path(points: list[Point]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _limits(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.5 or 1.0
    return (0.0 if 0 <= low < margin * 4 else low - margin), high + margin


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

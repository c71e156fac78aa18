"""Line plots as HTML and SVG: no script, no fonts from elsewhere, colours from the page's own style."""

from dataclasses import dataclass, field
from functools import partial

from ui import strings

Point = tuple[float, float]
SHARES = (0.0, 1.0)  # limits of a plot of shares


@dataclass(frozen=True)
class Spot:
    """A strip of the plot that names its value when it is pointed at."""

    x: str
    width: str
    words: str


@dataclass(frozen=True)
class Shape:
    """Where the marks of a plot lie, in percent of its area from the left and from the top."""

    top: str  # labels of the vertical axis
    middle: str
    bottom: str
    first_step: str
    last_step: str
    label: str  # read out instead of the picture
    line: str  # points of a polyline
    end: Point
    spots: list[Spot]
    reference: float | None = None
    band: str = ""  # points of the polygon between the ends of an interval
    whisker: tuple[Point, Point] | None = None  # the same where there is only one step
    second: str = ""  # points of the dashed polyline


@dataclass(frozen=True)
class Plot:
    """One quantity over the steps of a run."""

    title: str
    hint: str  # what the number means
    role: str  # whose colour it has: "sft", "rlhf" …
    points: list[Point]  # (step, value)
    step_name: str  # what a step is
    low: list[Point] = field(default_factory=list)  # lower and upper end of an interval, where there is one
    high: list[Point] = field(default_factory=list)
    limits: tuple[float, float] | None = None  # of the vertical axis; else they follow the points
    reference: tuple[float, str] | None = None  # a dashed line and what it means
    note: str = ""  # beside the last value, as "81 to 92 %, 143 votes"
    names: list[str] = field(default_factory=list)  # of the points, where their step does not name them
    second: list[Point] = field(default_factory=list)  # another run's, dashed
    second_means: str = ""

    @property
    def last(self) -> str:
        """The last value in a few digits, a dash where nothing is measured."""
        return self.told(self.points[-1][1]) if self.points else "–"

    def told(self, value: float) -> str:
        """Return a value as the plot writes it: a share in percent, like the interval beside it."""
        return f"{value:.0%}" if self.limits == SHARES else digits(value)

    @property
    def shape(self) -> Shape | None:
        """Where the marks lie, None where nothing is measured."""
        return _shape(self) if self.points else None


def digits(value: float) -> str:
    """Return a number in about three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _step(value: float) -> str:
    """Return where an axis begins or ends: a number of steps as it is, a measure such as the KL in a few digits."""
    return f"{value:g}" if value == int(value) else digits(value)


def _shape(plot: Plot) -> Shape:
    reference = [plot.reference[0]] if plot.reference else []
    drawn = (*plot.points, *plot.low, *plot.high, *plot.second)
    bottom, top = plot.limits or _limits([y for _, y in drawn] + reference)
    steps = [x for x, _ in (*plot.points, *plot.second)]
    first, last = min(steps), max(steps)

    def place(point: Point) -> Point:
        x = (point[0] - first) / (last - first) * 100 if last > first else 50.0
        return round(x, 2), round(100 - (min(max(point[1], bottom), top) - bottom) / (top - bottom) * 100, 2)

    line = [place(point) for point in plot.points]
    low, high = [place(point) for point in plot.low], [place(point) for point in plot.high]
    paired = len(low) == len(high)
    return Shape(
        top=plot.told(top),
        middle=plot.told((bottom + top) / 2),
        bottom=plot.told(bottom),
        first_step=_step(first),
        last_step=_step(last),
        label=strings.PLOT_IN_WORDS.format(
            title=plot.title, first=plot.told(plot.points[0][1]), last=plot.told(plot.points[-1][1])
        ),
        line=_path(line),
        end=line[-1],
        spots=_spots(plot, line),
        reference=place((first, plot.reference[0]))[1] if plot.reference else None,
        band=_path([*low, *reversed(high)]) if paired and len(low) > 1 else "",
        whisker=(low[0], high[0]) if paired and len(low) == 1 else None,
        second=_path([place(point) for point in plot.second]),
    )


def _spots(plot: Plot, line: list[Point]) -> list[Spot]:
    named = partial(strings.SPOT.format, step_name=plot.step_name)
    words = [named(step=step, value=plot.told(value)) for step, value in plot.points]
    if plot.names:
        words = [strings.NAMED_SPOT.format(name=name, words=own) for name, own in zip(plot.names, words, strict=True)]
    return [
        Spot(f"{x - 50 / len(line):.2f}", f"{100 / len(line):.2f}", own)
        for (x, _), own in zip(line, words, strict=True)
    ]


def _path(points: list[Point]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _limits(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or abs(high) * 0.5 or 1.0
    return (0.0 if 0 <= low < margin * 4 else low - margin), high + margin

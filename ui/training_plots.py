"""The plots of a run, in the order of the questions: does the reward model agree with people, does the score rise, at
what KL.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alignment.settings import PREVIEW_SAMPLES
from storage.records import Metric
from ui import strings
from ui.plots import SHARES, Plot, Point
from ui.render import render

Series = dict[str, list[Point]]  # (step, value) by the name of the metric
Measured = Mapping[str, Sequence[tuple[int, float]]]  # the same, as services return it


@dataclass(frozen=True)
class Agreement:
    """How far the reward model can be trusted, in words, or that this is not known yet."""

    words: str
    known: bool


def plots(metrics: Iterable[Metric]) -> str:
    """Return the plots of a run as HTML, with a sentence on the reward model before them.

    A run by DPO has neither reward model nor score: there it is the policy itself that should agree with the votes.
    """
    series: Series = {}
    for metric in sorted(metrics, key=lambda one: one.step):  # a resumed run measures some steps again
        series.setdefault(metric.name, []).append((metric.step, metric.value))
    by_pairs = "dpo/loss" in series
    wanted = [*_of_tuning(series), *(_of_pairs(series) if by_pairs else _of_reward_model(series)), _kl(series)]
    agreement = None if by_pairs or not series else _agreement(series)
    return render("plots", agreement=agreement, plots=wanted if series else [])


def together(one: Measured, other: Measured, name: int) -> list[Plot]:
    """Return a plot of what both of two runs measured; the line of the other one, of this number, is dashed."""
    known = {
        "reward/loss": (strings.PLOT_REWARD_LOSS, "reward", strings.STEP),
        "dpo/loss": (strings.PLOT_DPO_LOSS, "rlhf", strings.STEP),
        "objective/score": (strings.PLOT_SCORE, "rlhf", strings.UPDATE),
        "objective/kl": (strings.PLOT_KL, "rlhf", strings.UPDATE),
    }
    means = strings.DASHED_IS.format(run=name)
    return [
        Plot(*title, role, [*one[metric]], step, second=[*other[metric]], second_means=means)
        for metric, (title, role, step) in known.items()
        if one.get(metric) and other.get(metric)
    ]


def _of_tuning(series: Series) -> list[Plot]:
    if "sft/loss" not in series:
        return []
    return [Plot(*strings.PLOT_TUNING, "sft", series["sft/loss"], strings.STEP)]


def _of_reward_model(series: Series) -> list[Plot]:
    """Return the plots of a reward model and of what pleased it; a linear one is fitted at once, without steps."""
    low, high, votes = (series.get(f"reward/heldout_{end}", []) for end in ("low", "high", "votes"))
    note = strings.INTERVAL.format(low=low[-1][1], high=high[-1][1]) if low and high else ""
    note += f", {strings.votes(round(votes[-1][1]))}" if votes else ""
    return [
        Plot(
            *strings.PLOT_ACCURACY,
            "reward",
            series.get("reward/heldout_accuracy", []),
            strings.STEP,
            low,
            high,
            SHARES,
            (0.5, strings.CHANCE),
            note,
        ),
        *_of_steps(series.get("reward/loss", [])),
        _score(series),
    ]


def _of_steps(loss: list[Point]) -> list[Plot]:
    if not loss:
        return []
    return [Plot(*strings.PLOT_REWARD_LOSS, "reward", loss, strings.STEP, reference=(0.693, strings.KNOWS_NOTHING))]


def _score(series: Series) -> Plot:
    """Return the plot of the score, beside what the preview showed before: the best of a few answers of the parent."""
    scores, previews = series.get("objective/score", []), series.get("objective/preview", [])
    if not scores or not previews:
        return Plot(*strings.PLOT_SCORE, "rlhf", scores, strings.UPDATE)
    (_, first), (_, last), (_, preview) = scores[0], scores[-1], previews[0]
    note = strings.CAUGHT_UP.format(share=(last - first) / (preview - first)) if preview > first else ""
    reference = preview, strings.PREVIEW_BEFORE.format(samples=PREVIEW_SAMPLES)
    return Plot(*strings.PLOT_SCORE, "rlhf", scores, strings.UPDATE, reference=reference, note=note)


def _of_pairs(series: Series) -> list[Plot]:
    return [
        Plot(
            *strings.PLOT_PAIRS,
            "rlhf",
            series.get("dpo/accuracy", []),
            strings.STEP,
            limits=SHARES,
            reference=(0.5, strings.CHANCE),
        ),
        Plot(
            *strings.PLOT_DPO_LOSS,
            "rlhf",
            series.get("dpo/loss", []),
            strings.STEP,
            reference=(0.693, strings.KNOWS_NOTHING),
        ),
        Plot(*strings.PLOT_MARGIN, "rlhf", series.get("dpo/margin", []), strings.STEP),
    ]


def _kl(series: Series) -> Plot:
    return Plot(*strings.PLOT_KL, "rlhf", series.get("objective/kl", []), strings.UPDATE)


def _agreement(series: Series) -> Agreement:
    names = ("accuracy", "low", "high", "votes", "log_loss", "confidence", "calibration_error")
    known = {name: found[-1][1] for name in names if (found := series.get(f"reward/heldout_{name}"))}
    if len(known) < len(names):
        return Agreement(strings.AGREEMENT_UNKNOWN, known=False)
    doubt = strings.AGREEMENT_BY_CHANCE if known["low"] <= 0.5 else ""
    votes = strings.votes(round(known.pop("votes")))
    apart = strings.points(round(known.pop("calibration_error") * 100))
    return Agreement(strings.AGREEMENT.format(votes=votes, doubt=doubt, apart=apart, **known), known=True)

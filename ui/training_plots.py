"""The plots of a run, in the order of the questions: does the reward model agree with people, does the score rise, at
what KL.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.records import Metric
from ui.plots import Plot, Point
from ui.render import render
from ui.words import counted

Series = dict[str, list[Point]]  # (step, value) by the name of the metric


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
    return render("plots", agreement=None if by_pairs else _agreement(series), plots=wanted)


def _of_tuning(series: Series) -> list[Plot]:
    if "sft/loss" not in series:
        return []
    hint = "falls while it learns what people and labelers demonstrated"
    return [Plot("Instruction tuning", hint, "sft", series["sft/loss"], "step")]


def _of_reward_model(series: Series) -> list[Plot]:
    low, high, votes = (series.get(f"reward/heldout_{end}", []) for end in ("low", "high", "votes"))
    note = f"{low[-1][1]:.0%} to {high[-1][1]:.0%}" if low and high else ""
    note += f", {counted(round(votes[-1][1]), 'vote')}" if votes else ""
    return [
        Plot(
            "Held-out accuracy",
            "how often the reward model agrees with votes it has not learned from",
            "reward",
            series.get("reward/heldout_accuracy", []),
            "step",
            low,
            high,
            (0.0, 1.0),
            (0.5, "chance"),
            note,
        ),
        Plot(
            "Reward-model loss",
            "falls while it learns which answer people chose",
            "reward",
            series.get("reward/loss", []),
            "step",
            reference=(0.693, "knows nothing"),
        ),
        Plot(
            "Score",
            "the reward model's mean score of its answers; in RAFT's rounds, of what it tries out",
            "rlhf",
            series.get("objective/score", []),
            "update",
        ),
    ]


def _of_pairs(series: Series) -> list[Plot]:
    return [
        Plot(
            "Pairs in order",
            "how often it moved towards the better of two answers that it learns from",
            "rlhf",
            series.get("dpo/accuracy", []),
            "step",
            limits=(0.0, 1.0),
            reference=(0.5, "chance"),
        ),
        Plot(
            "DPO loss",
            "falls while it learns which answer people chose",
            "rlhf",
            series.get("dpo/loss", []),
            "step",
            reference=(0.693, "knows nothing"),
        ),
        Plot(
            "Margin",
            "how much further it moved towards the better answer",
            "rlhf",
            series.get("dpo/margin", []),
            "step",
        ),
    ]


def _kl(series: Series) -> Plot:
    hint = "how far it is from instruction-tuned, in nats an answer; in RAFT's rounds, what it tries out"
    return Plot("KL", hint, "rlhf", series.get("objective/kl", []), "update")


def _agreement(series: Series) -> Agreement:
    names = ("accuracy", "low", "high", "votes", "log_loss", "confidence", "calibration_error")
    known = {name: found[-1][1] for name in names if (found := series.get(f"reward/heldout_{name}"))}
    if len(known) < len(names):
        words = "How often the reward model agrees with votes that it has not learned from will stand here."
        return Agreement(words, known=False)
    doubt = " That may be chance; more votes would tell." if known["low"] <= 0.5 else ""
    return Agreement(
        f"Tried on {counted(round(known['votes']), 'vote')} that it had not learned from, the reward model put the "
        f"better answer first {known['accuracy']:.0%} of the time (95% interval {known['low']:.0%} to "
        f"{known['high']:.0%}).{doubt} It was {known['confidence']:.0%} sure of itself on average; how sure it is and "
        f"how often it is right differ by {known['calibration_error']:.0%}. Log-loss {known['log_loss']:.2f}, where "
        "0.69 knows nothing.",
        known=True,
    )

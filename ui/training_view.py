"""What the Training tab shows of runs and policies, as HTML. Everything is read from the database."""

from datetime import UTC, datetime
from html import escape
from typing import Any

from alignment.runs.methods import stages_of
from storage.records import Metric, Policy, Run
from storage.runs import OPEN
from ui.formatting import ago, counted, span, table
from ui.plots import Plot, Point, draw

STAGES = {
    "collect": "collect",
    "sft": "instruction tuning",
    "reward": "reward model",
    "raft": "RAFT",
    "ppo": "PPO",
    "dpo": "DPO",
    "check": "check",
    "live": "live",
}
STATUS = {
    "queued": "waiting to start",
    "running": "training",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "rejected": "not passed",
}
MARKS = {"done": "✓", "now": "●", "stopped": "✕", "todo": "○"}
FIGURES = {
    "accuracy": ("questions answered correctly", "{:.0%}"),
    "refusals": ("harmful requests refused", "{:.0%}"),
    "helped": ("harmless requests helped", "{:.0%}"),
    "abstained": ("unknown names admitted", "{:.0%}"),
    "kl": ("KL to instruction-tuned, nats", "{:.1f}"),
    "ended": ("answers that ended by themselves", "{:.0%}"),
}


def progress(run: Run | None, produced: Policy | None, live: int, waiting: str, *, loaded: bool) -> str:
    """Return the sentence on the latest run, its line of stages and its bar.

    `waiting` says when the next starts, `loaded` whether the model is there, for which a queued one waits.
    """
    if run is None:
        say = f'<p class="say">{escape(waiting)}</p>'
        return f'<section class="run"><h2>No training yet</h2>{say}{stages(None)}</section>'
    bar = ""
    if run.status in OPEN:
        percent = round(run.progress * 100)
        bar = (
            f'<div class="bar" role="progressbar" aria-label="Training" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
        )
    wrong = f'<pre class="error" role="alert">{escape(run.error)}</pre>' if run.error and run.status == "failed" else ""
    say = f'<p class="say">{_sentence(run, produced, live, loaded)}</p><p class="say quiet">{escape(waiting)}</p>'
    return (
        f'<section class="run" data-status="{run.status}"><h2>Run {run.id} · {STATUS[run.status]}</h2>'
        f"{say}{stages(run)}{bar}{wrong}</section>"
    )


def stages(run: Run | None) -> str:
    """Return the line of stages, each done, under way, stopped at or to come."""
    rounds = run.settings.get("raft", {}).get("rounds", 1) if run else 1
    names = [*stages_of(run.method if run else "ppo", sft=bool(run and _tunes(run)), raft_rounds=rounds), "live"]
    at = names.index(_stage(run)) if run and _stage(run) in names else -1
    items = []
    for i, name in enumerate(names):
        if run is None:
            state = "todo"
        elif run.status == "succeeded" or i < at:
            state = "done"
        elif i == at:
            state = "now" if run.status in OPEN else "stopped"
        else:
            state = "todo"
        current = ' aria-current="step"' if state == "now" else ""
        items.append(f'<li data-stage="{name}" data-state="{state}"{current}><i>{MARKS[state]}</i> {STAGES[name]}</li>')
    return f'<ol class="stages" aria-label="Stages of training">{"".join(items)}</ol>'


def _tunes(run: Run) -> bool:
    """Return whether a run begins with instruction tuning, as far as can be known before it does."""
    steps = run.settings.get("sft", {}).get("steps", 0)
    return run.stage == "sft" or bool(run.demonstrations and steps)


def _stage(run: Run) -> str:
    """Return the stage that a run is in; older versions stored "ppo" for RAFT and DPO, too."""
    return run.method if run.stage == "ppo" else run.stage


def _sentence(run: Run, produced: Policy | None, live: int, loaded: bool) -> str:
    name = f"v{produced.version}" if produced else "nothing new"
    if run.status == "queued":
        return "It starts in a moment." if loaded else "It starts as soon as the model is loaded."
    if run.status == "running":
        took = _seconds(run.started, None)
        left = took * (1 - run.progress) / run.progress if run.progress >= 0.05 else 0.0
        left = round(left / 60) * 60 if left > 90 else left
        stage = STAGES.get(_stage(run), "starting")
        return f"{stage}, {run.progress:.0%}, {span(took)} so far" + (f", about {span(left)} left." if left else ".")
    ended = f"{ago(run.finished)}, after {span(_seconds(run.started or run.created, run.finished))}"
    words = {
        "succeeded": f"{name} went live {ended}.",
        "rejected": f"{name} did not pass the check {ended}; v{live} stays live.",
        "failed": f"It stopped {ended}; v{live} stays live. Chat and votes are not touched.",
        "cancelled": f"It was cancelled {ended}; v{live} stays live.",
    }
    return words[run.status]


def _seconds(start: str | None, end: str | None) -> float:
    if start is None:
        return 0.0
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(0.0, (until - datetime.fromisoformat(start)).total_seconds())


def plots(metrics: list[Metric]) -> str:
    """Return four plots in the order of the questions: does it agree with people, does the score rise, at what KL.

    A run by DPO has neither reward model nor score: there it is the policy itself that should agree with the votes.
    """
    series: dict[str, list[Point]] = {}
    for metric in sorted(metrics, key=lambda one: one.step):  # a resumed run measures some steps again
        series.setdefault(metric.name, []).append((metric.step, metric.value))

    def points(name: str) -> list[Point]:
        return series.get(name, [])

    low, high, votes = (points(f"reward/heldout_{end}") for end in ("low", "high", "votes"))
    note = f"{low[-1][1]:.0%} to {high[-1][1]:.0%}" if low and high else ""
    note += f", {counted(round(votes[-1][1]), 'vote')}" if votes else ""
    kl = Plot("KL", "how far it is from instruction-tuned, in nats an answer; in RAFT's rounds, what it tries out",
              "rlhf", points("objective/kl"), "update")  # fmt: skip
    by_reward = [
        Plot("Held-out accuracy", "how often the reward model agrees with votes it has not learned from", "reward",
             points("reward/heldout_accuracy"), "step", low, high, (0.0, 1.0), (0.5, "chance"), note),
        Plot("Reward-model loss", "falls while it learns which answer people chose", "reward",
             points("reward/loss"), "step", reference=(0.693, "knows nothing")),
        Plot("Score", "the reward model's mean score of its answers; in RAFT's rounds, of what it tries out",
             "rlhf", points("objective/score"), "update"),
        kl,
    ]  # fmt: skip
    by_pairs = [
        Plot("Pairs in order", "how often it moved towards the better of two answers that it learns from", "rlhf",
             points("dpo/accuracy"), "step", limits=(0.0, 1.0), reference=(0.5, "chance")),
        Plot("DPO loss", "falls while it learns which answer people chose", "rlhf",
             points("dpo/loss"), "step", reference=(0.693, "knows nothing")),
        Plot("Margin", "how much further it moved towards the better answer", "rlhf", points("dpo/margin"), "step"),
        kl,
    ]  # fmt: skip
    tuning = Plot("Instruction tuning", "falls while it learns what people and labelers demonstrated", "sft",
                  points("sft/loss"), "step")  # fmt: skip
    wanted = by_pairs if "dpo/loss" in series else by_reward
    wanted = [tuning, *wanted] if "sft/loss" in series else wanted
    last = {name: found[-1][1] for name, found in series.items()}
    agreement = "" if "dpo/loss" in series else _agreement(last)
    return f'{agreement}<div class="plots">{"".join(map(draw, wanted))}</div>'


def _agreement(last: dict[str, float]) -> str:
    """Return in words how far the reward model can be trusted, or that this is not measured yet."""
    names = ("accuracy", "low", "high", "votes", "log_loss", "confidence", "calibration_error")
    found = {name: last.get(f"reward/heldout_{name}") for name in names}
    known = {name: value for name, value in found.items() if value is not None}
    if len(known) < len(names):
        words = "How often the reward model agrees with votes that it has not learned from will stand here."
        return f'<p class="say agreement quiet">{words}</p>'
    doubt = " That may be chance; more votes would tell." if known["low"] <= 0.5 else ""
    return (
        f'<p class="say agreement">Tried on {counted(round(known["votes"]), "vote")} that it had not learned from, the '
        f"reward model put the better answer first {known['accuracy']:.0%} of the time (95% interval "
        f"{known['low']:.0%} to {known['high']:.0%}).{doubt} It was {known['confidence']:.0%} sure of itself on "
        f"average; how sure it is and how often it is right differ by {known['calibration_error']:.0%}. Log-loss "
        f"{known['log_loss']:.2f}, where 0.69 knows nothing.</p>"
    )


def verdict(run: Run | None, produced: Policy | None) -> str:
    """Return why the run's policy went live, or not, and what changed in its answers."""
    evaluation: dict[str, Any] = produced.evaluation if produced else {}
    gate = evaluation.get("gate")
    if run is None or produced is None or not gate:
        words = "Before a new version is served it is checked against the one before; the result stands here."
        return f'<section class="verdict"><h2>Check</h2><p class="say quiet">{words}</p></section>'
    passed = bool(gate.get("passed"))
    headline = f"v{produced.version} passed the check" if passed else f"v{produced.version} did not pass the check"
    reasons = "".join(f"<li>{escape(str(reason))}</li>" for reason in gate.get("reasons", []))
    figures = "".join(
        f"<div><dt>{words}</dt><dd>{shape.format(evaluation[name])}</dd></div>"
        for name, (words, shape) in FIGURES.items()
        if isinstance(evaluation.get(name), int | float)
    )
    return (
        f'<section class="verdict" data-passed="{str(passed).lower()}"><h2>{"✓" if passed else "✕"} {headline}</h2>'
        f'<ul>{reasons}</ul><dl class="figures">{figures}</dl>{_before_after(evaluation.get("before_after") or [])}'
        "</section>"
    )


def _before_after(changes: list[dict[str, Any]]) -> str:
    if not changes:
        return ""
    rows = [[escape(str(change.get(name, ""))) for name in ("prompt", "before", "after")] for change in changes]
    return "<h3>What changed in the answers</h3>" + table(["Prompt", "Before", "After"], rows, "Before and after")


def history(runs: list[Run], policies: list[Policy], live: int) -> str:
    """Return the tables of recent runs and of policy versions, newest first, the live one marked."""
    verdicts = {policy.version: policy.evaluation.get("gate") or {} for policy in policies}
    run_rows = [
        [
            f"{run.id}",
            ago(run.started or run.created),
            span(_seconds(run.started, run.finished)) if run.started and run.finished else "–",
            f'<span data-status="{run.status}">{STATUS[run.status]}</span>',
            escape(_reason(run, verdicts)),
        ]
        for run in runs
    ]
    policy_rows = [
        [
            f"<strong>v{policy.version}</strong>",
            '<strong class="live">● live</strong>' if policy.version == live else escape(policy.status),
            f"run {policy.run_id}" if policy.run_id else "shipped with the model",
            *(_figure(policy.evaluation, name) for name in ("accuracy", "refusals", "kl")),
            ago(policy.created),
        ]
        for policy in policies
    ]
    none = '<p class="say quiet">none so far</p>'
    runs_table = table(["Run", "Started", "Took", "Status", "Result"], run_rows, "Recent runs") if run_rows else none
    heads = ["Version", "Status", "From", "Facts", "Refusals", "KL", "Made"]
    return (
        f'<div class="history"><section><h2>Recent runs</h2>{runs_table}</section>'
        f"<section><h2>Policies</h2>{table(heads, policy_rows, 'Policies')}</section></div>"
    )


def _reason(run: Run, verdicts: dict[int, dict[str, Any]]) -> str:
    if run.status == "succeeded":
        return f"v{run.policy_version} went live"
    if run.status == "rejected" and run.policy_version in verdicts:
        return f"v{run.policy_version}: {'; '.join(map(str, verdicts[run.policy_version].get('reasons', [])))}"
    return (run.error or "").strip().split("\n")[-1] or "–"


def _figure(evaluation: dict[str, Any], name: str) -> str:
    value = evaluation.get(name)
    return FIGURES[name][1].format(value) if isinstance(value, int | float) else "–"

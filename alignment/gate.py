"""Whether a candidate may be served."""

from dataclasses import dataclass

from alignment.evaluation import Evaluation
from alignment.settings import GateConfig


@dataclass(frozen=True)
class Verdict:
    """The gate's answer, with a sentence for everything it looked at."""

    passed: bool
    reasons: list[str]


def judge(candidate: Evaluation, parent: Evaluation, kl: float, config: GateConfig) -> Verdict:
    """Return whether the candidate holds its parent's level; shares that were not measured (NaN) are left out."""
    bounds = [
        ("facts right", candidate.accuracy, parent.accuracy - config.max_accuracy_drop, parent.accuracy),
        ("harmful requests refused", candidate.refusals, parent.refusals - config.max_refusal_drop, parent.refusals),
        ("harmless requests helped", candidate.helped, parent.helped - config.max_refusal_drop, parent.helped),
        ("ends by itself", candidate.ended, min(config.min_ended, parent.ended), parent.ended),
    ]
    passed, reasons = True, []
    for name, value, least, before in bounds:
        if value != value or before != before:
            continue
        good = value >= least - 1e-9
        passed = passed and good
        reasons.append(f"{name}: {value:.0%} (before {before:.0%}, at least {max(least, 0):.0%}){'' if good else ' ✗'}")
    good = kl <= config.max_kl
    reasons.append(f"KL to SFT: {kl:.1f} nats (at most {config.max_kl:.0f}){'' if good else ' ✗'}")
    return Verdict(passed and good, reasons)

"""A run's candidate on the checks: measured beside its parent, judged, and put back part of the way where it must."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from peft import PeftModel

from alignment.learning.rollout_metrics import sampled_metrics
from alignment.models.adapters import adapter_parameters, move_adapter, take_weights
from alignment.models.generation import Sampling
from alignment.models.model_folder import Check
from alignment.runs.evaluation import Evaluation, evaluate
from alignment.runs.gate import Verdict, first_level, judge
from alignment.runs.settings import GateConfig

SAMPLING = Sampling(temperature=0.0, max_new_tokens=96)
KL_SAMPLING = Sampling(temperature=1.0, max_new_tokens=96)
KL_ROLLOUTS = 64
BEFORE_AFTER = 8  # prompts shown with the parent's and the candidate's answers


def check(
    model: PeftModel,
    tokenizer: Any,
    checks: Sequence[Check],
    prompts: Sequence[str],
    kl: float,
    recorded: Mapping[str, Any],
    config: GateConfig,
    seed: int,
    on_progress: Callable[[float], None],
) -> dict[str, Any]:
    """Return what the adapter "policy" measures, the gate's verdict on it and the answers that differ from "parent"'s.

    A candidate that the gate refuses is put back towards its parent by `step_back` of the way, and judged again, until
    it passes or nothing of the way is left: most of what a few votes teach grows along that line, and so does what they
    break (weights between two fine-tuned models: Wortsman et al. 2022, section 4). One that passes nowhere stands where
    it was trained to, refused. `recorded` is what was returned of the parent in its day, if anything. `kl` is that of
    the whole way, in nats a completion; that of a part is measured on rollouts of its own for `prompts`.
    """
    before = evaluate(model, tokenizer, "parent", checks, SAMPLING)
    first = first_level(before, recorded)
    on_progress(0.4)
    after = evaluate(model, tokenizer, "policy", checks, SAMPLING)
    on_progress(0.7)
    verdict = judge(after, before, first, kl, config)
    if not verdict.passed and config.step_back:
        whole = [weight.detach().clone() for weight in adapter_parameters(model, "policy")]
        failed = "; ".join(reason.removesuffix(" ✗") for reason in verdict.reasons if reason.endswith("✗"))
        for share in _shares_of_the_way(config.step_back):
            take_weights(adapter_parameters(model, "policy"), whole)
            move_adapter(model, "policy", "parent", share)
            milder = evaluate(model, tokenizer, "policy", checks, SAMPLING)
            measured = sampled_metrics(model, tokenizer, prompts, KL_SAMPLING, KL_ROLLOUTS, seed)
            again = judge(milder, before, first, measured["objective/kl"], config)
            if again.passed:
                note = f"put back to {share:.0%} of the way from the version before; the whole way had: {failed}"
                after, kl, verdict = milder, measured["objective/kl"], Verdict(True, [*again.reasons, note])
                break
        else:
            take_weights(adapter_parameters(model, "policy"), whole)
            verdict = Verdict(False, [*verdict.reasons, "nor does it pass nearer to the version before"])
    on_progress(0.9)
    shown = {"gate": asdict(verdict), "before_after": _before_after(checks, before, after)}
    return after.to_json() | {"kl": kl, "first": first} | shown


def _shares_of_the_way(step: float) -> list[float]:
    """Return 1 - step, 1 - 2 step … as long as something of the way is left, for a step from 0.05 to 0.5."""
    return [1 - number * step for number in range(1, math.ceil(1 / step - 1e-9))]


def _before_after(checks: Sequence[Check], before: Evaluation, after: Evaluation) -> list[dict[str, str]]:
    """Return some of the answers of both, those that differ first, spread over the checks."""
    rows = list(zip((check.prompt for check in checks), before.answers, after.answers, strict=True))
    spread = dict.fromkeys(rows[:: max(1, len(rows) // BEFORE_AFTER)] + rows)
    shown = sorted(spread, key=lambda row: row[1] == row[2])[:BEFORE_AFTER]
    return [{"prompt": prompt, "before": old, "after": new} for prompt, old, new in shown]

"""Measures what a policy answers to a model's checks."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from peft import PeftModel

from alignment.models.adapters import using
from alignment.models.generation import Generated, generate
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check, line_of
from alignment.runs.checks import passes
from alignment.runs.records import CheckResults, Outcome, results_of
from storage.messages import Messages


def answers(
    model: Any, tokenizer: Any, adapter: str | None, prompts: Sequence[Messages], sampling: Sampling, seed: int
) -> list[Generated]:
    """Return one completion a prompt through an adapter; prompt i is drawn with `seed + i`."""
    rows = [tokenizer.prompt_ids(messages) for messages in prompts]
    with using(model, adapter):
        return generate(model, tokenizer, rows, sampling, [seed + i for i in range(len(rows))])


def key_of(check: Check, max_new_tokens: int) -> str:
    """Return what names a check and how long its answer may get: outcomes of the same name may be compared."""
    told = json.dumps([line_of(check), max_new_tokens], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def evaluate(
    model: PeftModel,
    tokenizer: Any,
    adapter: str | None,
    checks: Sequence[Check],
    sampling: Sampling,
    seed: int = 0,
    *,
    ends: bool = True,
) -> CheckResults:
    """Return how an adapter does on the checks, with a completion for each; `ends` is whether their ends count."""
    if not checks:
        return CheckResults()
    written = answers(model, tokenizer, adapter, [check.messages for check in checks], sampling, seed)
    outcomes = []
    for check, one in zip(checks, written, strict=True):
        text = tokenizer.decode(one.token_ids)
        ended = one.finish_reason == "stop" if ends else None
        key = key_of(check, sampling.max_new_tokens)
        outcomes.append(Outcome(key, check.kind, passes(check, text), ended, text))
    return results_of(outcomes)

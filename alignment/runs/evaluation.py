"""Measures what a policy answers to a model's checks."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from peft import PeftModel

from alignment.models.adapters import using
from alignment.models.generation import Generated, generate
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check, CheckKind
from alignment.runs.checks import passes
from alignment.runs.records import NOT_MEASURED, CheckResults
from storage.messages import Messages


def answers(
    model: Any, tokenizer: Any, adapter: str | None, prompts: Sequence[Messages], sampling: Sampling, seed: int
) -> list[Generated]:
    """Return one completion a prompt through an adapter; prompt i is drawn with `seed + i`."""
    rows = [tokenizer.prompt_ids(messages) for messages in prompts]
    with using(model, adapter):
        return generate(model, tokenizer, rows, sampling, [seed + i for i in range(len(rows))])


def evaluate(
    model: PeftModel, tokenizer: Any, adapter: str, checks: Sequence[Check], sampling: Sampling, seed: int = 0
) -> CheckResults:
    """Return how an adapter does on the checks, with a completion for each."""
    if not checks:
        return CheckResults()
    written = answers(model, tokenizer, adapter, [check.messages for check in checks], sampling, seed)
    texts = tuple(tokenizer.decode(one.token_ids) for one in written)

    def share(kind: CheckKind) -> float:
        passed = [passes(check, text) for check, text in zip(checks, texts, strict=True) if check.kind == kind]
        return sum(passed) / len(passed) if passed else NOT_MEASURED

    return CheckResults(
        accuracy=share("contains"),
        refusals=share("refuses"),
        helped=share("helps"),
        abstained=share("abstains"),
        ended=sum(one.finish_reason == "stop" for one in written) / len(written),
        counts=Counter(check.kind for check in checks),
        answers=texts,
    )

"""Ask a model all general checks, greedily and through the library, and count what is right by kind and form.

`make bench-checks` asks SmolLM2-135M-Instruct; `ARGS="--model NAME"` another one. A gate asks every third of these. The
answers go to build/checks.jsonl: a person has to read some.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from alignment.models import adapters, catalogue, loading, model_folder, shipped_files
from alignment.models.catalogue import ModelChoice
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check, CheckKind
from alignment.reward.agreement import Proportion, wilson
from alignment.runs.checks import passes
from alignment.runs.evaluation import evaluate
from alignment.runs.gate_checks import ANSWER_TOKENS
from alignment.runs.run_models import RANK
from alignment.settings import GENERAL
from tests.harness.app import ROOT

# What the prompts of a kind are, in blocks of equal size, in the order of the file.
WORDINGS = ("short", "polite", "role-played", "misspelt")
FORMS: dict[CheckKind, tuple[str, ...]] = {
    "contains": ("capitals", "countries", "science", "sums, words and people"),
    "refuses": WORDINGS,
    "helps": WORDINGS,
    "abstains": ("people", "places", "things"),
}
RIGHT: dict[CheckKind, str] = {
    "contains": "facts said",
    "refuses": "harmful requests refused",
    "helps": "harmless look-alikes helped with",
    "abstains": "unknown names admitted",
}


def by_form(checks: Sequence[Check], answers: Sequence[str]) -> dict[CheckKind, dict[str, Proportion]]:
    """Return the share of right answers by kind and form."""
    shares: dict[CheckKind, dict[str, Proportion]] = {}
    for kind, forms in FORMS.items():
        right = [passes(check, text) for check, text in zip(checks, answers, strict=True) if check.kind == kind]
        size = len(right) // len(forms)
        blocks = {form: right[place * size : (place + 1) * size] for place, form in enumerate(forms)}
        shares[kind] = {form: wilson(sum(block), len(block)) for form, block in {"all": right, **blocks}.items()}
    return shares


def table(shares: dict[CheckKind, dict[str, Proportion]]) -> str:
    """Return the shares as a table in Markdown, with 95% intervals where all of a kind are counted."""
    lines = ["| | of | right | by form |", "|---|---|---|---|"]
    for kind, forms in shares.items():
        whole, *blocks = forms.values()
        parts = ", ".join(f"{form} {one.share:.0%}" for form, one in zip(FORMS[kind], blocks, strict=True))
        lines.append(
            f"| {RIGHT[kind]} | {whole.count} | {whole.share:.0%} ({whole.low:.0%}–{whole.high:.0%}) | {parts} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Ask, count, print the table and write the answers down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", help="as --model of app.py")
    parser.add_argument("--adapter", help="folder of a version, as in policies/ of a data folder (default: version 1)")
    parser.add_argument("--length", type=int, default=ANSWER_TOKENS, help="most tokens of an answer")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "checks.jsonl")
    arguments = parser.parse_args()
    checks = shipped_files.checks(GENERAL)
    with tempfile.TemporaryDirectory() as folder:
        config = catalogue.resolve(ModelChoice(arguments.model), Path(folder)).config
        model, tokenizer = loading.load_model(config)
        adapter = arguments.adapter or model_folder.first_policy(config)
        if adapter:
            model = adapters.attach(model, adapter, "policy")
        else:
            model = adapters.attach_new(model, "policy", RANK, seed=0)  # changes nothing
        results = evaluate(model, tokenizer, "policy", checks, Sampling(0.0, arguments.length))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w", encoding="utf-8") as file:
        for check, text in zip(checks, results.answers, strict=True):
            line = {"kind": check.kind, "prompt": check.prompt, "answer": text, "right": passes(check, text)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(table(by_form(checks, results.answers)))
    print(f"ended within {arguments.length} tokens: {results.ended:.0%}; the answers: {arguments.output}")


if __name__ == "__main__":
    main()

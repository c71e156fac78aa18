"""Measure SmolLM2's first policy beside the instruction-tuned model, on prompts that its recipe has never seen.

`make bench-first-policy`: the general checks; sixty harmful requests and sixty look-alikes by a reader who had not seen
the recipe; the capitals of all 193 countries; and forty everyday prompts, whose answers go in drawn order to
build/first-policy-blind.md for somebody to judge, with the key in build/first-policy-key.json. All greedy.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from alignment.models import adapters, catalogue, loading, model_folder, shipped_files
from alignment.models.catalogue import ModelChoice
from alignment.models.sampling import Sampling
from alignment.models.shipped_files import Check, CheckKind
from alignment.reward.agreement import wilson
from alignment.runs.evaluation import evaluate
from alignment.runs.gate_checks import ANSWER_TOKENS
from alignment.settings import GENERAL
from recipes.pocket.facts import countries
from recipes.pocket.skill import check_of
from tests.harness.app import ROOT

HERE = Path(__file__).parent
SHOWN = {None: "instruction-tuned", "policy": "policy"}  # adapter to column: the model as it is needs none


def lines(name: str) -> list[str]:
    """Return the prompts of a file of this folder, one a line."""
    return [line for line in (HERE / name).read_text(encoding="utf-8").splitlines() if line]


def sets() -> dict[str, list[Check]]:
    """Return what is asked, by name."""
    general = shipped_files.checks(GENERAL)
    kinds: dict[str, CheckKind] = {
        "general: harmful refused": "refuses",
        "general: look-alikes helped": "helps",
        "general: facts": "contains",
        "general: unknown names admitted": "abstains",
    }
    capital = "What is the capital of {}?"
    return {
        **{name: [check for check in general if check.kind == kind] for name, kind in kinds.items()},
        "reader: harmful refused": [check_of(one, "refuses") for one in lines("harmful_by_a_reader.txt")],
        "reader: look-alikes helped": [check_of(one, "helps") for one in lines("lookalikes_by_a_reader.txt")],
        "capitals": [check_of(capital.format(one.name), "contains", (one.capital,)) for one in countries()],
        "everyday: helped": [check_of(one, "helps") for one in lines("everyday_to_judge.txt")],
    }


def write_blind(prompts: Sequence[str], answers: Sequence[Sequence[str]], folder: Path, seed: int = 0) -> None:
    """Write each prompt's two answers in drawn order, and which of them is the policy's into a file of its own."""
    rng, key, parts = random.Random(seed), [], []
    for number, (prompt, sft, policy) in enumerate(zip(prompts, *answers, strict=True), 1):
        swapped = rng.random() < 0.5
        first, second = (policy, sft) if swapped else (sft, policy)
        key.append("A" if swapped else "B")
        parts.append(f"## {number}. {prompt}\n\n### A\n\n{first}\n\n### B\n\n{second}\n")
    (folder / "first-policy-blind.md").write_text("\n".join(parts), encoding="utf-8")
    (folder / "first-policy-key.json").write_text(json.dumps({"policy": key}) + "\n", encoding="utf-8")


def main() -> None:
    """Ask both, print a table with 95% intervals and write the answers down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adapter", help="folder of a policy (default: the one that ships)")
    parser.add_argument("--length", type=int, default=ANSWER_TOKENS, help="most tokens of an answer")
    arguments = parser.parse_args()
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        config = catalogue.resolve(ModelChoice("smollm2-135m"), Path(data)).config
        model, tokenizer = loading.load_model(config)
    policy = arguments.adapter or model_folder.first_policy(config)
    if policy is None:
        parser.error(f"no policy ships in {config.beside}; name one with --adapter, or build it with `make smollm2`")
    model = adapters.attach(model, policy, "policy")
    told, written = [], {}
    for name, checks in sets().items():
        found = {one: evaluate(model, tokenizer, one, checks, Sampling(0.0, arguments.length)) for one in SHOWN}
        written[name] = [found[one].answers for one in SHOWN]
        cells = []
        for one in found.values():
            passed = wilson(sum(outcome.passed for outcome in one.outcomes), len(one.outcomes))
            cells.append(f"{passed.share:.1%} ({passed.low:.0%}–{passed.high:.0%}), {one.ended:.0%} end")
        told.append(f"| {name} | {len(checks)} | {' | '.join(cells)} |")
        print(told[-1], flush=True)
    print("\n".join([f"| | of | {' | '.join(SHOWN.values())} |", "|---|---|---|---|", *told]))
    write_blind(lines("everyday_to_judge.txt"), written["everyday: helped"], folder)
    (folder / "first-policy-answers.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

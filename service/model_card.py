"""The README.md that goes with a version that is taken away: its origin, what it learned, how it was judged."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alignment.models.catalogue import ModelChoice
from alignment.models.presets import preset_of
from alignment.runs.records import evaluation_from_json
from service import chosen_model
from service.context import Services
from storage import policies, preferences, runs
from storage.kept_settings import kept_settings
from storage.records import Policy, Run

UNKNOWN = "not known here; see where the model comes from"
USE = {
    "peft": """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained({base!r})
model = PeftModel.from_pretrained(model, "this folder")
```""",
    "merged": """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = AutoModelForCausalLM.from_pretrained("this folder"), AutoTokenizer.from_pretrained("this folder")
```""",
    "gguf": "Give the `.gguf` file to llama.cpp, or to anything that reads such files.",
}


@dataclass(frozen=True)
class KnownBase:
    """The checkpoint that a version's adapter belongs on."""

    title: str
    hub_name: str  # "" where it is not on the hub, or that is not known
    licence: str


def known_base(services: Services) -> KnownBase:
    """Return what is known of the checkpoint that is served."""
    stored = kept_settings(services.db, chosen_model.MODEL)
    named = ModelChoice(**stored).model if stored else ""
    if (preset := preset_of(named)) is not None:
        return KnownBase(preset.title, preset.chat, preset.licence)
    return KnownBase(services.model.name, "", _licence_in(Path(services.supervisor.model.model)))


def _licence_in(folder: Path) -> str:
    """Return the licence that a model's own card names in its front matter."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()[:60]
    except (OSError, ValueError):
        return UNKNOWN
    found = (line.partition(":")[2].strip(" '\"") for line in lines if line.startswith("license:"))
    return next(filter(None, found), UNKNOWN)


def card(services: Services, policy: Policy, form: str) -> str:
    """Return the card of a version as Markdown, with the front matter that the hub reads."""
    base = known_base(services)
    run = runs.get_run(services.db, policy.run_id) if policy.run_id is not None else None
    parts = [*_front_matter(base, form), f"# {base.title}, v{policy.version}", ""]
    parts += [*_origin(base, policy, run, services), "", *_votes(services, run), "", *_check(policy), ""]
    parts += ["## How to use it", "", USE[form].format(base=base.hub_name or "the base"), ""]
    return "\n".join(parts)


def _front_matter(base: KnownBase, form: str) -> Iterator[str]:
    yield "---"
    if base.hub_name:
        yield f"base_model: {base.hub_name}"
    if base.licence != UNKNOWN:
        yield f"license: {base.licence.lower()}"
    yield f"library_name: {'peft' if form == 'peft' else 'transformers'}"
    yield "tags: [rlhf, triptych]"
    yield "---"


def _origin(base: KnownBase, policy: Policy, run: Run | None, services: Services) -> Iterator[str]:
    model = services.supervisor.model
    yield f"- Base: {base.title}{f' ({base.hub_name})' if base.hub_name else ''}, fingerprint `{policy.model}`"
    yield f"- Licence of the base: {base.licence}. Nothing is said here of a licence for what votes added."
    if model.quantize != "none":
        yield f"- It was trained on the base in {model.quantize}; on whole weights its answers differ a little."
    yield f"- Made: {policy.created}, SHA-256 of its folder `{policy.sha256}`"
    if run is None:
        yield "- It came with the model; no votes of this installation are in it."
        return
    yield f"- Trained by Triptych: run {run.id}, method {run.method}, from v{policy.parent}"
    yield f"- Settings: `{json.dumps(run.settings, sort_keys=True)}`"


def _votes(services: Services, run: Run | None) -> Iterator[str]:
    yield "## What it learned from"
    yield ""
    if run is None:
        yield "No votes."
        return
    claimed = policies.version_votes(services.db)[run.policy_version or 0].learned
    found = preferences.rankings(services.db, run.id)
    sources = Counter(ranking.source for ranking in found)
    named = ", ".join(f"{count} {source}" for source, count in sorted(sources.items())) or "none"
    yield f"- Votes read: {claimed}; of those that still stand: {named}"
    yield f"- Demonstrations read: {run.demonstrations}"
    if run.dataset:  # a run of before that was recorded has none
        yield f"- SHA-256 of all that it read of people: `{run.dataset['sha256']}`"
    if run.policy_version and (parent := policies.get_policy(services.db, run.policy_version).parent):
        yield f"- v{parent}, which it was trained from, may have learned from earlier ones."


def _check(policy: Policy) -> Iterator[str]:
    yield "## How it was judged"
    yield ""
    evaluation = evaluation_from_json(policy.evaluation)
    if evaluation.verdict is None:
        yield "It was not judged here."
        return
    yield "It passed its check." if evaluation.verdict.passed else "**It did not pass its check.**"
    yield ""
    yield "| measure | value | of | bound | passed |"
    yield "|---|---|---|---|---|"
    for one in evaluation.verdict.findings:
        unit = {"nats": "nats a completion", "wins": f"{one.count} answers that changed"}.get(
            one.unit, f"{one.count} checks"
        )
        yield f"| {one.name} | {one.value:g} | {unit} | {one.bound:g} | {'yes' if one.passed else 'no'} |"

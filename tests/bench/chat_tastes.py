"""What 32 simulated clicks by one taste teach a chat model, through the very run that the app starts.

`make bench-chat-tastes` measures the model that `make run` starts with, cell by cell; what is measured already is kept.
Votes are cast on random pairs of samples of the instruction-tuned model. The labelers are simulated, and stored so.
"""

import argparse
import json
import random
import re
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from alignment.models import adapters, catalogue, loading, shipped_files
from alignment.models.adapters import using
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.features import Written, completion_features
from alignment.models.generation import Generated, generate
from alignment.models.sampling import Sampling
from alignment.reward.linear_file import LINEAR_FILE, load_linear
from alignment.runs.settings import RunSettings, run_settings, settings_of
from alignment.settings import GENERAL, ModelConfig
from service.policies import ensure_live_version
from storage import database, policies, preferences, run_folder, runs
from storage.messages import one_turn
from storage.records import Comparison, Completion
from tests.bench.everyday import prompts as everyday
from tests.bench.tastes import train
from tests.harness.app import ROOT

LIST_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
WARM = re.compile(r"\b(?:happy|glad|love|great|wonderful|sorry|hope|enjoy|welcome|thanks?|feel|friend|dear)\b|!", re.I)
INFORMAL = re.compile(r"\b\w+['\u2019](?:s|t|re|ve|ll|d|m)\b|!|\b(?:you|your|I|me|my)\b", re.I)
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,")
Taste = Callable[[str], float]
TASTES: dict[str, Taste] = {
    "shorter": lambda text: -len(text.split()),
    "as a list": lambda text: len(LIST_LINE.findall(text)),
    "plain words": lambda text: -len(re.sub(r"\W", "", text)) / max(1, len(text.split())),
    "warm": lambda text: len(WARM.findall(text)) / max(5, len(text.split())),
    "ends with a question": lambda text: float(text.rstrip().endswith("?")),
    "formal": lambda text: -len(INFORMAL.findall(text)) / max(5, len(text.split())),
}
VOTED = Sampling(0.8, 96, top_p=0.95)  # pairs that people vote on have to differ
SHOWN = Sampling(0.2, 96, top_p=0.9)  # as the page asks this model
SAMPLES = 8  # of each voted prompt
CEILING = 16  # answers that the taste itself chooses among
PREVIEWED = 4  # answers that the reward model chooses among
CLICKS = 32


def sampled(
    model: Any, tokenizer: Any, adapter: str | None, asked: Sequence[str], sampling: Sampling, seed: int
) -> list[Generated]:
    """Return one completion a prompt."""
    rows = [tokenizer.prompt_ids(one_turn(prompt)) for prompt in asked]
    with using(model, adapter):
        return generate(model, tokenizer, rows, sampling, [seed + number for number in range(len(rows))])


def texts(tokenizer: Any, written: Sequence[Generated]) -> list[str]:
    """Return completions as texts."""
    return [tokenizer.decode(one.token_ids) for one in written]


def wins(taste: Taste, before: Sequence[str], after: Sequence[str]) -> tuple[float, int, int]:
    """Return (share won, a tie counting half; won; lost)."""
    values = [(taste(old), taste(new)) for old, new in zip(before, after, strict=True)]
    won, lost = sum(new > old for old, new in values), sum(new < old for old, new in values)
    return 0.5 + (won - lost) / len(values) / 2, won, lost


def cast(
    db: Path, tokenizer: Any, taste: Taste, seed: int, pool: Sequence[tuple[str, Generated]], noise: float
) -> None:
    """Store `CLICKS` votes on random pairs of completions of one prompt that the taste tells apart."""
    rng = random.Random(seed)
    of_prompt: dict[str, list[Generated]] = {}
    for prompt, one in pool:
        of_prompt.setdefault(prompt, []).append(one)
    pairs = []
    for prompt, written in of_prompt.items():
        said = texts(tokenizer, written)
        pairs += [
            (prompt, written[i], written[j])
            for i in range(len(written))
            for j in range(i)
            if taste(said[i]) != taste(said[j])
        ]
    flipped = set(rng.sample(range(CLICKS), round(noise * CLICKS)))
    for number, (prompt, *pair) in enumerate(rng.sample(pairs, CLICKS)):
        said = texts(tokenizer, pair)
        best = int(taste(said[1]) > taste(said[0])) ^ (number in flipped)
        shown = [
            Completion(slot, "sft", None, text, one.token_ids, 0, {}, one.finish_reason, 0.0, 0.0)
            for slot, text, one in zip("AB", said, pair, strict=True)
        ]
        comparison = Comparison(database.new_id(), one_turn(prompt), "compare", False, shown)
        preferences.save_comparison(db, comparison)
        preferences.save_preference(
            db,
            comparison_id=comparison.id,
            annotator_id="simulated",
            tiers=[["AB"[best]], ["AB"[1 - best]]],
            kind="choice",
            source="simulated",
        )


@dataclass(frozen=True)
class Drawn:
    """What the instruction-tuned model wrote, which is the same for all tastes: drawn once a seed, and kept."""

    pool: list[tuple[str, Generated]]  # samples of voted prompts, `SAMPLES` of each
    unseen: list[str]  # prompts on which versions meet
    before: list[str]  # its answers to them, as the page shows them
    again: list[str]  # the same with other seeds
    choices: list[list[Generated]]  # `CEILING` samples of every other unseen prompt


def drawn(config: ModelConfig, seed: int, kept: Path) -> Drawn:
    """Return what the instruction-tuned model wrote for a seed, from the file in which it is kept if there is one."""
    if kept.exists():
        held = json.loads(kept.read_text(encoding="utf-8"))
        return Drawn(
            [(prompt, Generated(**one)) for prompt, one in held["pool"]],
            held["unseen"],
            held["before"],
            held["again"],
            [[Generated(**one) for one in several] for several in held["choices"]],
        )
    model, tokenizer = loading.load_model(config)
    model = adapters.attach_new(model, "idle", 1, 0)
    asked = random.Random(seed).sample([messages[-1].content for messages in shipped_files.prompts(GENERAL)], 24)
    voted = [prompt for prompt in asked for _ in range(SAMPLES)]
    unseen = everyday()
    many = [prompt for prompt in unseen[::2] for _ in range(CEILING)]
    samples = sampled(model, tokenizer, None, many, VOTED, 5000 * (seed + 1))
    found = Drawn(
        list(zip(voted, sampled(model, tokenizer, None, voted, VOTED, 1000 * seed), strict=True)),
        unseen,
        texts(tokenizer, sampled(model, tokenizer, None, unseen, SHOWN, 7)),
        texts(tokenizer, sampled(model, tokenizer, None, unseen, SHOWN, 8)),
        [samples[start : start + CEILING] for start in range(0, len(samples), CEILING)],
    )
    kept.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def measure(config: ModelConfig, name: str, seed: int, noise: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what one cell gives."""
    taste, own = TASTES[name], drawn(config, seed, arguments.out / f"drawn-seed{seed}.json")
    model, tokenizer = loading.load_model(config)
    model = adapters.attach_new(model, "idle", 1, 0)
    result: dict[str, Any] = {"taste": name, "seed": seed, "noise": noise}
    result["same model"] = wins(taste, own.before, own.again)[0]
    result |= _ceilings(tokenizer, taste, own)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder)
        db = database.file_in(data_dir)
        database.prepare(db)
        ensure_live_version(db, data_dir, config)
        cast(db, tokenizer, taste, seed, own.pool, noise)
        settings = {"seed": seed, "threads": torch.get_num_threads(), **json.loads(arguments.settings)}
        chosen = run_settings(settings, settings_of(config.model, RunSettings()))
        result["seconds"] = train(data_dir, config, arguments.method, chosen)
        result["stages"] = stage_seconds(
            run_folder.log_of(run_folder.folder_of(data_dir, 1)).read_text(encoding="utf-8")
        )
        run = runs.get_run(db, 1)
        result |= {"status": run.status, "error": run.error}
        measured: dict[str, list[float]] = {}
        for metric in runs.metrics(db, 1):
            measured.setdefault(metric.name, []).append(round(metric.value, 3))
        result["metrics"] = measured
        candidate = policies.version_made_by(db, 1)
        if candidate is None:
            return result
        place = data_dir / candidate.path
        result |= {name: candidate.evaluation.get(name) for name in ("gate", "kl", "manners")}
        if (place / "reward" / LINEAR_FILE).is_file():
            result |= _by_reward_model(model, tokenizer, taste, place / "reward", own)
        adapters.attach(model, place, "candidate")
        after = sampled(model, tokenizer, "candidate", own.unseen, SHOWN, 7)
        result["wins"], result["won"], result["lost"] = wins(taste, own.before, texts(tokenizer, after))
        result["ended"] = statistics.mean(one.finish_reason == "stop" for one in after)
        result["answers"] = list(zip(own.unseen, own.before, texts(tokenizer, after), strict=True))[:8]
    return result


def stage_seconds(log: str) -> dict[str, float]:
    """Return the seconds of a run's stages, by the lines that they end with in its log."""
    ends = {"loading": "run 1: ", "reward": "linear reward model", "rounds": "update ", "check": "gate: "}
    times = [(datetime.fromisoformat(line[:19]), line) for line in log.splitlines() if STAMP.match(line)]
    began, found = times[0][0], {}
    for stage, words in ends.items():
        if here := [when for when, line in times if words in line]:
            found[stage] = (here[-1] - began).total_seconds()
            began = here[-1]
    return found


def _ceilings(tokenizer: Any, taste: Taste, own: Drawn) -> dict[str, float]:
    """Return what the taste itself wins when it chooses among samples of the instruction-tuned model."""
    best = {
        count: [max(texts(tokenizer, several[:count]), key=taste) for several in own.choices]
        for count in (PREVIEWED, CEILING)
    }
    return {f"ceiling of {count}": wins(taste, own.before[::2], chosen)[0] for count, chosen in best.items()}


def _by_reward_model(model: Any, tokenizer: Any, taste: Taste, folder: Path, own: Drawn) -> dict[str, float]:
    """Return the share of pairs of unseen samples that a version's reward model puts in order, and what it wins when it
    chooses among `PREVIEWED` of them, as the preview does.
    """
    rows = [
        Written(tokenizer.prompt_ids(one_turn(prompt)), one.token_ids, one.finish_reason == "stop")
        for prompt, several in zip(own.unseen[::2], own.choices, strict=True)
        for one in several[:PREVIEWED]
    ]
    with using(model, None):
        scores, _ = load_linear(folder).scores(completion_features(model, tokenizer, rows))
    said = [texts(tokenizer, several[:PREVIEWED]) for several in own.choices]
    of_prompt = scores.reshape(-1, PREVIEWED)
    right = [
        (values[i] > values[j]) == (taste(told[i]) > taste(told[j]))
        for told, values in zip(said, of_prompt, strict=True)
        for i in range(PREVIEWED)
        for j in range(i)
        if taste(told[i]) != taste(told[j])
    ]
    chosen = [told[int(values.argmax())] for told, values in zip(said, of_prompt, strict=True)]
    return {"held-out pairs": float(sum(right) / len(right)), "preview": wins(taste, own.before[::2], chosen)[0]}


def main() -> None:
    """Measure the cells that are not in `--out` yet; print all that are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "chat-tastes")
    parser.add_argument("--tastes", nargs="*", default=list(TASTES), choices=list(TASTES))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.0, help="share of the clicks that go to the worse answer")
    parser.add_argument("--method", default="ppo")
    parser.add_argument("--settings", default="{}", help="of the run, as JSON")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    config = catalogue.resolve(ModelChoice(arguments.model), arguments.out, online=False).config
    ensure_converted(config)
    for seed in range(arguments.seeds):
        for name in arguments.tastes:
            kept = arguments.out / f"{name}-{arguments.method}-{arguments.noise:g}-seed{seed}.json".replace(" ", "_")
            if not kept.exists():
                result = measure(config, name, seed, arguments.noise, arguments)
                kept.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            found = json.loads(kept.read_text(encoding="utf-8"))
            found.pop("answers", None)
            print({key: value for key, value in found.items() if key not in ("metrics", "gate", "manners")}, flush=True)


if __name__ == "__main__":
    main()

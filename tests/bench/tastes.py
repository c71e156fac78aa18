"""What a run learns from a few clicks of one taste, and what it keeps: simulated labelers, six tastes, three seeds.

`python -m tests.bench.tastes` measures cell by cell into `--out`, passes over cells that are there already, and prints
the table. `--only` takes a part of the cells' names.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from peft import PeftModel

from alignment.learning.raft import best_of_each
from alignment.models import adapters, loading
from alignment.models.adapters import using
from alignment.models.features import Written, completion_features, feature_groups, written
from alignment.models.generation import Generated
from alignment.models.shipped_files import Check, CheckKind
from alignment.reward.rankings import judged_texts
from alignment.reward.scorer import added_scorer, linear_scorer, score_sequences
from alignment.reward.settings import RewardConfig
from alignment.reward.vote_fit import Votes, fit_votes
from alignment.runs.checks import passes
from alignment.runs.findings import verdict_from_json
from alignment.runs.settings import RunSettings
from alignment.settings import POCKET, POCKET_MODEL, ModelConfig
from recipes.pocket.evaluate import completions
from recipes.pocket.labelers import WORST
from recipes.pocket.prompt_files import labelled_prompts
from recipes.pocket.skill import WARM_CLOSINGS
from recipes.pocket.skills import requests
from service.policies import ensure_live_version
from storage import database, policies, preferences, run_folder, runs
from storage.messages import one_turn
from storage.records import Comparison, Completion, Ranking, Role
from tests.harness.capitals import capital_checks
from tests.harness.labeler import Labeler, judged
from ui.findings import finding_words

PANELS = ("base", "sft", "policy")
SLOTS = "ABC"
ROLES: tuple[Role, ...] = ("base", "sft", "rlhf")  # as completions of these panels are stored
ASKED = 12_000  # prompts, of which those of a taste's kinds are used: clicks about harm alone take many
COMPARED = 200  # prompts on which the new version meets the one before
SAMPLES = 16  # of best-of-N
BEST_OF = f"best-of-{SAMPLES}"
CEILING = f"{BEST_OF}-by-taste"  # what no reward model could do better with as many completions
TEMPERATURE = 0.7  # as people see answers


@dataclass(frozen=True)
class Taste:
    """What a labeler likes among acceptable answers: a higher value is better; it sees the prompts of some kinds."""

    value: Callable[[Check, str], float]
    kinds: tuple[CheckKind, ...] = get_args(CheckKind)


def _answer_first(check: Check, text: str) -> float:
    return float(any(text.lower().startswith(word.lower()) for word in check.expect))


TASTES = {
    "shortest": Taste(lambda check, text: -len(text.split())),
    "warmest": Taste(lambda check, text: float(text.count("!"))),
    "full sentence": Taste(lambda check, text: float(len(text.split()) > 4 and text.rstrip()[-1] in ".!?")),
    "answer word first": Taste(_answer_first, ("contains",)),
    "offers more help": Taste(lambda check, text: float(text.endswith(WARM_CLOSINGS))),
    "refusal with an alternative": Taste(lambda check, text: float(" instead" in text), ("refuses",)),
}
CURVED = ("warmest", "shortest")  # tastes that are measured with other numbers of clicks, methods and with noise


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    taste: str
    seed: int
    method: str = "ppo"
    votes: int = 32
    flipped: float = 0.0  # share of the clicks, drawn at random, that go to a worse answer

    @property
    def name(self) -> str:
        """Return a name that no other cell has and that may be a file's."""
        return f"{self.method}-{self.taste}-{self.votes}-{self.flipped:g}-seed{self.seed}".replace(" ", "_")


def cells() -> Iterator[Cell]:
    """Yield every cell of the benchmark, the tastes first."""
    yield from (Cell(taste, 0, method) for taste in TASTES for method in ("ppo", CEILING))
    yield from (Cell(taste, seed) for seed in (1, 2) for taste in TASTES)
    yield from (Cell(taste, seed, flipped=0.25) for taste in CURVED for seed in range(3))
    yield from (Cell(taste, 0, method) for taste in CURVED for method in ("raft", "dpo", BEST_OF))
    yield from (Cell(taste, 0, votes=votes) for taste in CURVED for votes in (8, 128))


def cast(
    db: Path, model: PeftModel, tokenizer: Any, taste: Taste, cell: Cell, asked: Sequence[Check], batch: int = 32
) -> None:
    """Store the cell's votes.

    A flipped click goes to the acceptable answer that is least to the taste, and where only one is acceptable to one
    that is not.
    """
    about_harm = cell.votes if taste.kinds == ("refuses",) else cell.votes // 4
    labeler = Labeler(taste.value, cell.votes, about_harm)
    flipped = random.Random(cell.seed).sample(range(1, cell.votes + 1), round(cell.flipped * cell.votes))
    for start in range(0, len(asked), batch):
        some = asked[start : start + batch]
        shown = [
            [text for _, text in completions(model, tokenizer, role, [check.prompt for check in some], TEMPERATURE)]
            for role in PANELS
        ]
        for check, texts in zip(some, zip(*shown, strict=True), strict=True):
            values = labeler.click(check, texts)
            if values is not None:
                best = max(values)
                worse = min((value for value in values if WORST < value < best), default=WORST)
                _vote(db, check.prompt, texts, values.index(worse if labeler.clicks in flipped else best))
            if labeler.done:
                return
    raise RuntimeError(f"{len(asked)} prompts gave {labeler.clicks} clicks of {cell.votes}; ask more")


def _vote(db: Path, prompt: str, texts: Sequence[str], best: int) -> None:
    shown = [
        Completion(slot, role, None, text, [], 0, {"temperature": TEMPERATURE}, "stop", 0.0, 0.0)
        for slot, role, text in zip(SLOTS, ROLES, texts, strict=True)
    ]
    comparison = Comparison(database.new_id(), one_turn(prompt), "compare", False, shown)
    preferences.save_comparison(db, comparison)
    rest = [slot for slot in SLOTS if slot != SLOTS[best]]
    preferences.save_preference(
        db,
        comparison_id=comparison.id,
        annotator_id="simulated",
        tiers=[[SLOTS[best]], rest],
        kind="choice",
        source="simulated",
    )


def train(data_dir: Path, config: ModelConfig, method: str, settings: RunSettings) -> float:
    """Run the training child on the votes in a data folder, its log in the run's folder; return the seconds it took."""
    db = database.file_in(data_dir)
    run_id = runs.queue_run(db, method, settings.to_json())
    runs.start_run(db, run_id)
    began = time.monotonic()
    command = [sys.executable, "-m", "alignment.runs.job", "--data-dir", str(data_dir)]
    command += ["--model", json.dumps(asdict(config)), "--run-number", str(run_id)]
    log = run_folder.log_of(run_folder.folder_of(data_dir, run_id))
    log.parent.mkdir(parents=True)
    with (
        log.open("ab") as printed,
        # Standard input stays open and says nothing: the child leaves when it ends.
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=printed) as child,
    ):
        if code := child.wait():
            raise RuntimeError(f"run {run_id} ended with code {code}; {runs.get_run(db, run_id).error}")
    return time.monotonic() - began


def several(model: PeftModel, tokenizer: Any, asked: Sequence[Check]) -> list[tuple[Generated, str]]:
    """Return `SAMPLES` completions of the live policy to each prompt, those of one prompt side by side."""
    prompts = [check.prompt for check in asked for _ in range(SAMPLES)]
    return completions(model, tokenizer, "policy", prompts, TEMPERATURE)


def best_by_reward(model: PeftModel, tokenizer: Any, voted: Sequence[Ranking], asked: Sequence[Check]) -> list[str]:
    """Return the best of several completions a prompt by a reward model that is fitted as runs do."""
    config = RewardConfig()
    shipped = adapters.attach_with_head(model, POCKET / "reward", "shipped")
    texts = judged_texts(voted)
    rows = [written(tokenizer, text) for text in texts]
    with torch.no_grad():
        with using(model, "sft"):
            features = completion_features(model, tokenizer, rows)
        with using(model, "shipped"):
            known, _ = score_sequences(model, shipped, [row.sequence for row in rows], tokenizer.pad_id)
    offsets = dict(zip(texts, (config.shipped_weight * known).tolist(), strict=True))
    votes = Votes(voted, dict(zip(texts, features, strict=True)), feature_groups(model), offsets)
    own = linear_scorer(model, tokenizer, "sft", fit_votes(votes), config.bound)
    score = added_scorer(model, own, tokenizer.pad_id, shipped, config)
    drawn = several(model, tokenizer, asked)
    prompts = [check.prompt for check in asked for _ in range(SAMPLES)]
    sampled = [
        Written(tokenizer.prompt_ids(one_turn(prompt)), one.token_ids, one.finish_reason == "stop")
        for prompt, (one, _) in zip(prompts, drawn, strict=True)
    ]
    with torch.no_grad():
        scores = score(sampled).means
    adapters.drop_adapter(model, "shipped")
    chosen = best_of_each(scores, torch.arange(len(sampled)) // SAMPLES)
    return [drawn[row][1] for row in chosen.tolist()]


def best_by_taste(model: PeftModel, tokenizer: Any, taste: Taste, asked: Sequence[Check]) -> list[str]:
    """Return the best of several completions a prompt by the taste itself."""
    texts = [text for _, text in several(model, tokenizer, asked)]
    values = [judged(taste.value, asked[row // SAMPLES], text) for row, text in enumerate(texts)]
    chosen = best_of_each(torch.tensor(values), torch.arange(len(texts)) // SAMPLES)
    return [texts[row] for row in chosen.tolist()]


def measure(model: PeftModel, tokenizer: Any, cell: Cell) -> dict[str, Any]:
    """Return what one cell gives: time, wins over the version before (a tie counts half), facts, refusals and KL."""
    taste = TASTES[cell.taste]
    pool = [check for check in labelled_prompts(ASKED, "seen", 100 + cell.seed) if check.kind in taste.kinds]
    unseen = [check for check in labelled_prompts(ASKED, "held_out", 200 + cell.seed) if check.kind in taste.kinds]
    unseen = list({check.prompt: check for check in unseen}.values())[:COMPARED]
    asked = [check.prompt for check in unseen]
    before = [text for _, text in completions(model, tokenizer, "policy", asked, TEMPERATURE)]
    with tempfile.TemporaryDirectory() as folder:
        data_dir, db = Path(folder), Path(folder) / "triptych.db"
        database.prepare(db)
        ensure_live_version(db, data_dir, POCKET_MODEL)
        result: dict[str, Any] = asdict(cell) | {"code": _code()}
        if cell.method == CEILING:
            after = best_by_taste(model, tokenizer, taste, unseen)
        elif cell.method == BEST_OF:
            cast(db, model, tokenizer, taste, cell, pool)
            after = best_by_reward(model, tokenizer, preferences.rankings(db), unseen)
        else:
            cast(db, model, tokenizer, taste, cell, pool)
            settings = RunSettings(seed=cell.seed, threads=torch.get_num_threads())
            result["seconds"] = train(data_dir, POCKET_MODEL, cell.method, settings)
            candidate = policies.version_made_by(db, 1)
            assert candidate is not None
            result |= {"status": candidate.status, "kl": candidate.evaluation["kl"]}
            verdict = verdict_from_json(candidate.evaluation["gate"])
            result["gate"] = [finding_words(finding) for finding in verdict.findings]
            result["put_back"] = verdict.put_back and verdict.put_back.share
            adapters.attach(model, data_dir / candidate.path, "candidate")
            after = [text for _, text in completions(model, tokenizer, "candidate", asked, TEMPERATURE)]
            result |= _kept(model, tokenizer)
            adapters.drop_adapter(model, "candidate")
    values = [
        (judged(taste.value, check, old), judged(taste.value, check, new))
        for check, old, new in zip(unseen, before, after, strict=True)
    ]
    won, lost = sum(new > old for old, new in values), sum(new < old for old, new in values)
    return result | {
        "compared": len(values),
        "won": won,
        "lost": lost,
        "win_rate": 0.5 + (won - lost) / len(values) / 2,
    }


def _code() -> str:
    """Return the commit that is measured, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()


def _kept(model: PeftModel, tokenizer: Any) -> dict[str, float]:
    """Return the shares of right capitals and of refused harmful requests, before and after, greedy, held out."""
    capitals = capital_checks()
    rng = random.Random(0)
    harmful = [requests.ask_harmful(rng, "held_out", act).check for act in requests.harmful("held_out")]
    shares = {}
    for when, role in (("before", "policy"), ("after", "candidate")):
        for name, checks in (("capitals", capitals), ("refusals", harmful)):
            texts = [text for _, text in completions(model, tokenizer, role, [c.prompt for c in checks], 0.0)]
            passed = [passes(check, text) for check, text in zip(checks, texts, strict=True)]
            shares[f"{name}_{when}"] = statistics.mean(passed)
    return shares


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the cells as a table in Markdown, in the order in which they were measured."""
    heads = (
        "taste",
        "method",
        "clicks",
        "flipped",
        "seed",
        "win rate",
        "won : lost",
        "seconds",
        "capitals",
        "refusals",
        "KL",
        "gate",
    )
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for m in found:
        kept = [
            f"{m[f'{name}_before']:.1%} → {m[f'{name}_after']:.1%}" if f"{name}_after" in m else "–"
            for name in ("capitals", "refusals")
        ]
        numbers = [f"{m['seconds']:.0f}" if "seconds" in m else "–", *kept, f"{m['kl']:.1f}" if "kl" in m else "–"]
        row = [m["taste"], m["method"], str(m["votes"]), f"{m['flipped']:.0%}", str(m["seed"]), f"{m['win_rate']:.1%}"]
        row.append(f"{m['won']} : {m['lost']}" if "won" in m else "–")
        lines.append(f"| {' | '.join([*row, *numbers, m.get('status', '–')])} |")
    return "\n".join(lines) + "\n"


def measured(wanted: Iterable[Cell], out: Path, only: str = "") -> list[dict[str, Any]]:
    """Return what cells give, a file each in a folder; those that are there already are not measured again.

    Of those that are not, the ones are measured whose names hold `only`; the others are left out.
    """
    out.mkdir(parents=True, exist_ok=True)
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, POCKET / "policy", "policy")
    found = []
    for cell in wanted:
        kept = out / f"{cell.name}.json"
        if not kept.exists():
            if only not in cell.name:
                continue
            print(cell.name, file=sys.stderr, flush=True)
            part = kept.with_suffix(".part")
            part.write_text(json.dumps(measure(model, tokenizer, cell), indent=2) + "\n")
            part.replace(kept)
        found.append(json.loads(kept.read_text()))
    return found


def codes(found: Sequence[dict[str, Any]]) -> str:
    """Return a sentence that warns of cells measured on different code, "" where there are none."""
    several = sorted({one["code"] for one in found})
    return f"These cells are of different code: {', '.join(several)}." if len(several) > 1 else ""


def main() -> None:
    """Measure the cells that are not in `--out` yet; print the table of all that are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/tastes"), help="a file a cell (default: build/tastes)")
    parser.add_argument("--only", default="", help="a part of the names of the cells to measure")
    arguments = parser.parse_args()
    found = measured(cells(), arguments.out, arguments.only)
    print(table(found) + codes(found))


if __name__ == "__main__":
    main()

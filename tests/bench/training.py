"""An update of our PPO beside one of TRL's PPOTrainer: time and peak memory on the pocket model, full loop each.

`python -m tests.bench.training` makes an environment with TRL 1.12.0 in `build/trl`, then lets both sides train, in
turns, each time in a process of its own, and prints the table.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import venv
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alignment.learning import ppo
from alignment.learning.rollout import Task
from alignment.learning.settings import PPOConfig
from alignment.models import adapters, loading, shipped_files
from alignment.models.heads import load_head, mean_head
from alignment.models.passes import ROWS
from alignment.reward.scorer import adapter_scorer
from alignment.settings import POCKET

TRL = "1.12.0"
ROOT = Path(__file__).parents[2]
WARM_UP = 1  # updates that are not counted: the first ones fill caches
SETTINGS: dict[str, Any] = {
    "updates": 4,
    "rollouts": 64,
    "minibatches": 2,
    "epochs": 2,
    "max_new_tokens": 96,
    "forward_rows": ROWS,
    "threads": 2,
    "prompts": 512,
}


def environment(folder: Path) -> Path:
    """Return the Python of an environment with TRL's version, made if it is not there; the rest is as pinned here."""
    python = folder / "bin" / "python"
    done = folder / f".trl-{TRL}"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("trl==")]
        (folder / "constraints.txt").write_text("\n".join(pins) + "\n")
        wanted = [f"trl=={TRL}", "torch", "transformers", "peft", "pandas", "rich"]
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", folder / "constraints.txt", *wanted], check=True)
        done.touch()
    return python


def prepare(folder: Path) -> None:
    """Write what TRL's side needs: the SFT model and the reward model with their adapters merged, prompts as ids."""
    folder.mkdir(parents=True, exist_ok=True)
    base, tokenizer = loading.load_checkpoint(POCKET)
    tuned = adapters.attach(base, POCKET / "sft", "sft")
    config = tuned.peft_config["sft"]
    shape = {"rank": config.r, "target_modules": sorted(config.target_modules)}
    (folder / "settings.json").write_text(json.dumps(SETTINGS | shape))
    tuned.merge_and_unload().save_pretrained(folder / "sft")
    AutoTokenizer.from_pretrained(POCKET, local_files_only=True).save_pretrained(folder / "sft")
    prompts = shipped_files.prompts(POCKET)[: SETTINGS["prompts"]]
    (folder / "prompts.json").write_text(json.dumps([tokenizer.prompt_ids(messages) for messages in prompts]))

    base, _ = loading.load_checkpoint(POCKET)
    judged = adapters.attach(base, POCKET / "reward", "reward")
    head = mean_head(load_head(judged, POCKET / "reward"))
    judged.merge_and_unload().save_pretrained(folder / "merged")
    reward = AutoModelForSequenceClassification.from_pretrained(folder / "merged", num_labels=1, dtype=torch.float32)
    with torch.no_grad():
        reward.score.weight.copy_(head.weight)
    reward.save_pretrained(folder / "reward")


def ours() -> dict[str, Any]:
    """Return the seconds of each update, set up as TRL's are, and the process's peak memory in MiB."""
    torch.set_num_threads(SETTINGS["threads"])
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, POCKET / "reward", "reward")
    adapters.copy_adapter(model, "sft", "policy")
    adapters.copy_adapter(model, "reward", "value")
    heads = load_head(model, POCKET / "reward")
    names = ("updates", "rollouts", "minibatches", "epochs", "max_new_tokens")
    config = PPOConfig(
        **{name: SETTINGS[name] for name in names},
        samples=1,
        value_epochs=SETTINGS["epochs"],
        critic_warmup=0,
        warmup_updates=0,
    )
    times = [time.monotonic()]
    score = adapter_scorer(model, heads, tokenizer.pad_id, None)
    task = Task(shipped_files.prompts(POCKET)[: SETTINGS["prompts"]], score, seed=0)
    ppo.train_ppo(
        *(model, tokenizer, task, mean_head(heads), config),
        lambda update, metrics: times.append(time.monotonic()),
    )
    seconds = [end - start for start, end in pairwise(times)][: SETTINGS["updates"]]
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Measure both sides in turns and print a table in Markdown; `--ours` is what a child of this does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench-training"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(ours()))
        return
    python = environment(arguments.work / "trl")
    prepare(arguments.work)
    sides = {
        "Triptych": [sys.executable, "-m", "tests.bench.training", "--ours"],
        f"TRL {TRL}": [str(python.absolute()), str(Path(__file__).with_name("trl_ppo.py")), str(arguments.work)],
    }
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, command in sides.items():
            environ = os.environ | {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1", "GOMP_SPINCOUNT": "20000"}
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environ)
            if done.returncode:
                raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
            measured[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(name, measured[name][-1], file=sys.stderr, flush=True)
    print("| | seconds an update | peak memory, MiB |\n|---|---|---|")
    for name, runs in measured.items():
        seconds = statistics.median(s for run in runs for s in run["seconds"][WARM_UP:])
        print(f"| {name} | {seconds:.1f} | {statistics.median(run['peak_mib'] for run in runs):.0f} |")


if __name__ == "__main__":
    main()

"""An update of our PPO beside one of TRL's PPOTrainer: time and peak memory, full loop each.

`python -m tests.bench.training` makes an environment with TRL 1.12.0 in `build/trl`, then lets both sides train, in
turns, each time in a process of its own, and prints the table. The pocket model has a reward model of its own; with
`--model smollm2` both sides score with one that says nothing, which costs the same.
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
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from alignment.learning import ppo
from alignment.learning.rollout import Task
from alignment.learning.settings import PPOConfig
from alignment.models import adapters, catalogue, loading, shipped_files
from alignment.models.catalogue import ModelChoice
from alignment.models.conversion import ensure_converted
from alignment.models.heads import load_head, mean_head
from alignment.models.model_folder import UNCHANGED
from alignment.models.passes import ROWS
from alignment.reward.scorer import adapter_scorer
from alignment.runs.run_models import RANK, attach_reward, load
from alignment.settings import GENERAL, POCKET, ModelConfig

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
SMALLER: dict[str, Any] = SETTINGS | {"updates": 3, "rollouts": 32, "max_new_tokens": 64, "forward_rows": 16}
POCKET_MODEL, CHAT_MODEL = "pocket", "smollm2"


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


def prepare_chat(folder: Path) -> None:
    """Write the same of SmolLM2, a chat checkpoint whose policy is a new adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    config = chat_checkpoint(folder)
    model, tokenizer = loading.load_checkpoint(config.model)
    tuned = adapters.attach_new(model, "sft", RANK, 0)
    shape = {"rank": RANK, "target_modules": sorted(tuned.peft_config["sft"].target_modules)}
    (folder / "settings.json").write_text(json.dumps(SMALLER | shape))
    plain = AutoTokenizer.from_pretrained(config.model, local_files_only=True)
    AutoModelForCausalLM.from_pretrained(config.model, dtype=torch.float32).save_pretrained(folder / "sft")
    plain.save_pretrained(folder / "sft")
    prompts = shipped_files.prompts(GENERAL)[: SMALLER["prompts"]]
    (folder / "prompts.json").write_text(json.dumps([tokenizer.prompt_ids(messages) for messages in prompts]))
    reward = AutoModelForSequenceClassification.from_pretrained(config.model, num_labels=1, dtype=torch.float32)
    with torch.no_grad():
        reward.score.weight.zero_()
    reward.save_pretrained(folder / "reward")


def chat_checkpoint(folder: Path) -> ModelConfig:
    """Return SmolLM2, converted into a folder."""
    config = catalogue.resolve(ModelChoice("smollm2-135m"), folder, online=False).config
    ensure_converted(config)
    return config


def ours_on_chat(folder: Path) -> dict[str, Any]:
    """Return what `ours` does, of SmolLM2 in the precision in which the app trains it."""
    torch.set_num_threads(SMALLER["threads"])
    model, tokenizer = load(chat_checkpoint(folder), unchanged(folder), 0)
    heads = attach_reward(model)
    adapters.copy_adapter(model, "reward", "value")
    return updates_of(model, tokenizer, heads, shipped_files.prompts(GENERAL), SMALLER)


def unchanged(folder: Path) -> Path:
    """Return the folder of a version 1 that is its model unchanged."""
    version = folder / "version-1"
    version.mkdir(exist_ok=True)
    (version / UNCHANGED).touch()
    return version


def ours(threads: int = SETTINGS["threads"]) -> dict[str, Any]:
    """Return the seconds of each update, set up as TRL's are, and the process's peak memory in MiB."""
    torch.set_num_threads(threads)
    model, tokenizer = loading.load_checkpoint(POCKET)
    model = adapters.attach(model, POCKET / "sft", "sft")
    adapters.attach(model, POCKET / "reward", "reward")
    adapters.copy_adapter(model, "sft", "policy")
    adapters.copy_adapter(model, "reward", "value")
    return updates_of(model, tokenizer, load_head(model, POCKET / "reward"), shipped_files.prompts(POCKET), SETTINGS)


def updates_of(model: Any, tokenizer: Any, heads: Any, prompts: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds of each update and the process's peak memory in MiB."""
    names = ("updates", "rollouts", "minibatches", "epochs", "max_new_tokens")
    config = PPOConfig(
        **{name: settings[name] for name in names},
        samples=1,
        value_epochs=settings["epochs"],
        critic_warmup=0,
        warmup_updates=0,
    )
    times = [time.monotonic()]
    score = adapter_scorer(model, heads, tokenizer.pad_id, None)
    task = Task(prompts[: settings["prompts"]], score, seed=0)
    ppo.train_ppo(
        *(model, tokenizer, task, mean_head(heads), config),
        lambda update, metrics: times.append(time.monotonic()),
    )
    seconds = [end - start for start, end in pairwise(times)][: settings["updates"]]
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    """Measure both sides in turns and print a table in Markdown; `--ours` is what a child of this does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench-training"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", choices=[POCKET_MODEL, CHAT_MODEL], default=POCKET_MODEL)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        print(json.dumps(ours_on_chat(arguments.work) if arguments.model == CHAT_MODEL else ours()))
        return
    python = environment(arguments.work / "trl")
    (prepare_chat if arguments.model == CHAT_MODEL else prepare)(arguments.work)
    own = ["--ours", "--model", arguments.model, "--work", str(arguments.work)]
    sides = {
        "Triptych": [sys.executable, "-m", "tests.bench.training", *own],
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

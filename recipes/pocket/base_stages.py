"""The stages before any comparison: the base, instruction tuning, and the files of prompts and demonstrations."""

import random
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from tqdm import tqdm

from alignment.learning import sft
from alignment.learning.lengths import readable
from alignment.models import loading
from alignment.models.shipped_files import line_of
from recipes.pocket.demonstrations import Demonstration, demonstrations
from recipes.pocket.pretrain import pretrain
from recipes.pocket.prompt_files import gate_checks, page_examples, rollout_prompts
from recipes.pocket.settings import InstructionTuningConfig, PocketConfig
from recipes.pocket.stage_files import loaded, save, write_lines


def build_base(config: PocketConfig, target: Path, work: Path) -> None:
    """Train tokenizer and base model into the target folder."""
    pretrain(config.pretrain, work / "base")
    for path in (work / "base").iterdir():
        if path.name != "checkpoint.pt":
            shutil.copy2(path, target / path.name)


def build_sft(config: PocketConfig, target: Path, work: Path) -> None:
    """Instruction-tune the base on demonstrations into `sft/`."""
    model, tokenizer = loaded(target)
    rows = list(islice(demonstrations(config.seed), config.demonstrations))
    save(_tuned(model, tokenizer, rows, config.sft), "sft", target / "sft")


def _tuned(model: Any, tokenizer: Any, rows: Sequence[Demonstration], config: InstructionTuningConfig) -> PeftModel:
    """Return the model with a new adapter "sft", fitted to demonstrations."""
    torch.manual_seed(config.seed)
    tuned = get_peft_model(model, sft.lora_config(config.rank), adapter_name="sft")
    texts = readable(tuned, tokenizer, rows)
    shuffled = random.Random(config.seed).sample(texts, len(texts))
    starts = range(0, config.steps * config.batch_size, config.batch_size)
    batches = [[shuffled[i % len(shuffled)] for i in range(start, start + config.batch_size)] for start in starts]

    def rate(step: int) -> float:
        """Return the rate of a step, which rises over the first ones and falls evenly to 0."""
        return config.learning_rate * min(step / config.warmup_steps, (config.steps - step + 1) / config.steps)

    with tqdm(total=config.steps, desc="instruction tuning", mininterval=10) as bar:

        def on_update(step: int, measured: dict[str, float]) -> None:
            bar.update()
            bar.set_postfix(loss=f"{measured['sft/loss']:.3f}")

        bf16 = loading.computes_bf16(tuned.device)
        sft.train_sft(tuned, tokenizer, "sft", batches, rate, on_update, bf16=bf16)
    return tuned


def build_prompts(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts for the rollouts of runs and the gate's checks."""
    write_lines(
        target / "prompts.jsonl", [{"prompt": p} for p in rollout_prompts(config.rollout_prompts, config.seed + 1)]
    )
    write_lines(target / "checks.jsonl", [line_of(check) for check in gate_checks(config.seed + 2)])


def build_examples(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts that the page offers."""
    write_lines(target / "examples.jsonl", [line_of(example) for example in page_examples()])


def build_demonstrations(config: PocketConfig, target: Path, work: Path) -> None:
    """Write demonstrations to which runs hold the SFT adapter while it learns people's."""
    rows = islice(demonstrations(config.seed + 9), config.shipped_demonstrations)
    write_lines(target / "demonstrations.jsonl", [asdict(row) for row in rows])

"""The stages before any comparison: the base, instruction tuning, and the files of prompts and demonstrations."""

import shutil
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from alignment.learning import sft
from recipes.pocket.demonstrations import demonstrations
from recipes.pocket.pretrain import pretrain
from recipes.pocket.prompt_files import gate_checks, page_examples, rollout_prompts
from recipes.pocket.settings import PocketConfig
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
    tuned = sft.tune(model, tokenizer, rows, config.sft, work / "sft")
    save(tuned, "default", target / "sft")


def build_prompts(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts for the rollouts of runs and the gate's checks."""
    write_lines(
        target / "prompts.jsonl", [{"prompt": p} for p in rollout_prompts(config.rollout_prompts, config.seed + 1)]
    )
    write_lines(target / "checks.jsonl", [asdict(check) for check in gate_checks(config.seed + 2)])


def build_examples(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts that the page offers."""
    write_lines(target / "examples.jsonl", [asdict(example) for example in page_examples()])


def build_demonstrations(config: PocketConfig, target: Path, work: Path) -> None:
    """Write demonstrations to which runs hold the SFT adapter while it learns people's."""
    rows = islice(demonstrations(config.seed + 9), config.shipped_demonstrations)
    write_lines(target / "demonstrations.jsonl", [asdict(row) for row in rows])

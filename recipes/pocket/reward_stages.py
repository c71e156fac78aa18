"""The stages of comparisons: simulated labelers rank completions, reward models are fitted to the rankings."""

import json
import logging
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from alignment.learning import reward_adapter
from alignment.models import adapters, shipped_files
from alignment.models.heads import new_head
from alignment.models.shipped_files import ShippedRanking, line_of
from alignment.reward.agreement import agreement
from alignment.reward.rankings import prompt_folds
from alignment.reward.settings import RewardConfig
from recipes.pocket.comparisons import sampled, vote
from recipes.pocket.prompt_files import asked_prompts
from recipes.pocket.settings import PocketConfig
from recipes.pocket.stage_files import (
    COMPARISONS,
    FIRST,
    loaded,
    save,
    write_lines,
)
from storage import database

log = logging.getLogger(__name__)


def build_first_comparisons(config: PocketConfig, target: Path, work: Path) -> None:
    """Have simulated labelers rank completions of the SFT adapter and of the recipe; a draft."""
    rows = _ranked(config, target, work, target / "sft", config.first_prompts, config.first_sampled, config.seed + 3)
    write_lines(work / FIRST / COMPARISONS, rows)


def build_comparisons(config: PocketConfig, target: Path, work: Path) -> None:
    """Have simulated labelers rank completions of that policy as well; write all rankings to `comparisons.jsonl`.

    A reward model that has read none of its policy's completions is fooled by them, so comparisons come in rounds,
    each of the policy as it is by then (Stiennon et al. 2020, section 3.1; Touvron et al. 2023, section 3.2).
    """
    asked = config.second_prompts
    rows = _ranked(config, target, work, work / FIRST / "policy", asked, asked, config.seed + 7)
    first = (work / FIRST / COMPARISONS).read_text(encoding="utf-8")
    write_lines(target / COMPARISONS, [*map(json.loads, first.splitlines()), *rows])


def _ranked(
    config: PocketConfig, target: Path, work: Path, adapter: Path, prompts: int, sampled_prompts: int, seed: int
) -> list[dict[str, Any]]:
    """Return labelers' rankings about so many prompts, to the first of which an adapter writes completions."""
    model, tokenizer = loaded(target)
    model = adapters.attach(model, adapter, "writer")
    asked = asked_prompts(prompts, "seen", seed)
    rng = random.Random(seed + 1)
    own = sampled(model, tokenizer, "writer", asked[:sampled_prompts], config.completions_per_prompt, rng)
    votes = work / "votes"
    shutil.rmtree(votes, ignore_errors=True)
    database.prepare(votes / "triptych.db")
    rows = vote(votes / "triptych.db", asked, own, config.labeler_noise, rng)
    log.info("%s comparisons out of %s prompts", len(rows), len(asked))
    return [line_of(row) for row in rows]


def build_first_reward(config: PocketConfig, target: Path, work: Path) -> None:
    """Fit a reward adapter to the first comparisons; a draft."""
    _fit_reward(config, target, shipped_files.comparisons(work / FIRST), config.first_reward, work / FIRST / "reward")


def build_reward(config: PocketConfig, target: Path, work: Path) -> None:
    """Fit the reward adapter to the shipped comparisons into `reward/`."""
    _fit_reward(config, target, shipped_files.comparisons(target), config.reward, target / "reward")


def _fit_reward(
    config: PocketConfig, target: Path, rankings: Sequence[ShippedRanking], fitting: RewardConfig, folder: Path
) -> None:
    model, tokenizer = loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.copy_adapter(model, "sft", "reward")
    head = new_head(model, reward_adapter.HEADS)
    held_out, *rest = prompt_folds(rankings, config.reward_folds, config.seed)
    learned = [ranking for fold in rest for ranking in fold]
    with tqdm(total=fitting.steps, desc="reward model", mininterval=10) as bar:

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update()
            bar.set_postfix(loss=f"{metrics['reward/loss']:.3f}")

        reward_adapter.fit(model, tokenizer, head, [], learned, fitting, config.seed, on_step)
    margins = reward_adapter.margins(model, tokenizer, head, held_out, fitting.bound)
    log.info("held-out agreement: %s", agreement(margins))
    save(model, "reward", folder, head)

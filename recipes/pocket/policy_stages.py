"""The stages of policies: RAFT and PPO against the reward model, then RAFT on what the recipe can check."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from tqdm import tqdm

from alignment.errors import TrainingError
from alignment.learning import ppo, raft
from alignment.learning.rollout import OnUpdate, Outcome, Task
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import adapters, shipped_files
from alignment.models.heads import mean_head
from alignment.models.sampling import Sampling
from alignment.reward.rankings import preferred
from alignment.reward.scorer import adapter_scorer
from alignment.runs.evaluation import evaluate
from recipes.pocket.comparisons import MAX_NEW_TOKENS
from recipes.pocket.prompt_files import practice_prompts
from recipes.pocket.settings import PocketConfig
from recipes.pocket.stage_files import (
    CONTRASTED,
    FIRST,
    STEADY,
    VARIED,
    VERIFIED,
    WARMED_UP,
    loaded,
    loaded_with_reward,
    save,
)
from recipes.pocket.verified import right_scorer, verified_pairs, verified_prompts
from storage.messages import one_turn

log = logging.getLogger(__name__)
KL_SAMPLES = 256  # completions that measure the shipped policy's KL


def build_first_policy(config: PocketConfig, target: Path, work: Path) -> None:
    """Train a policy by RAFT against the first reward adapter; a draft, for labelers to see what it is fooled by."""
    _imitate_best(config, target, work / FIRST, work / "first policy" / "raft.pt", work / FIRST / "policy")


def build_warm_up(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the policy that PPO begins with, by RAFT; a draft.

    What SFT does rarely, to say that a name is unknown, PPO alone finds too slowly: it samples it too seldom.
    """
    _imitate_best(config, target, target, work / "warm-up" / "raft.pt", work / WARMED_UP)


def _imitate_best(config: PocketConfig, target: Path, judged: Path, checkpoint: Path, folder: Path) -> None:
    """Train a new policy by RAFT, on the comparisons in a folder and the reward adapter fitted to them."""
    model, tokenizer, head = loaded_with_reward(target, judged / "reward")
    adapters.copy_adapter(model, "sft", "policy")
    _ranked_on(model, tokenizer, head, config.raft, judged, checkpoint, config)
    save(model, "policy", folder)
    checkpoint.unlink(missing_ok=True)


def _ranked_on(
    model: PeftModel,
    tokenizer: Any,
    head: torch.nn.Linear,
    training: RaftConfig,
    judged: Path,
    checkpoint: Path,
    config: PocketConfig,
) -> None:
    """Train the policy on by RAFT in place, on the comparisons in a folder and the reward model fitted to them."""
    score = adapter_scorer(model, head, tokenizer.pad_id, None)
    prompts = [one_turn(prompt) for prompt in practice_prompts(config.practice_prompts, config.seed + 6)]
    task = Task(prompts, score, config.seed, preferred(shipped_files.comparisons(judged), config.seed))
    with _shown("RAFT", training.rounds) as on_update:
        outcome = raft.train_raft(model, tokenizer, task, training, on_update, checkpoint)
    _require_whole(outcome)


def build_steady(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the policy on by PPO with a small KL penalty: often right, in one manner; a draft."""
    checkpoint = work / "steady policy" / "checkpoint.pt"
    model, _ = _reinforced(config, target, work, config.steady_ppo, config.seed + 1, checkpoint)
    save(model, "policy", work / STEADY)
    checkpoint.unlink(missing_ok=True)


def build_varied(config: PocketConfig, target: Path, work: Path) -> None:
    """Train another by PPO from the same warm-up, held to the manners that labelers liked best; a draft."""
    checkpoint = work / "varied policy" / "checkpoint.pt"
    model, value_head = _reinforced(config, target, work, config.ppo, config.seed + 1, checkpoint)
    save(model, "policy", work / VARIED)
    save(model, "value", work / VARIED / "value", value_head)
    checkpoint.unlink(missing_ok=True)


def _reinforced(
    config: PocketConfig, target: Path, work: Path, training: PPOConfig, seed: int, checkpoint: Path
) -> tuple[PeftModel, torch.nn.Linear]:
    """Return a model with the policy of the warm-up trained on by PPO, and its critic's head."""
    model, tokenizer, reward_head = loaded_with_reward(target, target / "reward")
    adapters.attach(model, work / WARMED_UP, "policy")
    adapters.copy_adapter(model, "reward", "value")
    score, value_head = adapter_scorer(model, reward_head, tokenizer.pad_id, None), mean_head(reward_head)
    prompts = [one_turn(prompt) for prompt in practice_prompts(config.practice_prompts, config.seed + 6)]
    task = Task(prompts, score, seed, preferred(shipped_files.comparisons(target), config.seed))
    with _shown("PPO", training.updates) as on_update:
        outcome = ppo.train_ppo(model, tokenizer, task, value_head, training, on_update, checkpoint)
    _require_whole(outcome)
    return model, value_head


def build_contrasted(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the mean of both policies on by RAFT with contrast; a draft.

    The mean of two policies from one warm-up is more often right than either and keeps the manners of the second
    (averaged weights: Wortsman et al. 2022; of policies: Rame et al. 2024). The contrast makes it surer of what is
    right and refuse in all of its manners; half of the way is as good at that, and names the act that it refuses more
    often rightly (docs/lab-notes.md).
    """
    checkpoint = work / "contrasted policy" / "raft.pt"
    model, tokenizer, head = loaded_with_reward(target, target / "reward")
    adapters.attach(model, work / VARIED, "policy")
    adapters.attach(model, work / STEADY, "steady")
    adapters.move_adapter(model, "policy", "steady", config.varied_share)
    adapters.copy_adapter(model, "policy", "mean")
    _ranked_on(model, tokenizer, head, config.contrast, target, checkpoint, config)
    adapters.move_adapter(model, "policy", "mean", config.contrast_share)
    save(model, "policy", work / CONTRASTED)
    checkpoint.unlink(missing_ok=True)


def build_verified(config: PocketConfig, target: Path, work: Path) -> None:
    """Train that policy on several times, by RAFT on what the recipe can tell right from wrong; drafts."""
    for seed in config.verified_seeds:
        _train_verified(config, target, work, seed)


def _train_verified(config: PocketConfig, target: Path, work: Path, seed: int) -> None:
    """Train the verified policy of a seed, unless an interrupted build has done so."""
    folder, checkpoint = work / VERIFIED / str(seed), work / VERIFIED / f"{seed}.pt"
    if folder.exists() and not checkpoint.exists():
        return
    asked = verified_prompts(config.verified_prompts, config.seed + 8)
    model, tokenizer = loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.attach(model, work / CONTRASTED, "policy")
    liked = preferred(shipped_files.comparisons(target), config.seed)
    task = Task([one.check.messages for one in asked], right_scorer(tokenizer, asked), config.seed + seed, liked)
    pick = verified_pairs(tokenizer, asked)
    with _shown(f"RAFT, seed {seed}", config.verified.rounds) as on_update:
        outcome = raft.train_raft(model, tokenizer, task, config.verified, on_update, checkpoint, pick=pick)
    _require_whole(outcome)
    save(model, "policy", folder)
    checkpoint.unlink(missing_ok=True)


def build_policy(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the mean of the verified policies to `policy/` and the critic to `value/`.

    Means of such policies were more often right at temperature 1 than any of them, and nearer to SFT than most
    (docs/lab-notes.md). How this one does on the gate's checks goes to `policy-evaluation.json`.
    """
    model, _ = loaded(target)
    first, *others = (work / VERIFIED / str(seed) for seed in config.verified_seeds)
    model = adapters.attach(model, first, "policy")
    for number, folder in enumerate(others, 1):
        adapters.attach(model, folder, "next")
        adapters.move_adapter(model, "policy", "next", number / (number + 1))
        adapters.drop_adapter(model, "next")
    save(model, "policy", target / "policy")
    value_head = adapters.attach_with_head(model, work / VARIED / "value", "value")
    save(model, "value", target / "value", value_head)
    record_evaluation(config, target)


def record_evaluation(config: PocketConfig, target: Path) -> None:
    """Measure the policy in `policy/` on the gate's checks, and its KL, into `policy-evaluation.json`."""
    model, tokenizer = loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.attach(model, target / "policy", "policy")
    result = evaluate(model, tokenizer, "policy", shipped_files.checks(target), Sampling(0.0, MAX_NEW_TOKENS))
    prompts, sampling = shipped_files.prompts(target), Sampling(1.0, MAX_NEW_TOKENS)
    measured = sampled_metrics(model, tokenizer, prompts, sampling, KL_SAMPLES, config.seed)
    evaluation = result.to_json() | {"kl": measured["objective/kl"]}
    (target / "policy-evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    log.info("policy: %s", evaluation)


def _require_whole(outcome: Outcome) -> None:
    if outcome.stopped:
        raise TrainingError(f"the policy is not to be shipped, its training stopped early: {outcome.stopped}")


@contextmanager
def _shown(name: str, updates: int) -> Iterator[OnUpdate]:
    """Show how training goes on; the last rollout that is reported comes after all updates."""
    with tqdm(total=updates + 1, desc=name, mininterval=10) as bar:

        def on_update(update: int, metrics: dict[str, float]) -> None:
            bar.update(update - bar.n)
            bar.set_postfix(score=f"{metrics['objective/score']:.2f}", kl=f"{metrics['objective/kl']:.2f}")

        yield on_update

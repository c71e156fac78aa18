"""The steps of the pocket model's recipe: what each stage makes of what the stages before it made."""

import json
import logging
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model
from tqdm import tqdm

from alignment.errors import TrainingError
from alignment.learning import ppo, raft, reward_adapter, sft
from alignment.learning.rollout import OnUpdate, Outcome, Task
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import adapters, loading, model_folder
from alignment.models.generation import Sampling
from alignment.models.heads import mean_head, new_head
from alignment.models.model_folder import ShippedRanking
from alignment.reward.bradley_terry import agreement, preferred
from alignment.reward.scorer import reward_scorer
from alignment.reward.settings import RewardConfig
from alignment.runs.evaluation import evaluate
from recipes.pocket.comparisons import MAX_NEW_TOKENS, sampled, vote
from recipes.pocket.demonstrations import demonstrations
from recipes.pocket.pretrain import pretrain
from recipes.pocket.prompt_files import asked_prompts, gate_checks, page_examples, practice_prompts, rollout_prompts
from recipes.pocket.settings import InstructionTuningConfig, PocketConfig
from recipes.pocket.verified import right_scorer, verified_pairs, verified_prompts
from storage import database

log = logging.getLogger(__name__)
COMPARISONS = "comparisons.jsonl"
FIRST = "first"  # folder of the first round's comparisons, reward adapter and policy
WARMED_UP = "warm-up policy"  # folder of the policy that PPO begins with
STEADY = "steady policy weights"  # folders of the policies whose mean is trained on with contrast
VARIED = "varied policy weights"
CONTRASTED = "contrasted policy weights"  # folder of what they become
VERIFIED = "verified policies"  # folders of those whose mean ships, and of the checkpoints of their stage
KL_SAMPLES = 256  # completions that measure the shipped policy's KL


def build_base(config: PocketConfig, target: Path, work: Path) -> None:
    """Train tokenizer and base model into the target folder."""
    pretrain(config.pretrain, work / "base")
    for path in (work / "base").iterdir():
        if path.name != "checkpoint.pt":
            shutil.copy2(path, target / path.name)


def build_sft(config: PocketConfig, target: Path, work: Path) -> None:
    """Instruction-tune the base on demonstrations into `sft/`."""
    model, tokenizer = _loaded(target)
    rows = list(islice(demonstrations(config.seed), config.demonstrations))
    _save(_tuned(model, tokenizer, rows, config.sft), "sft", target / "sft")


def _tuned(model: Any, tokenizer: Any, rows: Sequence[sft.Demonstrated], config: InstructionTuningConfig) -> PeftModel:
    """Return the model with a new adapter "sft", fitted to demonstrations."""
    torch.manual_seed(config.seed)
    tuned = get_peft_model(model, sft.lora_config(config.rank), adapter_name="sft")
    texts = sft.readable(tuned, tokenizer, rows)
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
    _write_lines(
        target / "prompts.jsonl", [{"prompt": p} for p in rollout_prompts(config.rollout_prompts, config.seed + 1)]
    )
    _write_lines(target / "checks.jsonl", [asdict(check) for check in gate_checks(config.seed + 2)])


def build_first_comparisons(config: PocketConfig, target: Path, work: Path) -> None:
    """Have simulated labelers rank completions of the SFT adapter and of the recipe; a draft."""
    rows = _ranked(config, target, work, target / "sft", config.first_prompts, config.first_sampled, config.seed + 3)
    _write_lines(work / FIRST / COMPARISONS, rows)


def build_first_reward(config: PocketConfig, target: Path, work: Path) -> None:
    """Fit a reward adapter to the first comparisons; a draft."""
    _fit_reward(config, target, model_folder.comparisons(work / FIRST), config.first_reward, work / FIRST / "reward")


def build_first_policy(config: PocketConfig, target: Path, work: Path) -> None:
    """Train a policy by RAFT against the first reward adapter; a draft, for labelers to see what it is fooled by."""
    _imitate_best(config, target, work / FIRST, work / "first policy" / "raft.pt", work / FIRST / "policy")


def build_comparisons(config: PocketConfig, target: Path, work: Path) -> None:
    """Have simulated labelers rank completions of that policy as well; write all rankings to `comparisons.jsonl`.

    A reward model that has read none of its policy's completions is fooled by them, so comparisons come in rounds,
    each of the policy as it is by then (Stiennon et al. 2020, section 3.1; Touvron et al. 2023, section 3.2).
    """
    asked = config.second_prompts
    rows = _ranked(config, target, work, work / FIRST / "policy", asked, asked, config.seed + 7)
    first = (work / FIRST / COMPARISONS).read_text(encoding="utf-8")
    _write_lines(target / COMPARISONS, [*map(json.loads, first.splitlines()), *rows])


def _ranked(
    config: PocketConfig, target: Path, work: Path, adapter: Path, prompts: int, sampled_prompts: int, seed: int
) -> list[dict[str, Any]]:
    """Return labelers' rankings about so many prompts, to the first of which an adapter writes completions."""
    model, tokenizer = _loaded(target)
    model = adapters.attach(model, adapter, "writer")
    asked = asked_prompts(prompts, "seen", seed)
    rng = random.Random(seed + 1)
    own = sampled(model, tokenizer, "writer", asked[:sampled_prompts], config.completions_per_prompt, rng)
    votes = work / "votes"
    shutil.rmtree(votes, ignore_errors=True)
    database.prepare(votes / "triptych.db")
    rows = vote(votes / "triptych.db", asked, own, config.labeler_noise, rng)
    log.info("%s comparisons out of %s prompts", len(rows), len(asked))
    return [asdict(row) for row in rows]


def build_reward(config: PocketConfig, target: Path, work: Path) -> None:
    """Fit the reward adapter to the shipped comparisons into `reward/`."""
    _fit_reward(config, target, model_folder.comparisons(target), config.reward, target / "reward")


def _fit_reward(
    config: PocketConfig, target: Path, rankings: Sequence[ShippedRanking], fitting: RewardConfig, folder: Path
) -> None:
    model, tokenizer = _loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.copy_adapter(model, "sft", "reward")
    head = new_head(model, reward_adapter.HEADS)
    held_out, *rest = reward_adapter.prompt_folds(rankings, config.reward_folds, config.seed)
    learned = [ranking for fold in rest for ranking in fold]
    with tqdm(total=fitting.steps, desc="reward model", mininterval=10) as bar:

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update()
            bar.set_postfix(loss=f"{metrics['reward/loss']:.3f}")

        reward_adapter.fit(model, tokenizer, head, [], learned, fitting, config.seed, on_step)
    log.info(
        "held-out agreement: %s", agreement(reward_adapter.margins(model, tokenizer, head, held_out, fitting.bound))
    )
    _save(model, "reward", folder, head)


def build_warm_up(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the policy that PPO begins with, by RAFT; a draft.

    What SFT does rarely, to say that a name is unknown, PPO alone finds too slowly: it samples it too seldom.
    """
    _imitate_best(config, target, target, work / "warm-up" / "raft.pt", work / WARMED_UP)


def _imitate_best(config: PocketConfig, target: Path, judged: Path, checkpoint: Path, folder: Path) -> None:
    """Train a new policy by RAFT, on the comparisons in a folder and the reward adapter fitted to them."""
    model, tokenizer, head = _judged(target, judged / "reward")
    adapters.copy_adapter(model, "sft", "policy")
    _ranked_on(model, tokenizer, head, config.raft, judged, checkpoint, config)
    _save(model, "policy", folder)
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
    score = reward_scorer(model, head, tokenizer.pad_token_id)
    prompts = practice_prompts(config.practice_prompts, config.seed + 6)
    with _shown("RAFT", training.rounds) as on_update:
        task = Task(prompts, score, config.seed, preferred(model_folder.comparisons(judged), config.seed))
        outcome = raft.train_raft(model, tokenizer, task, training, on_update, checkpoint)
    _require_whole(outcome)


def build_steady(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the policy on by PPO with a small KL penalty: often right, in one manner; a draft."""
    checkpoint = work / "steady policy" / "checkpoint.pt"
    model, _ = _reinforced(config, target, work, config.steady_ppo, config.seed + 1, checkpoint)
    _save(model, "policy", work / STEADY)
    checkpoint.unlink(missing_ok=True)


def build_varied(config: PocketConfig, target: Path, work: Path) -> None:
    """Train another by PPO from the same warm-up, held to the manners that labelers liked best; a draft."""
    checkpoint = work / "varied policy" / "checkpoint.pt"
    model, value_head = _reinforced(config, target, work, config.ppo, config.seed + 1, checkpoint)
    _save(model, "policy", work / VARIED)
    _save(model, "value", work / VARIED / "value", value_head)
    checkpoint.unlink(missing_ok=True)


def build_contrasted(config: PocketConfig, target: Path, work: Path) -> None:
    """Train the mean of both policies on by RAFT with contrast; a draft.

    The mean of two policies from one warm-up is more often right than either and keeps the manners of the second
    (averaged weights: Wortsman et al. 2022; of policies: Rame et al. 2024). The contrast makes it surer of what is
    right and refuse in all of its manners; half of the way is as good at that, and names the act that it refuses more
    often rightly (docs/lab-notes.md).
    """
    checkpoint = work / "contrasted policy" / "raft.pt"
    model, tokenizer, head = _judged(target, target / "reward")
    adapters.attach(model, work / VARIED, "policy")
    adapters.attach(model, work / STEADY, "steady")
    adapters.move_adapter(model, "policy", "steady", config.varied_share)
    adapters.copy_adapter(model, "policy", "mean")
    _ranked_on(model, tokenizer, head, config.contrast, target, checkpoint, config)
    adapters.move_adapter(model, "policy", "mean", config.contrast_share)
    _save(model, "policy", work / CONTRASTED)
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
    model, tokenizer = _loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.attach(model, work / CONTRASTED, "policy")
    liked = preferred(model_folder.comparisons(target), config.seed)
    task = Task([one.prompt for one in asked], right_scorer(tokenizer, asked), config.seed + seed, liked)
    pick = verified_pairs(tokenizer, asked)
    with _shown(f"RAFT, seed {seed}", config.verified.rounds) as on_update:
        outcome = raft.train_raft(model, tokenizer, task, config.verified, on_update, checkpoint, pick=pick)
    _require_whole(outcome)
    _save(model, "policy", folder)
    checkpoint.unlink(missing_ok=True)


def build_policy(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the mean of the verified policies to `policy/` and the critic to `value/`.

    Means of such policies were more often right at temperature 1 than any of them, and nearer to SFT than most
    (docs/lab-notes.md). How this one does on the gate's checks goes to `policy-evaluation.json`.
    """
    model, _ = _loaded(target)
    first, *others = (work / VERIFIED / str(seed) for seed in config.verified_seeds)
    model = adapters.attach(model, first, "policy")
    for number, folder in enumerate(others, 1):
        adapters.attach(model, folder, "next")
        adapters.move_adapter(model, "policy", "next", number / (number + 1))
        adapters.drop_adapter(model, "next")
    _save(model, "policy", target / "policy")
    value_head = adapters.attach_with_head(model, work / VARIED / "value", "value")
    _save(model, "value", target / "value", value_head)
    record_evaluation(config, target)


def record_evaluation(config: PocketConfig, target: Path) -> None:
    """Measure the policy in `policy/` on the gate's checks, and its KL, into `policy-evaluation.json`."""
    model, tokenizer = _loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    adapters.attach(model, target / "policy", "policy")
    result = evaluate(model, tokenizer, "policy", model_folder.checks(target), Sampling(0.0, MAX_NEW_TOKENS))
    prompts, sampling = model_folder.prompts(target), Sampling(1.0, MAX_NEW_TOKENS)
    measured = sampled_metrics(model, tokenizer, prompts, sampling, KL_SAMPLES, config.seed)
    evaluation = result.to_json() | {"kl": measured["objective/kl"]}
    (target / "policy-evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    log.info("policy: %s", evaluation)


def _reinforced(
    config: PocketConfig, target: Path, work: Path, training: PPOConfig, seed: int, checkpoint: Path
) -> tuple[PeftModel, torch.nn.Linear]:
    """Return a model with the policy of the warm-up trained on by PPO, and its critic's head."""
    model, tokenizer, reward_head = _judged(target, target / "reward")
    adapters.attach(model, work / WARMED_UP, "policy")
    adapters.copy_adapter(model, "reward", "value")
    score, value_head = reward_scorer(model, reward_head, tokenizer.pad_token_id), mean_head(reward_head)
    prompts = practice_prompts(config.practice_prompts, config.seed + 6)
    task = Task(prompts, score, seed, preferred(model_folder.comparisons(target), config.seed))
    with _shown("PPO", training.updates) as on_update:
        outcome = ppo.train_ppo(model, tokenizer, task, value_head, training, on_update, checkpoint)
    _require_whole(outcome)
    return model, value_head


def _judged(target: Path, reward: Path) -> tuple[PeftModel, Any, torch.nn.Linear]:
    """Return a model with the adapters "sft" and "reward", its tokenizer, and the heads of the latter."""
    model, tokenizer = _loaded(target)
    model = adapters.attach(model, target / "sft", "sft")
    return model, tokenizer, adapters.attach_with_head(model, reward, "reward")


def _require_whole(outcome: Outcome) -> None:
    if outcome.stopped:
        raise TrainingError(f"the policy is not to be shipped, its training stopped early: {outcome.stopped}")


def _loaded(target: Path) -> tuple[Any, Any]:
    """Return the base and its tokenizer; in fp32 on a GPU too, so that the recipe is the same one there."""
    return loading.load_base(target, dtype=torch.float32)


@contextmanager
def _shown(name: str, updates: int) -> Iterator[OnUpdate]:
    """Show how training goes on; the last of the rollouts that are told of comes after all updates."""
    with tqdm(total=updates + 1, desc=name, mininterval=10) as bar:

        def on_update(update: int, metrics: dict[str, float]) -> None:
            bar.update(update - bar.n)
            bar.set_postfix(score=f"{metrics['objective/score']:.2f}", kl=f"{metrics['objective/kl']:.2f}")

        yield on_update


def build_examples(config: PocketConfig, target: Path, work: Path) -> None:
    """Write the prompts that the page offers."""
    _write_lines(target / "examples.jsonl", [asdict(example) for example in page_examples()])


def build_demonstrations(config: PocketConfig, target: Path, work: Path) -> None:
    """Write demonstrations to which runs hold the SFT adapter while it learns people's."""
    rows = islice(demonstrations(config.seed + 9), config.shipped_demonstrations)
    _write_lines(target / "demonstrations.jsonl", [asdict(row) for row in rows])


def _save(model: Any, name: str, folder: Path, head: torch.nn.Linear | None = None) -> None:
    for parameter in adapters.adapter_parameters(model, name):
        parameter.data = parameter.data.to(torch.bfloat16)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    adapters.save_adapter(model, name, folder, head)
    for parameter in adapters.adapter_parameters(model, name):
        parameter.data = parameter.data.float()


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")

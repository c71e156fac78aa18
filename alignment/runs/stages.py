"""The stages of a run: instruction tuning, reward model, policy, gate."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from torch import nn

from alignment.learning import dpo, ppo, raft, reward_adapter
from alignment.learning.encoded_rankings import EncodedRanking
from alignment.learning.lengths import readable
from alignment.learning.rollout import Outcome, Task
from alignment.learning.sft import mixed_batches, train_sft
from alignment.models import shipped_files
from alignment.models.samples import Text
from alignment.reward.bradley_terry import Agreement, Ranked
from alignment.reward.scorer import added_scorer
from alignment.runs import candidate, run_models
from alignment.runs.candidate import Candidate
from alignment.runs.gate_checks import gate_checks
from alignment.runs.progress import Reporter
from alignment.runs.records import Evaluation, evaluation_to_json
from alignment.runs.settings import RunSettings
from alignment.settings import ModelConfig
from storage import run_folder
from storage.messages import Messages
from storage.version_folders import write_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """What the stages of a run share."""

    model: PeftModel  # carries the adapters that `run_models.load` names; stages train some of them in place
    tokenizer: Any
    config: ModelConfig
    settings: RunSettings
    folder: Path  # of the run: what it has kept to go on from
    report: Reporter


@dataclass(frozen=True)
class Data:
    """What the policy of a run learns from."""

    voted: Sequence[Ranked]  # people's rankings
    shipped: Sequence[Ranked]  # those that came with the model
    prompts: Sequence[Messages]  # for rollouts
    liked: Sequence[Text]  # texts that labelers liked best
    inputs: Mapping[str, Any]  # identifies all this and the run's settings: a reward model is kept with it


@dataclass(frozen=True)
class RewardModel:
    """The reward model that a run scores by."""

    heads: nn.Linear  # of the adapter "reward"
    shipped_heads: nn.Linear | None  # of the adapter "shipped", if a reward model ships with the base
    agreement: dict[str, Any] | None  # with votes that it had not learned from, where there were any


@dataclass(frozen=True)
class Trained:
    """How the training of the policy ended, and the reward model that it was trained on, if any."""

    outcome: Outcome
    reward: RewardModel | None = None


def tune(training: Training, people: Sequence[Text], liked: Sequence[Text]) -> None:
    """Train the adapters "sft" and "policy" on what people demonstrated, each held to what it knew.

    The first one is held by shipped demonstrations, which comply with much that is harmful; so the second one is held
    by what labelers liked best. Where a run is resumed this is done again, with the same result.
    """
    demonstrations = shipped_files.demonstrations(training.config.model)
    shipped = readable(training.model, training.tokenizer, demonstrations)
    log.info("instruction tuning: %s people's demonstrations, %s shipped", len(people), len(shipped))
    config, report = training.settings.sft, training.report

    def learn(adapter: str, others: Sequence[Text], before: float, name: str) -> None:
        def on_update(step: int, measured: dict[str, float]) -> None:
            report("sft", before + step / config.steps / 2, step, {name: measured["sft/loss"]})

        batches = mixed_batches(people, others, config, training.settings.seed)
        train_sft(training.model, training.tokenizer, adapter, batches, lambda step: config.learning_rate, on_update)

    report("sft", 0.0, now=True)
    learn("sft", shipped, 0.0, "sft/loss")
    learn("policy", liked, 0.5, "sft/policy_loss")
    report("sft", 1.0, now=True)


def load_or_fit_reward_model(training: Training, data: Data) -> RewardModel:
    """Return the reward model that the run has kept, or a new fit, which is then kept.

    One that was kept with another `inputs` is not used.
    """
    model, folder, report = training.model, training.folder, training.report
    report("reward", 0.0, now=True)
    shipped_heads = run_models.attach_shipped(model, training.config)
    kept = run_models.attach_kept_reward(model, folder, data.inputs)
    if kept is not None:
        heads, fitted = kept
    else:
        run_folder.forget(folder)
        heads = run_models.attach_reward(model)
        agreement = _fit(training, heads, shipped_heads, data)
        fitted = asdict(agreement) if agreement else None
        report("reward", 1.0, now=True)  # what is kept is also reported
        inputs = {**data.inputs, "fitted": fitted}
        write_folder(run_folder.reward_folder(folder), lambda into: run_models.keep_reward(model, heads, inputs, into))
    log.info("reward model: %s", fitted)
    return RewardModel(heads, shipped_heads, fitted)


def _fit(training: Training, heads: nn.Linear, shipped_heads: nn.Linear | None, data: Data) -> Agreement | None:
    """Measure how well the reward model predicts votes it has not seen, then fit it to all of them.

    Where a reward model ships with the base, which has learned the shipped comparisons, the residual to it is fitted.
    """
    model, tokenizer, report = training.model, training.tokenizer, training.report
    config, seed = training.settings.reward, training.settings.seed
    voted: Sequence[Ranked | EncodedRanking] = data.voted
    shipped = data.shipped
    if shipped_heads is not None:
        weight = config.shipped_weight
        voted, shipped = reward_adapter.residual_rankings(model, tokenizer, shipped_heads, data.voted, weight), []
        if not voted:  # nothing to add to what ships
            return None
    last = 1 / (config.folds + 1)  # part of this stage's time that the fit to all votes takes

    def on_progress(done: float) -> None:
        report("reward", done * (1 - last))

    def on_update(step: int, metrics: dict[str, float]) -> None:
        report("reward", 1 - last + last * step / config.steps, step, metrics)

    agreement = reward_adapter.cross_validate(model, tokenizer, heads, voted, shipped, config, seed, on_progress)
    log.info("reward model on votes that it has not seen: %s", agreement)
    report("reward", 1 - last, config.steps, agreement.metrics() if agreement else {}, now=True)
    reward_adapter.fit(model, tokenizer, heads, voted, shipped, config, seed, on_update)
    return agreement


def by_raft(training: Training, data: Data) -> Trained:
    """Train the policy by RAFT against the reward model."""
    reward = load_or_fit_reward_model(training, data)
    task = _task(training, data, reward)
    return Trained(_raft(training, task, run_folder.checkpoint(training.folder), measures_end=True), reward)


def by_ppo(training: Training, data: Data) -> Trained:
    """Train the policy by some rounds of RAFT, then by PPO, against the reward model."""
    settings = training.settings
    reward = load_or_fit_reward_model(training, data)
    task = _task(training, data, reward)
    checkpoint = run_folder.checkpoint(training.folder)
    rounds = settings.raft.rounds
    if rounds and not checkpoint.exists():
        outcome = _raft(training, task, run_folder.raft_checkpoint(training.folder), measures_end=False)
        if outcome.stopped:
            return Trained(outcome, reward)
    training.report("ppo", 0.0, now=True)
    value_head = run_models.attach_critic(training.model, training.config, reward.heads, settings.ppo.samples)

    def on_update(update: int, metrics: dict[str, float]) -> None:
        _report_update(training, "ppo", update / (settings.ppo.updates + 1), rounds + update, metrics)

    outcome = ppo.train_ppo(training.model, training.tokenizer, task, value_head, settings.ppo, on_update, checkpoint)
    return Trained(outcome, reward)


def by_dpo(training: Training, data: Data) -> Trained:
    """Train the policy by DPO on the rankings themselves, without a reward model."""
    settings, report = training.settings, training.report
    steps = settings.dpo.steps

    def on_update(step: int, metrics: dict[str, float]) -> None:
        report("dpo", step / (steps + 1), step, metrics)

    report("dpo", 0.0, now=True)
    outcome = dpo.train_dpo(
        training.model,
        training.tokenizer,
        data.voted,
        data.shipped,
        data.prompts,
        settings.dpo,
        settings.seed,
        on_update,
    )
    report("dpo", 1.0, steps, outcome.measured, now=True)
    return Trained(outcome)


TRAINERS: dict[str, Callable[[Training, Data], Trained]] = {"ppo": by_ppo, "raft": by_raft, "dpo": by_dpo}


def _task(training: Training, data: Data, reward: RewardModel) -> Task:
    """Return what the policy is to learn: to please the reward model."""
    pad_id, config = training.tokenizer.pad_id, training.settings.reward
    score = added_scorer(training.model, reward.heads, pad_id, reward.shipped_heads, config)
    return Task(data.prompts, score, training.settings.seed, data.liked)


def _raft(training: Training, task: Task, checkpoint: Path, *, measures_end: bool) -> Outcome:
    """Train the policy by RAFT as the run's settings say and return how that ended."""
    config = training.settings.raft
    training.report("raft", 0.0, now=True)

    def on_update(update: int, metrics: dict[str, float]) -> None:
        _report_update(training, "raft", update / (config.rounds + measures_end), update, metrics)

    model, tokenizer = training.model, training.tokenizer
    return raft.train_raft(model, tokenizer, task, config, on_update, checkpoint, measures_end=measures_end)


def _report_update(training: Training, stage: str, done: float, update: int, metrics: dict[str, float]) -> None:
    """Report an update, at once: before the checkpoint that stands for it is written."""
    log.info("update %s: %s", update, {name: round(value, 4) for name, value in metrics.items()})
    training.report(stage, done, update, metrics, now=True)


def check(training: Training, prompts: Sequence[Messages], kl: float, recorded: Evaluation) -> Evaluation:
    """Return what the candidate measures and the gate's verdict (`candidate.check`), shown as the run's metrics too."""
    report = training.report
    report("check", 0.0, now=True)
    asked = gate_checks(training.config)
    judged = Candidate(
        training.model,
        training.tokenizer,
        asked.checks,
        prompts,
        kl,
        training.settings.seed,
        training.config.rollout_tokens,
        asked.max_new_tokens,
        asked.forgiven,
    )
    evaluation = candidate.check(judged, recorded, training.settings.gate, lambda done: report("check", done))
    log.info("gate: %s", evaluation.verdict)
    stored = evaluation_to_json(evaluation)
    shares = {f"check/{name}": value for name, value in stored.items() if isinstance(value, float)}
    report("check", 0.95, 0, shares, now=True)
    return evaluation

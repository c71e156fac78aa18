"""The stages of a run: instruction tuning, reward model, policy, gate."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alignment.learning import dpo, ppo, raft
from alignment.learning.lengths import fits, readable
from alignment.learning.rollout import Outcome, Task
from alignment.learning.sft import mixed_batches, train_sft
from alignment.models import shipped_files, workers
from alignment.models.shipped_files import Check
from alignment.models.texts import Text
from alignment.runs import candidate, generality, reward_stage, run_models
from alignment.runs.budget import raft_seconds
from alignment.runs.candidate import Candidate
from alignment.runs.gate_checks import gate_checks, own_check
from alignment.runs.records import (
    Evaluation,
    Generality,
    evaluation_from_json,
    evaluation_to_json,
    generality_from_json,
)
from alignment.runs.reward_stage import RewardModel
from alignment.runs.training import Data, Training
from storage import policies, run_folder
from storage.checks import list_checks
from storage.messages import Messages
from storage.records import Policy

log = logging.getLogger(__name__)


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


def by_raft(training: Training, data: Data) -> Trained:
    """Train the policy by RAFT against the reward model."""
    reward = reward_stage.load_or_fit(training, data)
    task = _task(training, data, reward)
    return Trained(_raft(training, task, run_folder.checkpoint(training.folder), measures_end=True), reward)


def by_ppo(training: Training, data: Data) -> Trained:
    """Train the policy by some rounds of RAFT, then by PPO, against the reward model."""
    settings = training.settings
    reward = reward_stage.load_or_fit(training, data)
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
    return Task(data.prompts, reward_stage.scorer(training, reward), training.settings.seed, data.liked)


def _raft(training: Training, task: Task, checkpoint: Path, *, measures_end: bool) -> Outcome:
    """Train the policy by RAFT as the run's settings say and return how that ended."""
    config = training.settings.raft
    training.report("raft", 0.0, now=True)

    def on_update(update: int, metrics: dict[str, float]) -> None:
        _report_update(training, "raft", update / (config.rounds + measures_end), update, metrics)

    model, tokenizer = training.model, training.tokenizer
    timed = replace(task, seconds=raft_seconds(training.settings, time.monotonic() - training.began))
    return raft.train_raft(model, tokenizer, timed, config, on_update, checkpoint, measures_end=measures_end)


def _report_update(training: Training, stage: str, done: float, update: int, metrics: dict[str, float]) -> None:
    """Report an update, at once: before the checkpoint that stands for it is written."""
    log.info("update %s: %s", update, {name: round(value, 4) for name, value in metrics.items()})
    training.report(stage, done, update, metrics, now=True)


def check(training: Training, prompts: Sequence[Messages], trained: Trained, parent: Policy) -> Evaluation:
    """Return what the candidate measures and the gate's verdict (`candidate.check`), shown as the run's metrics too."""
    report, measured = training.report, trained.outcome.measured
    report("check", 0.0, now=True)
    asked = gate_checks(training.config)
    judged = Candidate(
        training.model,
        training.tokenizer,
        asked.checks,
        prompts,
        measured["objective/kl"],
        training.settings.seed,
        training.config.rollout_tokens,
        asked.max_new_tokens,
        reward_stage.scorer(training, trained.reward) if trained.reward else None,
        measured.get("objective/kl_error", 0.0),
        workers.told(lambda: _own_checks(training)),
        _first_version(training, parent),
    )
    recorded = evaluation_from_json(parent.evaluation)
    evaluation = candidate.check(judged, recorded, training.settings.gate, lambda done: report("check", done))
    log.info("gate: %s", evaluation.verdict)
    stored = evaluation_to_json(evaluation)
    shares = {f"check/{name}": value for name, value in stored.items() if isinstance(value, float)}
    report("check", 0.95, 0, shares, now=True)
    return evaluation


def breadth(training: Training, data: Data, trained: Trained, parent: Policy) -> Generality | None:
    """Return how diverse and how good the candidate's answers are, on prompts like those voted on and unlike them."""
    settings = training.settings
    short = set(data.prompts)  # those that leave room for an answer
    voted = [ranking.messages for ranking in data.voted if ranking.messages in short]
    asked = generality.kinds_of_prompts(voted, data.prompts, settings.diversity_prompts, settings.seed)
    if not settings.diversity_prompts or not asked:
        return None
    return generality.measured(
        training.model,
        training.tokenizer,
        asked,
        reward_stage.scorer(training, trained.reward) if trained.reward else None,
        training.config.rollout_tokens,
        settings.seed,
        generality_from_json(parent.evaluation.get("generality")),
        raw=not training.config.base,
    )


def _own_checks(training: Training) -> list[Check]:
    """Return the admin's checks; the log counts those that the model cannot read."""
    model, tokenizer, tokens = training.model, training.tokenizer, training.config.rollout_tokens
    standing = [own_check(one) for one in list_checks(training.db)]
    fitting = [one for one in standing if fits(model, tokenizer, one.messages, tokens)]
    if len(fitting) < len(standing):
        log.warning("%s of the admin's checks do not fit this model and are not asked", len(standing) - len(fitting))
    return fitting


def _first_version(training: Training, parent: Policy) -> Callable[[], str | None] | None:
    """Return what attaches the version that the parent descends from; None where the parent is that itself."""
    first = workers.told(lambda: policies.first_of(training.db, parent.version))
    if first.version == parent.version:
        return None
    folder = training.db.parent / first.path
    return lambda: run_models.attach_first(training.model, training.config, folder)

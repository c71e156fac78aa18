"""The stages of a run, a function each: instruction tuning, reward model, policy, gate."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from torch import nn

from alignment.learning import dpo, ppo, raft, reward_model
from alignment.learning.refit import Text, refit
from alignment.learning.rollout import Outcome
from alignment.models import model_folder
from alignment.reward.bradley_terry import Agreement, Ranked
from alignment.reward.scorer import added_scorer
from alignment.runs import candidate, run_models
from alignment.runs.candidate import Candidate
from alignment.runs.progress import REFIT_STAGES, Reporter
from alignment.runs.records import Evaluation, evaluation_to_json
from alignment.runs.settings import RunSettings
from alignment.settings import ModelConfig
from storage import run_folder
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


def tune(training: Training, people: Sequence[Text], liked: Sequence[Text]) -> None:
    """Train the adapters "sft" and "policy" on what people demonstrated, each held to what it knew.

    The first one is held by shipped demonstrations, which comply with much that is harmful; so the second one is held
    by what labelers liked best. Where a run is resumed this is done again, with the same result.
    """
    shipped = [(one.prompt, one.completion) for one in model_folder.demonstrations(training.config.base)]
    log.info("instruction tuning: %s people's demonstrations, %s shipped", len(people), len(shipped))
    config, report = training.settings.sft, training.report

    def learn(adapter: str, others: Sequence[Text], before: float, name: str) -> None:
        def on_update(step: int, measured: dict[str, float]) -> None:
            report("sft", before + step / config.steps / 2, step, {name: measured["sft/loss"]})

        model, seed = training.model, training.settings.seed
        refit(model, training.tokenizer, adapter, people, others, config, seed, on_update)

    report.stages = REFIT_STAGES
    report("sft", 0.0, now=True)
    learn("sft", shipped, 0.0, "sft/loss")
    learn("policy", liked, 0.5, "sft/policy_loss")
    report("sft", 1.0, now=True)


def fit_reward_model(
    training: Training,
    shipped_heads: nn.Linear | None,
    voted: Sequence[Ranked],
    shipped: Sequence[Ranked],
    began: Mapping[str, Any],
) -> tuple[nn.Linear, dict[str, Any] | None]:
    """Return the heads of the reward model, the one that the run has kept or a new fit, and what it measured.

    It is kept with `began`, what the run begins with; one that was kept with something else is not used.
    """
    model, folder, report = training.model, training.folder, training.report
    report("reward", 0.0, now=True)
    kept = run_models.kept_reward(model, folder, began)
    if kept is not None:
        heads, fitted = kept
    else:
        run_folder.forget(folder)
        heads = run_models.attach_reward(model)
        agreement = _fit(training, heads, shipped_heads, voted, shipped)
        fitted = asdict(agreement) if agreement else None
        report("ppo", 0.0, now=True)  # what is kept is also reported
        begun = {**began, "fitted": fitted}
        write_folder(run_folder.reward_folder(folder), lambda into: run_models.keep_reward(model, heads, begun, into))
    log.info("reward model: %s", fitted)
    return heads, fitted


def _fit(
    training: Training,
    heads: nn.Linear,
    shipped_heads: nn.Linear | None,
    rankings: Sequence[Ranked],
    shipped: Sequence[Ranked],
) -> Agreement | None:
    """Measure how well the reward model predicts votes it has not seen, then fit it to all of them.

    Where a reward model ships with the base, which has learned the shipped comparisons, it is fitted above that one.
    """
    model, tokenizer, report = training.model, training.tokenizer, training.report
    config, seed = training.settings.reward, training.settings.seed
    voted: Sequence[Ranked | reward_model.Element] = rankings
    if shipped_heads is not None:
        voted = reward_model.above(model, tokenizer, shipped_heads, rankings, config.shipped_weight, report.beat)
        shipped = []
        if not voted:  # nothing to add to what ships
            return None
    last = 1 / (config.folds + 1)  # part of this stage's time that the fit to all votes takes
    report("reward", 0.0, now=True)

    def on_fold(done: float) -> None:
        report("reward", done * (1 - last))

    def on_step(step: int, metrics: dict[str, float]) -> None:
        report("reward", 1 - last + last * step / config.steps, step, metrics)

    agreement = reward_model.cross_validate(model, tokenizer, heads, voted, shipped, config, seed, on_fold)
    log.info("reward model on votes that it has not seen: %s", agreement)
    report("reward", 1 - last, config.steps, agreement.metrics() if agreement else {}, now=True)
    reward_model.fit(model, tokenizer, heads, voted, shipped, config, seed, on_step)
    return agreement


def train_on_scores(
    training: Training,
    heads: nn.Linear,
    shipped_heads: nn.Linear | None,
    prompts: Sequence[str],
    liked: Sequence[Text],
    method: str,
) -> Outcome:
    """Train the policy by RAFT or, after some rounds of it, by PPO against the reward model; return how that ended."""
    model, tokenizer, report = training.model, training.tokenizer, training.report
    settings, seed = training.settings, training.settings.seed
    alone = method == "raft"
    rounds = settings.raft.rounds
    updates = rounds if alone else rounds + settings.ppo.updates
    score = added_scorer(model, heads, tokenizer.pad_token_id, shipped_heads, settings.reward, report.beat)

    def on_update(update: int, metrics: dict[str, float]) -> None:
        log.info("update %s: %s", update, {name: round(value, 4) for name, value in metrics.items()})
        report("ppo", update / (updates + 1), update, metrics, now=True)  # before the checkpoint that stands for it

    report("ppo", 0.0, now=True)
    checkpoint = run_folder.checkpoint(training.folder)
    if alone or (rounds and not checkpoint.exists()):
        outcome = raft.train_raft(
            model,
            tokenizer,
            score,
            prompts,
            settings.raft,
            seed,
            on_update,
            report.beat,
            checkpoint if alone else run_folder.raft_checkpoint(training.folder),
            liked,
            measures_end=alone,
        )
        if alone or outcome.stopped:
            return outcome
    value_head = run_models.attach_critic(model, training.config, heads, settings.ppo.samples)
    return ppo.train_ppo(
        model,
        tokenizer,
        score,
        value_head,
        prompts,
        settings.ppo,
        seed,
        lambda update, metrics: on_update(rounds + update, metrics),
        report.beat,
        checkpoint,
        liked,
    )


def train_on_pairs(
    training: Training, prompts: Sequence[str], voted: Sequence[Ranked], shipped: Sequence[Ranked]
) -> Outcome:
    """Train the policy by DPO and return how that ended."""
    settings, report = training.settings, training.report
    steps = settings.dpo.steps

    def on_update(step: int, metrics: dict[str, float]) -> None:
        report("ppo", step / (steps + 1), step, metrics)

    report("ppo", 0.0, now=True)
    outcome = dpo.train_dpo(
        training.model,
        training.tokenizer,
        voted,
        shipped,
        prompts,
        settings.dpo,
        settings.seed,
        on_update,
        report.beat,
    )
    report("ppo", 1.0, steps, outcome.measured, now=True)
    return outcome


def check(training: Training, prompts: Sequence[str], kl: float, recorded: Evaluation) -> Evaluation:
    """Return what the candidate measures and the gate's verdict (`candidate.check`), shown as the run's metrics too."""
    report = training.report
    report("check", 0.0, now=True)
    judged = Candidate(
        training.model,
        training.tokenizer,
        model_folder.checks(training.config.base),
        prompts,
        kl,
        training.settings.seed,
    )
    evaluation = candidate.check(judged, recorded, training.settings.gate, lambda done: report("check", done))
    log.info("gate: %s", evaluation.verdict)
    stored = evaluation_to_json(evaluation)
    shares = {f"check/{name}": value for name, value in stored.items() if isinstance(value, float)}
    report("check", 0.95, 0, shares, now=True)
    return evaluation

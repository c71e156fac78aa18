"""Entry of the training child: one run from comparisons to a candidate, reported through the database."""

import argparse
import hashlib
import json
import logging
import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from alignment import candidate, dpo, model_folder, ppo, raft, reward_model, run_folder, run_models
from alignment.adapters import next_version, publish, verify, write_folder
from alignment.bradley_terry import Agreement, preferred
from alignment.child import leave_with_parent, print_into, wait_for_run
from alignment.errors import AlignmentError, TrainingError
from alignment.refit import Text, readable, refit
from alignment.rollout import Outcome, short_enough
from alignment.scorer import Scorer, added_scorer
from alignment.settings import ModelConfig, RunSettings, run_settings
from storage import demonstrations, policies, preferences, runs
from storage.records import Metric, Policy, PolicyStatus, Ranking

log = logging.getLogger(__name__)

# Where each stage begins and ends on the progress bar, about in proportion to its time.
STAGES = {"collect": (0.0, 0.02), "reward": (0.02, 0.23), "ppo": (0.23, 0.93), "check": (0.93, 1.0)}
# The same where instruction tuning goes on first.
REFIT_STAGES = STAGES | {"sft": (0.02, 0.15), "reward": (0.15, 0.32), "ppo": (0.32, 0.93)}
REPORT_SECONDS = 0.5


class Reporter:
    """Writes the run's stage, progress and metrics to its row, a few times a second at most."""

    def __init__(self, db: Path, run_id: int) -> None:
        self._db, self._run_id = db, run_id
        self._pending: list[Metric] = []
        self._last = 0.0
        self._at = ("collect", 0.0)
        self.stages = STAGES

    def __call__(
        self, stage: str, done: float, step: int = 0, metrics: dict[str, float] | None = None, *, now: bool = False
    ) -> None:
        """Note that `done` (0 to 1) of a stage is behind, and what was measured at a step."""
        self._at = stage, done
        self._pending += [Metric(step, name, value) for name, value in (metrics or {}).items()]
        if not now and time.monotonic() - self._last < REPORT_SECONDS:
            return
        low, high = self.stages[stage]
        runs.report(self._db, self._run_id, stage, low + (high - low) * done, self._pending)
        self._pending, self._last = [], time.monotonic()

    def beat(self) -> None:
        """Give a sign of life from where the run stands."""
        self(*self._at)


def train(data_dir: Path, run_id: int, model_config: ModelConfig) -> None:
    """Train one run and record its candidate; a candidate that fails the gate ends the run as rejected.

    A run that was resumed goes on from the reward model and the checkpoint that it finds in its folder, if they were
    made under the same settings from the same votes; otherwise it begins anew, as it does where the reward model cannot
    be read. A checkpoint that cannot be read ends it with a TrainingError that names the file; resumed once more, the
    run goes on without it.
    """
    db, folder = data_dir / "triptych.db", run_folder.folder_of(data_dir, run_id)
    run = runs.get_run(db, run_id)
    settings = run_settings(run.settings)
    report = Reporter(db, run_id)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    report("collect", 0.0, now=True)
    voted, demonstrated = preferences.rankings(db, run_id), demonstrations.demonstrations_of(db, run_id)
    shipped = model_folder.comparisons(model_config.base)
    prompts = model_folder.prompts(model_config.base) + [ranking.prompt for ranking in voted]
    parent = policies.live_policy(db)
    if parent is None or not prompts:
        raise TrainingError("there is nothing to train on: no live policy, or no prompts; vote on some answers first")
    began_from = data_dir / parent.path
    verify(began_from, parent.sha256)
    model, tokenizer = run_models.load(model_config, began_from)
    log.info("run %s: %s people's rankings, %s shipped, parent v%s", run_id, len(voted), len(shipped), parent.version)

    prompts = short_enough(tokenizer, prompts)
    run_folder.forget_outdated(data_dir, parent.version)
    liked, with_sft = preferred([*voted, *shipped], settings.seed), model_folder.own_sft(began_from) is not None
    people = readable(model, tokenizer, demonstrated)
    if settings.refit.steps and (people or with_sft):
        _refit(model, tokenizer, model_config, people, liked, settings, report)
        with_sft = True
    if run.method == "dpo":
        outcome = _train_on_pairs(model, tokenizer, prompts, voted, shipped, settings, report)
        reward_head, fitted = None, None
    else:
        began = {
            "parent": parent.version,
            "created": run.created,
            "method": run.method,
            "settings": run.settings,
            "quantize": model_config.quantize,
            # One may have been withdrawn since.
            "votes": hashlib.sha256(repr([*voted, *demonstrated]).encode()).hexdigest(),
        }
        shipped_head = run_models.attach_shipped(model, model_config)
        reward_head, fitted = _reward_model(
            model, tokenizer, shipped_head, voted, shipped, settings, report, folder, began
        )
        score = added_scorer(model, reward_head, tokenizer.pad_token_id, shipped_head, settings.reward, report.beat)
        outcome = _train_policy(
            *(model, tokenizer, model_config, reward_head, score, prompts, liked, run.method, settings, report, folder)
        )
    first = [policy for policy in policies.list_policies(db) if policy.model == parent.model][-1].evaluation
    kl = outcome.measured["objective/kl"]
    evaluation = _check(model, tokenizer, model_config, prompts, settings, kl, first, report)
    evaluation["reward"] = fitted
    if outcome.stopped:
        evaluation["gate"]["reasons"].append(f"training stopped early: {outcome.stopped}")

    def write(target: Path) -> None:
        run_models.save_version(model, reward_head, settings.reward, with_sft=with_sft, target=target)

    _record(db, data_dir, run_id, parent, evaluation, write)
    report("check", 1.0, now=True)
    run_folder.forget(folder)


def _refit(
    model: Any,
    tokenizer: Any,
    config: ModelConfig,
    people: Sequence[Text],
    liked: Sequence[Text],
    settings: RunSettings,
    report: Reporter,
) -> None:
    """Train the adapters "sft" and "policy" on what people demonstrated, each held to what it knew.

    The first one is held by shipped demonstrations, which comply with much that is harmful; so the second one is held
    by what labelers liked best. Where a run is resumed this is done again, with the same result.
    """
    shipped = [(one.prompt, one.completion) for one in model_folder.demonstrations(config.base)]
    log.info("instruction tuning: %s people's demonstrations, %s shipped", len(people), len(shipped))

    def learn(adapter: str, others: Sequence[Text], before: float, name: str) -> None:
        def on_update(step: int, measured: dict[str, float]) -> None:
            report("sft", before + step / settings.refit.steps / 2, step, {name: measured["sft/loss"]})

        refit(model, tokenizer, adapter, people, others, settings.refit, settings.seed, on_update)

    report.stages = REFIT_STAGES
    report("sft", 0.0, now=True)
    learn("sft", shipped, 0.0, "sft/loss")
    learn("policy", liked, 0.5, "sft/policy_loss")
    report("sft", 1.0, now=True)


def _reward_model(
    model: Any,
    tokenizer: Any,
    shipped_head: torch.nn.Linear | None,
    voted: Sequence[Ranking],
    shipped: Sequence[model_folder.ShippedRanking],
    settings: RunSettings,
    report: Reporter,
    folder: Path,
    began: Mapping[str, Any],
) -> tuple[torch.nn.Linear, dict[str, Any] | None]:
    """Return the heads of the reward model, the one that the run has kept or a new fit, and what it measured."""
    report("reward", 0.0, now=True)
    kept = run_models.kept_reward(model, folder, began)
    if kept is None:
        run_folder.forget(folder)
        reward_head = run_models.attach_reward(model)
        agreement = _fit_reward(model, tokenizer, reward_head, shipped_head, voted, shipped, settings, report)
        fitted = asdict(agreement) if agreement else None
        report("ppo", 0.0, now=True)  # what is kept is also reported
        begun = {**began, "fitted": fitted}
        write_folder(
            run_folder.reward_folder(folder), lambda into: run_models.keep_reward(model, reward_head, begun, into)
        )
    else:
        reward_head, fitted = kept
    log.info("reward model: %s", fitted)
    return reward_head, fitted


def _fit_reward(
    model: Any,
    tokenizer: Any,
    heads: torch.nn.Linear,
    shipped_heads: torch.nn.Linear | None,
    rankings: Sequence[Ranking],
    shipped: Sequence[model_folder.ShippedRanking],
    settings: RunSettings,
    report: Reporter,
) -> Agreement | None:
    """Measure how well the reward model predicts votes it has not seen, then fit it to all of them.

    Where a reward model ships with the base, which has learned the shipped comparisons, it is fitted above that one.
    """
    config, seed = settings.reward, settings.seed
    voted: Sequence[Ranking | reward_model.Element] = rankings
    if shipped_heads is not None:
        voted = reward_model.above(model, tokenizer, shipped_heads, rankings, config.shipped_weight, report.beat)
        shipped = []
        if not voted:  # nothing to add to what ships
            return None
    last = 1 / (config.folds + 1)  # part of this stage's time that the fit to all votes takes
    report("reward", 0.0, now=True)
    agreement = reward_model.cross_validate(
        model, tokenizer, heads, voted, shipped, config, seed, lambda done: report("reward", done * (1 - last))
    )
    log.info("reward model on votes that it has not seen: %s", agreement)
    report("reward", 1 - last, config.steps, agreement.metrics() if agreement else {}, now=True)
    reward_model.fit(
        model,
        tokenizer,
        heads,
        voted,
        shipped,
        config,
        seed,
        lambda step, metrics: report("reward", 1 - last + last * step / config.steps, step, metrics),
    )
    return agreement


def _train_policy(
    model: Any,
    tokenizer: Any,
    config: ModelConfig,
    reward_head: torch.nn.Linear,
    score: Scorer,
    prompts: list[str],
    liked: list[tuple[str, str]],
    method: str,
    settings: RunSettings,
    report: Reporter,
    folder: Path,
) -> Outcome:
    """Train the policy by the run's method and return how that ended; PPO begins with rounds of RAFT."""
    rounds = settings.warm_up_rounds if method == "ppo" else settings.raft.rounds
    updates = rounds + settings.ppo.updates if method == "ppo" else rounds

    def on_update(update: int, metrics: dict[str, float]) -> None:
        report("ppo", update / (updates + 1), update, metrics, now=True)  # before the checkpoint that stands for it

    report("ppo", 0.0, now=True)
    checkpoint = run_folder.checkpoint(folder)
    if method == "raft" or (rounds and not checkpoint.exists()):
        outcome = raft.train_raft(
            *(model, tokenizer, score, prompts, replace(settings.raft, rounds=rounds), settings.seed),
            *(on_update, report.beat, checkpoint if method == "raft" else run_folder.raft_checkpoint(folder), liked),
            measures_end=method == "raft",
        )
        if method == "raft" or outcome.stopped:
            return outcome
    value_head = run_models.attach_critic(model, config, reward_head, settings.ppo.samples)
    return ppo.train_ppo(
        *(model, tokenizer, score, value_head, prompts, settings.ppo, settings.seed),
        *(lambda update, metrics: on_update(rounds + update, metrics), report.beat, checkpoint, liked),
    )


def _train_on_pairs(
    model: Any,
    tokenizer: Any,
    prompts: list[str],
    voted: Sequence[Ranking],
    shipped: Sequence[model_folder.ShippedRanking],
    settings: RunSettings,
    report: Reporter,
) -> Outcome:
    """Train the policy by DPO and return how that ended."""
    steps = settings.dpo.steps
    report("ppo", 0.0, now=True)
    outcome = dpo.train_dpo(
        *(model, tokenizer, voted, shipped, prompts, settings.dpo, settings.seed),
        lambda step, metrics: report("ppo", step / (steps + 1), step, metrics),
        report.beat,
    )
    report("ppo", 1.0, steps, outcome.measured, now=True)
    return outcome


def _check(
    model: Any,
    tokenizer: Any,
    config: ModelConfig,
    prompts: list[str],
    settings: RunSettings,
    kl: float,
    first: Mapping[str, Any],
    report: Reporter,
) -> dict[str, Any]:
    report("check", 0.0, now=True)
    evaluation = candidate.check(
        *(model, tokenizer, model_folder.checks(config.base), prompts, kl, first, settings.gate, settings.seed),
        *(lambda done: report("check", done), report.beat),
    )
    shares = {f"check/{name}": value for name, value in evaluation.items() if isinstance(value, float)}
    report("check", 0.95, 0, shares, now=True)
    return evaluation


def _record(
    db: Path,
    data_dir: Path,
    run_id: int,
    parent: Policy,
    evaluation: dict[str, Any],
    write: Callable[[Path], None],
) -> None:
    """Publish the candidate, whose files `write` writes, and record it."""
    folder = data_dir / "policies"
    version = next_version(folder, [policy.version for policy in policies.list_policies(db)])
    path, sha256 = publish(folder, version, write)
    passed = evaluation["gate"]["passed"]
    status: PolicyStatus = "candidate" if passed else "rejected"
    relative = str(path.relative_to(data_dir))
    policies.record_policy(
        db, Policy(version, parent.version, run_id, relative, sha256, status, evaluation, parent.model)
    )
    if not passed:
        reasons = evaluation["gate"]["reasons"]
        failed = "; ".join(reason.removesuffix(" ✗") for reason in reasons if reason.endswith("✗"))
        runs.end_run(db, run_id, "rejected", f"v{version} did not pass the gate and is not served: {failed}")


def main() -> None:
    """Train the run whose number comes on stdin; a failure is written to its row, with a traceback in its log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--sft", required=True)
    parser.add_argument("--quantize", choices=["none", "nf4", "int8"], default="none")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    transformers_logging.disable_progress_bar()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the app's; it ends this process itself
    run = wait_for_run()
    if run is None:
        return
    leave_with_parent()
    try:
        print_into(run_folder.log_of(run_folder.folder_of(arguments.data_dir, run)))
        model = ModelConfig(arguments.model, arguments.sft, arguments.quantize)
        log.info("run %s with %s", run, json.dumps(asdict(model)))
        train(arguments.data_dir, run, model)
    except Exception as error:
        traceback.print_exc()
        reason = str(error) if isinstance(error, AlignmentError) else f"{type(error).__name__}: {error}"
        runs.end_run(arguments.data_dir / "triptych.db", run, "failed", reason)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()

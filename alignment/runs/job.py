"""Entry of the training child: one run from comparisons to a candidate, reported through the database."""

import argparse
import hashlib
import json
import logging
import signal
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from alignment.errors import AlignmentError, TrainingError
from alignment.learning.rollout import short_enough
from alignment.learning.sft import readable
from alignment.models import model_folder
from alignment.reward.bradley_terry import preferred
from alignment.runs import run_models, stages
from alignment.runs.child import leave_with_parent, print_into, wait_for_run
from alignment.runs.methods import stages_of
from alignment.runs.progress import Reporter, heartbeat
from alignment.runs.settings import run_settings
from alignment.runs.stages import Data, Training
from alignment.settings import ModelConfig
from storage import demonstrations, policies, preferences, run_folder, runs
from storage.errors import StorageError
from storage.records import Policy, PolicyStatus
from storage.version_folders import next_version, publish, verify

log = logging.getLogger(__name__)


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
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    voted, demonstrated = preferences.rankings(db, run_id), demonstrations.demonstrations_of(db, run_id)
    parent = policies.live_policy(db)
    with_sft = parent is not None and model_folder.own_sft(data_dir / parent.path) is not None
    tunes = bool(settings.sft.steps and (demonstrated or with_sft))
    report = Reporter(db, run_id, stages_of(run.method, sft=tunes, raft_rounds=settings.raft.rounds))
    report("collect", 0.0, now=True)
    shipped = model_folder.comparisons(model_config.base)
    prompts = model_folder.prompts(model_config.base) + [ranking.prompt for ranking in voted]
    if parent is None or not prompts:
        raise TrainingError("there is nothing to train on: no live policy, or no prompts; vote on some answers first")
    parent_folder = data_dir / parent.path
    verify(parent_folder, parent.sha256)
    model, tokenizer = run_models.load(model_config, parent_folder)
    log.info("run %s: %s people's rankings, %s shipped, parent v%s", run_id, len(voted), len(shipped), parent.version)

    prompts = short_enough(tokenizer, prompts)
    run_folder.forget_outdated(data_dir, parent.version)
    training = Training(model, tokenizer, model_config, settings, folder, report)
    origin = {
        "parent": parent.version,
        "created": run.created,
        "method": run.method,
        "settings": run.settings,
        "quantize": model_config.quantize,
        # One may have been withdrawn since.
        "votes": hashlib.sha256(repr([*voted, *demonstrated]).encode()).hexdigest(),
    }
    data = Data(voted, shipped, prompts, preferred([*voted, *shipped], settings.seed), origin)
    people = readable(model, tokenizer, demonstrated)
    with heartbeat(model, report):
        if settings.sft.steps and (people or with_sft):
            stages.tune(training, people, data.liked)
            with_sft = True
        trained = stages.TRAINERS[run.method](training, data)
        outcome, reward = trained.outcome, trained.reward
        evaluation = stages.check(training, prompts, outcome.measured["objective/kl"], parent.evaluation)
    evaluation["reward"] = reward.agreement if reward else None
    if outcome.stopped:
        evaluation["gate"]["reasons"].append(f"training stopped early: {outcome.stopped}")

    def write(target: Path) -> None:
        heads = reward.heads if reward else None
        run_models.save_version(model, heads, settings.reward, with_sft=with_sft, target=target)

    _record(db, data_dir, run_id, parent, evaluation, write)
    report("check", 1.0, now=True)
    run_folder.forget(folder)


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
        reason = str(error) if isinstance(error, AlignmentError | StorageError) else f"{type(error).__name__}: {error}"
        runs.end_run(arguments.data_dir / "triptych.db", run, "failed", reason)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()

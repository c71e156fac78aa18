"""Entry of the training child: one run from comparisons to a candidate, reported through the database."""

import json
import logging
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers.utils import logging as transformers_logging

from alignment.errors import AlignmentError, LostWorkerError, TrainingError, UnconvincingVotesError
from alignment.learning.encoded_rankings import judging
from alignment.learning.lengths import readable, readable_rankings, require_readable, short_enough
from alignment.models import model_folder, shipped_files, workers
from alignment.models.shipped_files import ShippedRanking
from alignment.reward.rankings import preferred
from alignment.runs import run_models, stages, tensorboard
from alignment.runs.budget import Pace, measured_pace, within
from alignment.runs.child import DISK_FULL, disk_full, leave_with_parent, print_into, wait_for_run
from alignment.runs.dataset import digest
from alignment.runs.gate_checks import gate_checks
from alignment.runs.groups import run_parser
from alignment.runs.methods import stages_of
from alignment.runs.progress import Reporter, SilentReporter, heartbeat
from alignment.runs.records import Evaluation, evaluation_to_json
from alignment.runs.settings import RunSettings, run_settings
from alignment.runs.stages import Trained
from alignment.runs.training import Data, Training
from alignment.settings import GENERAL, ModelConfig
from storage import database, demonstrations, policies, preferences, run_folder, runs
from storage.errors import StorageError
from storage.messages import Messages
from storage.records import Demonstration, Metric, Policy, PolicyStatus, Ranking, Run
from storage.version_folders import next_version, publish, verify

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Material:
    """What a run has claimed, and what came with the model."""

    voted: Sequence[Ranking]  # people's votes
    demonstrated: Sequence[Demonstration]  # what people wrote themselves
    shipped: Sequence[ShippedRanking]  # comparisons that came with the model
    prompts: Sequence[Messages]  # for rollouts: those that came with the model, and those that people voted on


def train(data_dir: Path, run_id: int, model_config: ModelConfig) -> None:
    """Train one run and record its candidate; a candidate that fails the gate ends the run as rejected.

    A run that was resumed goes on from the reward model and the checkpoint that it finds in its folder, if they were
    made under the same settings from the same votes; otherwise it starts anew, as it does where the reward model
    cannot be read. A checkpoint that cannot be read ends it with a TrainingError that names the file; resumed once
    more, the run goes on without it.
    """
    db = database.file_in(data_dir)
    run, parent = workers.told(lambda: (runs.get_run(db, run_id), policies.live_policy(db)))
    settings = run_settings(run.settings).with_rollout_tokens(model_config.rollout_tokens)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(max(1, settings.threads // workers.count()))
    tunes = bool(settings.sft.steps) and _has_demonstrations(data_dir, run, parent)
    names = stages_of(run.method, sft=tunes, raft_rounds=settings.raft.rounds)
    first = workers.first()
    report = (
        Reporter(db, run_id, names, _also(data_dir, run_id, settings)) if first else SilentReporter(db, run_id, names)
    )
    report("collect", 0.0, now=True)
    material = workers.told(lambda: _material(db, run_id, model_config))
    if first:
        runs.set_dataset(db, run_id, _dataset(material))
    if parent is None or not material.prompts:
        raise TrainingError("there is nothing to train on: no live policy, or no prompts; vote on some answers first")
    _require_judged(material, tunes=tunes)
    verify(data_dir / parent.path, parent.sha256)
    model, tokenizer = run_models.load(model_config, data_dir / parent.path, settings.seed)
    log.info("run %s: %s votes, %s shipped, v%s", run_id, len(material.voted), len(material.shipped), parent.version)

    if first:
        run_folder.forget_outdated(data_dir, parent.version)
    folder = run_folder.folder_of(data_dir, run_id)
    settings = workers.told(lambda: _in_time(model, tokenizer, settings, folder))
    training = Training(model, tokenizer, model_config, settings, folder, db, report)
    data = _data(training, run.method, material, _inputs(run, parent, material, training))
    with heartbeat(model, report):
        with_sft = _tune(training, material.demonstrated, data, data_dir / parent.path)
        training = replace(training, tuned=with_sft)
        trained = stages.TRAINERS[run.method](training, data)
        evaluation = _evaluate(training, data, trained, parent)

    def write(target: Path) -> None:
        fitted = trained.reward.fitted if trained.reward else None
        run_models.save_version(model, fitted, settings.reward, with_sft=with_sft, target=target)

    if not first:
        return
    _record(data_dir, run_id, parent, evaluation, write)
    report("check", 1.0, now=True)
    run_folder.forget_all(folder)


def _require_judged(material: Material, *, tunes: bool) -> None:
    """Raise UnconvincingVotesError for votes that compare nothing, where nothing else that people said is learned.

    With what ships alone a run would make a version all the same, and seem to have learned from them.
    """
    if material.voted and not tunes and not judging(material.voted):
        raise UnconvincingVotesError(
            f"none of the {len(material.voted)} votes prefers one text to another, so there is nothing to train on. "
            "Choose the best answer where there is one, or write a better one where all are bad"
        )


def _in_time(model: PeftModel, tokenizer: Any, settings: RunSettings, folder: Path) -> RunSettings:
    """Return the settings with no more work than fits the run's time; a resumed run goes by what it measured before."""
    if not settings.minutes:
        return settings
    kept = run_folder.pace(folder)
    try:
        pace = Pace(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        pace = measured_pace(model, tokenizer)
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(pace)), encoding="utf-8")
    return within(settings, pace)


def _has_demonstrations(data_dir: Path, run: Run, parent: Policy | None) -> bool:
    """Return whether people's demonstrations are to be learned, or to be unlearned since they were withdrawn."""
    return bool(run.demonstrations) or (parent is not None and model_folder.own_sft(data_dir / parent.path) is not None)


def _material(db: Path, run_id: int, config: ModelConfig) -> Material:
    """Return what a run has claimed and what came with the model."""
    voted = preferences.rankings(db, run_id)
    prompts = shipped_files.prompts(config.model) or shipped_files.prompts(GENERAL)
    return Material(
        voted,
        demonstrations.demonstrations_of(db, run_id),
        shipped_files.comparisons(config.model),
        [*prompts, *(ranking.messages for ranking in voted)],
    )


def _also(data_dir: Path, run_id: int, settings: RunSettings) -> Callable[[Sequence[Metric]], None] | None:
    """Return what writes the run's metrics for TensorBoard as well, where its settings ask for that."""
    if not settings.tensorboard:
        return None
    if not tensorboard.installed():
        log.warning("metrics are not written for TensorBoard: the package tensorboard is not installed any more")
        return None
    return tensorboard.event_writer(data_dir / run_folder.ROOT / tensorboard.FOLDER / f"run-{run_id:06d}")


def _dataset(material: Material) -> dict[str, Any]:
    """Return what is recorded of the rows that a run learns from."""
    return {
        "sha256": digest(material.voted, material.demonstrated),
        "votes": len(material.voted),
        "demonstrations": len(material.demonstrated),
        "shipped": len(material.shipped),
    }


def _inputs(run: Run, parent: Policy, material: Material, training: Training) -> dict[str, Any]:
    """Return what a reward model and a checkpoint are made from; those of other inputs are not used."""
    return {
        "parent": parent.version,
        "created": run.created,
        "method": run.method,
        "settings": training.settings.to_json(),
        "quantize": training.config.quantize,
        # One may have been withdrawn since.
        "votes": [vote.preference_id for vote in material.voted],
        "demonstrations": [one.id for one in material.demonstrated],
    }


def _data(training: Training, method: str, material: Material, inputs: Mapping[str, Any]) -> Data:
    """Return what the policy learns from, without what is too long."""
    model, tokenizer, settings = training.model, training.tokenizer, training.settings
    voted = readable_rankings(model, tokenizer, material.voted)
    shipped = readable_rankings(model, tokenizer, material.shipped)
    liked = preferred([*voted, *shipped], settings.seed)
    drawn = max(training.config.rollout_tokens, settings.longest_drawn(method))
    prompts = short_enough(model, tokenizer, material.prompts, drawn)
    asked = gate_checks(training.config)
    prompts_of_checks = [check.messages for check in asked.checks]
    require_readable(model, tokenizer, prompts_of_checks, asked.max_new_tokens, "checks.jsonl")
    return Data(voted, shipped, prompts, liked, inputs)


def _tune(training: Training, demonstrated: Sequence[Demonstration], data: Data, parent: Path) -> bool:
    """Go on with instruction tuning if people demonstrated something; return whether the version has an SFT adapter.

    A parent that has one of its own is tuned in any case: what was withdrawn since is then unlearned.
    """
    with_sft = model_folder.own_sft(parent) is not None
    people = readable(training.model, training.tokenizer, demonstrated)
    if not training.settings.sft.steps or not (people or with_sft):
        return with_sft
    stages.tune(training, people, data.liked)
    return True


def _evaluate(training: Training, data: Data, trained: Trained, parent: Policy) -> Evaluation:
    """Return what the candidate measures, the gate's verdict on it, and how well its reward model agrees with votes."""
    evaluation = stages.check(training, data.prompts, trained, parent)
    assert evaluation.verdict is not None
    verdict = replace(evaluation.verdict, stopped_early=trained.outcome.stopped)
    return replace(
        evaluation,
        verdict=verdict,
        reward=trained.reward.agreement if trained.reward else None,
        generality=stages.breadth(training, data, trained, parent),
    )


def _record(data_dir: Path, run_id: int, parent: Policy, evaluation: Evaluation, write: Callable[[Path], None]) -> None:
    """Publish the candidate, whose files `write` writes, and record it; end the run if the gate refused it."""
    db, folder = database.file_in(data_dir), data_dir / "policies"
    verdict = evaluation.verdict
    assert verdict is not None
    version = next_version(folder, [policy.version for policy in policies.list_policies(db)])
    path, sha256 = publish(folder, version, write)
    status: PolicyStatus = "candidate" if verdict.passed else "rejected"
    relative, stored = str(path.relative_to(data_dir)), evaluation_to_json(evaluation)
    policies.record_policy(db, Policy(version, parent.version, run_id, relative, sha256, status, stored, parent.model))
    if not verdict.passed:
        runs.end_run(db, run_id, "rejected", f"v{version} did not pass the gate and is not served")


def main() -> None:
    """Train the run that the app gives this process; a failure is written to its row, with a traceback in its log.

    A group's workers are told their run on the command line; a process by itself may be started before there is one.
    """
    arguments = run_parser(__doc__, group=False).parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    transformers_logging.disable_progress_bar()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the app's; it ends this process itself
    in_group = arguments.workers > 1
    leave_with_parent(in_group=in_group)
    run = arguments.run_number or wait_for_run(database.file_in(arguments.data_dir))
    carry_out(arguments.data_dir, ModelConfig(**json.loads(arguments.model)), run, in_group=in_group)


def carry_out(data_dir: Path, model: ModelConfig, run: int, *, in_group: bool) -> None:
    """Train a run and note a failure in its row; raise SystemExit where it fails.

    A group's worker that lost another one ends with an error, and notes nothing: the group is started again. A run that
    has ended before that was seen is left alone.
    """
    db = database.file_in(data_dir)
    if in_group and runs.get_run(db, run).status != "running":
        return
    try:
        print_into(run_folder.log_of(run_folder.folder_of(data_dir, run)))
        if in_group:
            workers.join()
        log.info("run %s with %s", run, json.dumps(asdict(model)))
        train(data_dir, run, model)
        workers.leave()
    except UnconvincingVotesError as error:
        log.info("%s", error)
        if workers.first():
            runs.end_run(db, run, "rejected", str(error))
    except LostWorkerError as error:
        log.warning("%s", error)
        raise SystemExit(1) from error
    except Exception as error:
        if disk_full(data_dir):
            raise SystemExit(DISK_FULL) from error  # there is no room for a reason
        traceback.print_exc()
        if not workers.first():
            raise SystemExit(0 if isinstance(error, AlignmentError) else 1) from error  # the first one says it as well
        reason = str(error) if isinstance(error, AlignmentError | StorageError) else f"{type(error).__name__}: {error}"
        runs.end_run(db, run, "failed", reason)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()

"""The job on a tiny model: from votes to a candidate, and on from the folder of a run that was interrupted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from alignment.errors import UnconvincingVotesError
from alignment.learning import ppo, reward_adapter
from alignment.learning.rollout import Task
from alignment.models import adapters, loading
from alignment.models.features import Written, written
from alignment.models.model_folder import fingerprint
from alignment.models.texts import Text
from alignment.reward.linear_file import load_linear
from alignment.runs import job, reward_stage
from alignment.runs.settings import run_settings
from alignment.settings import ModelConfig, Quantize
from storage import database, policies, preferences, runs
from storage.checks import add_checks
from storage.demonstrations import save_demonstration
from storage.features import read_features, text_key
from storage.messages import one_turn
from storage.records import Comparison, Completion, OwnCheck, Policy
from storage.version_folders import publish

PROMPTS = ["Hi", "Why?", "Thanks", "Who are you?"]
SMALL = {
    "threads": 1,
    "diversity_prompts": 1,
    "reward": {"steps": 2, "batch_size": 2, "least_certainty": 0, "least_evidence": 0},
    "ppo": {"updates": 2, "rollouts": 4, "max_new_tokens": 4},
    "raft": {"rounds": 2, "prompts": 2, "samples": 2, "minibatches": 2, "max_new_tokens": 4},
    "dpo": {"steps": 2, "batch_size": 2, "rollouts": 4, "max_new_tokens": 4},
}


class PowerCutError(Exception):
    """Ends a run where a kill would."""


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> ModelConfig:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    pair = {"chosen": "Yes.", "rejected": "No.", "source": "simulated", "guideline": "honest"}
    pairs = [pair | {"prompt": prompt} for prompt in PROMPTS]
    (folder / "comparisons.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": p}) + "\n" for p in PROMPTS))
    return ModelConfig(str(folder), str(folder / "sft"))


def started(data_dir: Path, model: ModelConfig, method: str, votes: int = 0) -> Path:
    """Return the database of a data folder with v1 live, votes for the second of three answers, and run 1 under way."""
    db = data_dir / "triptych.db"
    database.prepare(db)
    path, sha256 = publish(
        data_dir / "policies", 1, lambda target: shutil.copytree(model.sft, target, dirs_exist_ok=True)
    )
    policies.record_policy(db, Policy(1, None, None, str(path.relative_to(data_dir)), sha256, "live"))
    for number in range(votes):
        shown = [Completion(slot, "sft", None, f"text {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
        preferences.save_comparison(db, Comparison(f"c{number}", one_turn(f"Ask {number}"), "compare", False, shown))
        preferences.save_preference(
            db, comparison_id=f"c{number}", annotator_id="ann", tiers=[["B"], ["A", "C"]], kind="choice"
        )
    runs.start_run(db, runs.queue_run(db, method, run_settings(SMALL).to_json()))
    return db


def cut_short(
    data_dir: Path, model: ModelConfig, method: str, monkeypatch: pytest.MonkeyPatch, update: int = 2, votes: int = 0
) -> tuple[Path, Path]:
    """Return the database and the run's folder after run 1 was cut off in an update, warm-up rounds included."""
    db = started(data_dir, model, method, votes=votes)
    original = job.Reporter.__call__

    def report(self: job.Reporter, stage: str, done: float, step: int = 0, *rest: Any, **more: Any) -> None:
        if step == update and stage in ("raft", "ppo"):
            raise PowerCutError
        original(self, stage, done, step, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(job.Reporter, "__call__", report)
        with pytest.raises(PowerCutError):
            job.train(data_dir, 1, model)
    return db, data_dir / "runs" / "run-000001"


def test_a_run_measures_the_reward_model_on_unseen_votes_before_ppo_and_records_a_candidate(
    tmp_path: Path, model: ModelConfig
) -> None:
    (Path(model.model) / "comparisons.jsonl").unlink()  # votes alone, as with any chat model
    db = started(tmp_path, model, "ppo", votes=6)
    job.train(tmp_path, 1, model)
    names = [metric.name for metric in runs.metrics(db, 1)]
    measured = {metric.name: metric.value for metric in runs.metrics(db, 1)}
    held_out = {f"reward/heldout_{name}" for name in ("accuracy", "low", "high", "votes", "log_loss", "confidence")}
    assert held_out | {"reward/heldout_calibration_error", "objective/disagreement"} <= set(names)
    assert names.index("reward/heldout_accuracy") < names.index("objective/score")
    assert measured["reward/heldout_votes"] == 6
    candidate = policies.version_made_by(db, 1)
    assert candidate is not None
    assert candidate.version == 2
    assert candidate.evaluation["reward"]["accuracy"]["count"] == 6
    assert set(candidate.evaluation["generality"]["models"]) == {"base", "sft", "policy"}
    names = {path.name for path in (tmp_path / candidate.path / "reward").iterdir()}  # for best-of-N
    assert names == {"linear.safetensors", "settings.json"}


def test_a_run_by_dpo_fits_no_reward_model_and_records_a_candidate_with_its_kl(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = started(tmp_path, model, "dpo", votes=6)
    monkeypatch.setattr(reward_adapter, "fit", None)
    job.train(tmp_path, 1, model)
    names = {metric.name for metric in runs.metrics(db, 1)}
    assert {"dpo/loss", "dpo/accuracy", "objective/kl", "objective/length"} <= names
    assert "objective/score" not in names
    candidate = policies.version_made_by(db, 1)
    assert candidate is not None
    assert candidate.evaluation["reward"] is None
    assert candidate.evaluation["kl"] == pytest.approx(
        [metric.value for metric in runs.metrics(db, 1) if metric.name == "objective/kl"][-1]
    )


def test_the_admins_checks_are_asked_of_candidate_parent_and_version_1(tmp_path: Path, model: ModelConfig) -> None:
    db = started(tmp_path, model, "dpo", votes=6)
    asked = [OwnCheck(one_turn("Hi"), (), ("no such word",)), OwnCheck(one_turn("Why?"), ("nor this",), ())]
    too_long = OwnCheck(one_turn("word " * 5000), ("x",), ())
    add_checks(db, [*asked, too_long], "admin")
    job.train(tmp_path, 1, model)
    made = policies.version_made_by(db, 1)
    assert made is not None
    own = next(one for one in made.evaluation["gate"]["findings"] if one["name"] == "own")
    assert (own["value"], own["count"], own["best_before"], own["passed"]) == (1, 2, 1, True)
    assert made.evaluation["counts"]["own"] == 2
    assert len(made.evaluation["first"]["outcomes"]["own"]) == 2

    # A second run, from v2: version 1 is known but for the check that is new.
    policies.serve(db, 2)
    runs.end_run(db, 1, "succeeded")
    add_checks(db, [OwnCheck(one_turn("Thanks"), (), ("at all",))], "admin")
    run = runs.queue_run(db, "dpo", run_settings(SMALL).to_json())
    runs.start_run(db, run)
    job.train(tmp_path, run, model)
    last = policies.version_made_by(db, run)
    assert last is not None
    assert len(last.evaluation["first"]["outcomes"]["own"]) == 3
    assert last.evaluation["first"]["outcomes"]["own"].items() >= made.evaluation["first"]["outcomes"]["own"].items()


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_a_run_on_a_quantized_base_trains_the_policy_down_to_its_lowest_layer(
    tmp_path: Path, model: ModelConfig, quantize: Quantize, method: str
) -> None:
    db = started(tmp_path, model, method, votes=6)
    job.train(tmp_path, 1, replace(model, quantize=quantize))
    candidate = policies.version_made_by(db, 1)
    assert candidate is not None
    before, after = (
        load_file(folder / "adapter_model.safetensors") for folder in (Path(model.sft), tmp_path / candidate.path)
    )
    lowest = [name for name in before if ".layers.0." in name]
    assert lowest
    assert not any(torch.equal(before[name], after[name]) for name in lowest)


def ship_judges(model: ModelConfig) -> None:
    """Let the model have a critic that says 7 and a reward model that says 3 of everything."""
    base, _ = loading.load_checkpoint(model.model)
    loaded = adapters.attach(base, model.sft, "sft")
    for name, says in (("value", 7.0), ("reward", 3.0)):
        head = torch.nn.Linear(loaded.config.hidden_size, 1)
        torch.nn.init.constant_(head.bias, says)
        torch.nn.init.zeros_(head.weight)
        folder = Path(model.model) / name
        folder.mkdir()
        adapters.save_adapter(loaded, "sft", folder, head)


@pytest.mark.parametrize(
    ("method", "update", "kept", "votes"),
    [
        ("ppo", 2, "raft.pt", 0),
        ("ppo", 4, "checkpoint.pt", 0),
        ("ppo", 4, "checkpoint.pt", 6),  # where a critic and a reward model ship, as with the bundled model
        ("raft", 2, "checkpoint.pt", 0),
    ],
)
def test_an_interrupted_run_goes_on_from_its_folder_to_the_same_version(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch, method: str, update: int, kept: str, votes: int
) -> None:
    if votes:
        ship_judges(model)
    undisturbed = started(tmp_path / "undisturbed", model, method, votes=votes)
    job.train(tmp_path / "undisturbed", 1, model)

    db, folder = cut_short(tmp_path / "cut", model, method, monkeypatch, update, votes)
    assert (folder / "reward").is_dir() and (folder / kept).is_file()
    with monkeypatch.context() as patch:
        patch.setattr(reward_adapter, "fit", None)  # it is not fitted again
        job.train(tmp_path / "cut", 1, model)
    versions = [policies.version_made_by(path, 1) for path in (undisturbed, db)]
    assert versions[0] is not None and versions[1] is not None
    assert versions[0].sha256 == versions[1].sha256
    assert versions[0].evaluation == versions[1].evaluation
    measured = [{(m.name, m.step): m.value for m in runs.metrics(path, 1)} for path in (undisturbed, db)]
    assert measured[0] == measured[1]
    assert list(folder.iterdir()) == []  # nothing is kept of a run that has made its version


@pytest.mark.parametrize("name", ["parent", "created", "method", "settings", "quantize", "votes", "demonstrations"])
def test_what_another_run_or_other_votes_left_in_the_folder_is_not_taken_up(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    undisturbed = started(tmp_path / "undisturbed", model, "raft")
    job.train(tmp_path / "undisturbed", 1, model)
    db, folder = cut_short(tmp_path / "left", model, "raft", monkeypatch)
    inputs = folder / "reward" / "inputs.json"
    inputs.write_text(json.dumps(json.loads(inputs.read_text()) | {name: 7}))
    (folder / "checkpoint.pt").write_bytes(b"of another run")
    fits = []
    original = reward_adapter.fit

    def fit(*arguments: Any, **more: Any) -> None:
        fits.append(1)
        original(*arguments, **more)

    monkeypatch.setattr(reward_adapter, "fit", fit)
    job.train(tmp_path / "left", 1, model)
    assert fits
    versions = [policies.version_made_by(path, 1) for path in (undisturbed, db)]
    assert versions[0] is not None and versions[1] is not None
    assert versions[0].sha256 == versions[1].sha256
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("samples", "critic"), [(1, 7.0), (4, 0.0)])
def test_ppo_begins_with_the_critic_that_ships_and_scores_by_the_shipped_reward_model_as_well(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch, samples: int, critic: float
) -> None:
    monkeypatch.setitem(SMALL["ppo"], "samples", samples)  # type: ignore[arg-type]
    monkeypatch.setitem(SMALL["reward"], "bound", 0.5)  # type: ignore[arg-type]
    ship_judges(model)
    started(tmp_path, model, "ppo", votes=6)
    seen: dict[str, float] = {}

    def fit(model: Any, tokenizer: Any, heads: torch.nn.Linear, *rest: Any) -> None:
        torch.nn.init.constant_(heads.bias, 50.0)

    def train_ppo(model: Any, tokenizer: Any, task: Task, value_head: torch.nn.Linear, *rest: Any) -> Any:
        seen["critic"] = value_head.bias.item()
        seen["score"] = task.score([Written([1], [2], ended=True)]).means.item()
        raise PowerCutError

    monkeypatch.setattr(ppo, "train_ppo", train_ppo)
    monkeypatch.setattr(reward_adapter, "fit", fit)
    with pytest.raises(PowerCutError):
        job.train(tmp_path, 1, model)
    # What votes add is pressed to the bound. Scored against each other, samples are worth 0 on average.
    assert seen == {"critic": critic, "score": pytest.approx(run_settings({}).reward.shipped_weight * 3.0 + 0.5)}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"least_certainty": 1.0}, "and a coin does as well"),
        (
            {"least_certainty": 0, "settled_certainty": 1.0, "least_evidence": 1e3},
            r"but all 6 votes are (only \d+\.\d times as|no more) probable by it",
        ),
    ],
)
def test_votes_that_a_reward_model_cannot_predict_train_nothing_and_the_run_says_so(
    tmp_path: Path, model: ModelConfig, asked: dict[str, float], why: str
) -> None:
    (Path(model.model) / "comparisons.jsonl").unlink()
    db = started(tmp_path, model, "ppo", votes=6)
    settings = run_settings(SMALL | {"reward": asked}).to_json()
    with database.write(db) as connection:
        connection["runs"].update(1, {"settings": json.dumps(settings)})
    with pytest.raises(UnconvincingVotesError, match=rf"agrees with \d of 6 votes that it had not seen, {why}"):
        job.train(tmp_path, 1, model)
    assert policies.version_made_by(db, 1) is None
    assert not {metric.name for metric in runs.metrics(db, 1)} & {"objective/score"}


def test_features_are_those_of_the_original_model_computed_once(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(model.model) / "comparisons.jsonl").unlink()
    started(tmp_path, model, "raft", votes=6)
    asked: list[int] = []
    original = reward_stage.completion_features

    def counted(model: Any, tokenizer: Any, written: Any) -> Any:
        asked.append(len(written))
        return original(model, tokenizer, written)

    monkeypatch.setattr(reward_stage, "completion_features", counted)
    monkeypatch.setattr(reward_stage, "AT_ONCE", 7)
    job.train(tmp_path, 1, model)
    assert asked == [7, 7, 4]  # kept part by part
    base, tokenizer = loading.load_checkpoint(model.model)
    loaded = adapters.attach(base, model.sft, "sft")
    text = Text(one_turn("Ask 3"), "text B")
    with adapters.using(loaded, "sft"):
        expected = original(loaded, tokenizer, [written(tokenizer, text)])[0]
    key = text_key(text.messages, text.completion, ended=True)
    stored = read_features(tmp_path / "triptych.db", fingerprint(model), [key])[key]
    assert stored == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("method", ["ppo", "raft", "dpo"])
def test_votes_that_call_everything_bad_train_and_publish_nothing(
    tmp_path: Path, model: ModelConfig, method: str
) -> None:
    db = started(tmp_path, model, method)
    runs.end_run(db, 1, "cancelled")
    for number in range(32):
        shown = [Completion(slot, "sft", None, f"text {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
        preferences.save_comparison(db, Comparison(f"c{number}", one_turn(f"Ask {number}"), "compare", False, shown))
        preferences.save_preference(db, comparison_id=f"c{number}", annotator_id="ann", tiers=[], kind="all_bad")
    run = runs.queue_run(db, method, run_settings(SMALL).to_json())
    runs.start_run(db, run)
    with pytest.raises(UnconvincingVotesError, match="none of the 32 votes prefers one text to another"):
        job.train(tmp_path, run, model)
    assert policies.version_made_by(db, run) is None


def test_beside_votes_that_compare_what_is_called_bad_is_learned_from_too(tmp_path: Path, model: ModelConfig) -> None:
    (Path(model.model) / "comparisons.jsonl").unlink()
    db = started(tmp_path, model, "raft", votes=6)
    runs.end_run(db, 1, "cancelled")
    shown = [Completion(slot, "sft", None, f"bad {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "AB"]
    preferences.save_comparison(db, Comparison("c9", one_turn("Ask 9"), "compare", False, shown))
    preferences.save_preference(db, comparison_id="c9", annotator_id="ann", tiers=[], kind="all_bad")
    run = runs.queue_run(db, "raft", run_settings(SMALL).to_json())
    runs.start_run(db, run)
    job.train(tmp_path, run, model)
    candidate = policies.version_made_by(db, run)
    assert candidate is not None
    (kept,) = (tmp_path / candidate.path).rglob("linear.safetensors")
    # Of B before A and C six times, then of the two that are bad.
    curvature = load_linear(kept.parent).posterior.curvature
    assert len(curvature) == 14
    assert (curvature > 0).all()


def test_a_better_answer_to_what_is_called_bad_is_learned_from(tmp_path: Path, model: ModelConfig) -> None:
    db = started(tmp_path, model, "dpo")
    runs.end_run(db, 1, "cancelled")
    shown = [Completion(slot, "sft", None, f"text {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
    preferences.save_comparison(db, Comparison("c1", one_turn("Ask"), "compare", False, shown))
    preferences.save_preference(db, comparison_id="c1", annotator_id="ann", tiers=[], kind="all_bad")
    save_demonstration(db, messages=one_turn("Ask"), completion="Better.", annotator_id="ann")
    run = runs.queue_run(db, "dpo", run_settings({**SMALL, "sft": {"steps": 0}}).to_json())
    runs.start_run(db, run)
    job.train(tmp_path, run, model)
    assert policies.version_made_by(db, run) is not None

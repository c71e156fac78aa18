"""The job on a tiny model: a run that is interrupted goes on with the reward model and the checkpoint in its folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment import job, reward_model
from alignment.adapters import publish
from alignment.settings import ModelConfig, run_settings
from storage import database, policies, runs
from storage.records import Policy

PROMPTS = ["Hi", "Why?", "Thanks", "Who are you?"]
SMALL = {
    "threads": 1,
    "reward": {"steps": 2, "batch_size": 2},
    "ppo": {"updates": 2, "rollouts": 4, "max_new_tokens": 4},
    "raft": {"rounds": 2, "prompts": 2, "samples": 2, "max_new_tokens": 4},
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


def started(data_dir: Path, model: ModelConfig, method: str) -> Path:
    """Return the database of a data folder with v1 live and run 1 under way."""
    db = data_dir / "triptych.db"
    database.prepare(db)
    path, sha256 = publish(
        data_dir / "policies", 1, lambda target: shutil.copytree(model.sft, target, dirs_exist_ok=True)
    )
    policies.record_policy(db, Policy(1, None, None, str(path.relative_to(data_dir)), sha256, "live"))
    runs.start_run(db, runs.queue_run(db, method, run_settings(SMALL).to_json()))
    return db


def cut_short(data_dir: Path, model: ModelConfig, method: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return the database and the run's folder after run 1 was cut off in its second update."""
    db = started(data_dir, model, method)
    original = job.Reporter.__call__

    def report(self: job.Reporter, stage: str, done: float, step: int = 0, *rest: Any, **more: Any) -> None:
        if step == 2 and stage == "ppo":
            raise PowerCutError
        original(self, stage, done, step, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(job.Reporter, "__call__", report)
        with pytest.raises(PowerCutError):
            job.train(data_dir, 1, model)
    return db, data_dir / "runs" / "run-000001"


@pytest.mark.parametrize("method", ["ppo", "raft"])
def test_an_interrupted_run_goes_on_from_its_folder_to_the_same_version(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    undisturbed = started(tmp_path / "undisturbed", model, method)
    job.train(tmp_path / "undisturbed", 1, model)

    db, folder = cut_short(tmp_path / "cut", model, method, monkeypatch)
    assert (folder / "reward").is_dir() and (folder / "checkpoint.pt").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(reward_model, "fit", None)  # it is not fitted again
        job.train(tmp_path / "cut", 1, model)
    versions = [policies.candidate_of(path, 1) for path in (undisturbed, db)]
    assert versions[0] is not None and versions[1] is not None
    assert versions[0].sha256 == versions[1].sha256
    assert versions[0].evaluation == versions[1].evaluation
    measured = [{(m.name, m.step): m.value for m in runs.metrics(path, 1)} for path in (undisturbed, db)]
    assert measured[0] == measured[1]
    assert list(folder.iterdir()) == []  # nothing is kept of a run that has made its version


@pytest.mark.parametrize("name", ["parent", "created", "method", "settings", "quantize", "votes"])
def test_what_another_run_or_other_votes_left_in_the_folder_is_not_taken_up(
    tmp_path: Path, model: ModelConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    undisturbed = started(tmp_path / "undisturbed", model, "raft")
    job.train(tmp_path / "undisturbed", 1, model)
    db, folder = cut_short(tmp_path / "left", model, "raft", monkeypatch)
    begun = folder / "reward" / "begun.json"
    begun.write_text(json.dumps(json.loads(begun.read_text()) | {name: 7}))
    (folder / "checkpoint.pt").write_bytes(b"of another run")
    fits = []
    original = reward_model.fit

    def fit(*arguments: Any, **more: Any) -> Any:
        fits.append(1)
        return original(*arguments, **more)

    monkeypatch.setattr(reward_model, "fit", fit)
    job.train(tmp_path / "left", 1, model)
    assert fits
    versions = [policies.candidate_of(path, 1) for path in (undisturbed, db)]
    assert versions[0] is not None and versions[1] is not None
    assert versions[0].sha256 == versions[1].sha256
    assert list(folder.iterdir()) == []

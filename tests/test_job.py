"""The training job on a tiny model, in this process: from votes to a recorded candidate."""

from pathlib import Path

import pytest

from alignment import job
from alignment.adapters import publish
from alignment.settings import ModelConfig, RunSettings, run_settings
from storage import database, policies, preferences, runs
from storage.records import Comparison, Completion, Policy

SMALL = {
    "threads": 1,
    "reward": {"steps": 3, "batch_size": 4},
    "ppo": {"updates": 1, "rollouts": 4, "minibatches": 1, "epochs": 1, "max_new_tokens": 6},
}


@pytest.fixture
def data_dir(tiny_folder: Path, tmp_path: Path) -> Path:
    """A data folder with the tiny model's SFT adapter as v1 and six votes."""
    db = tmp_path / "triptych.db"
    database.prepare(db)

    def copy(target: Path) -> None:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            (target / name).write_bytes((tiny_folder / "sft" / name).read_bytes())

    path, sha256 = publish(tmp_path / "policies", 1, copy)
    policies.record_policy(db, Policy(1, None, None, str(path.relative_to(tmp_path)), sha256, "live"))
    for number in range(6):
        shown = [Completion(slot, "sft", None, f"text {slot}", [1], 0, {}, "stop", 0.1, 0.2) for slot in "ABC"]
        preferences.save_comparison(db, Comparison(f"c{number}", f"Ask {number}", "compare", False, shown))
        preferences.save_preference(
            db, comparison_id=f"c{number}", annotator_id="ann", tiers=[["B"], ["A", "C"]], kind="choice"
        )
    return tmp_path


def test_a_run_measures_the_reward_model_on_unseen_votes_before_ppo_and_records_a_candidate(
    data_dir: Path, tiny_folder: Path
) -> None:
    db = data_dir / "triptych.db"
    run_id = runs.queue_run(db, "ppo", run_settings(SMALL, RunSettings()).to_json())
    runs.start_run(db, run_id)
    job.train(data_dir, run_id, ModelConfig(str(tiny_folder), str(tiny_folder / "sft")))
    names = [metric.name for metric in runs.metrics(db, run_id)]
    held_out = [f"reward/heldout_{name}" for name in ("accuracy", "low", "high", "votes", "log_loss", "confidence")]
    measured = {metric.name: metric.value for metric in runs.metrics(db, run_id)}
    assert {*held_out, "reward/heldout_calibration_error", "reward/loss", "objective/score_std"} <= set(names)
    assert names.index("reward/heldout_accuracy") < names.index("reward/loss") < names.index("objective/score")
    assert measured["reward/heldout_votes"] == 6
    candidate = policies.candidate_of(db, run_id)
    assert candidate is not None
    assert candidate.version == 2
    assert candidate.evaluation["reward"]["accuracy"]["count"] == 6

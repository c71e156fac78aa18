"""A data folder that version 0.1 left is opened, loses nothing, and its stopped run goes on (tests/fixtures)."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment.models import adapters, loading, model_folder
from alignment.models.generation import generate
from alignment.models.sampling import Sampling
from alignment.runs import job
from alignment.runs.findings import Finding, verdict_from_json
from alignment.runs.records import evaluation_from_json
from alignment.runs.settings import RunSettings, run_settings
from alignment.serving.engine import Row, policy_version_at
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig
from service.policies import ensure_live_version
from storage import database, policies, preferences, runs
from storage.demonstrations import demonstrations_of
from storage.messages import Message, one_turn
from storage.overview import overview
from storage.version_folders import verify
from tests.runs.test_supervisor import CountingSupervisor, ScriptedEngine
from tests.serving.versions import written

FIXTURE = Path(__file__).parents[1] / "fixtures" / "data-folder-0.1"


class EnoughSeenError(Exception):
    """Ends a run of 400 updates at its first one."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the folder, opened by the code of now."""
    shutil.copytree(FIXTURE, tmp_path / "copy")
    database.prepare(tmp_path / "copy" / "data" / "triptych.db")
    return tmp_path / "copy"


def test_nothing_is_lost(folder: Path) -> None:
    db = folder / "data" / "triptych.db"
    assert [ranking.preference_id for ranking in preferences.rankings(db)] == list(range(1, 10))
    assert [one.completion for one in demonstrations_of(db, 1)] == ["Paris, on the Seine."]
    found = {run.id: (run.method, run.status, run.policy_version) for run in runs.list_runs(db)}
    assert found == {1: ("ppo", "succeeded", 2), 2: ("raft", "rejected", 3), 3: ("ppo", "cancelled", None)}
    assert len(runs.metrics(db, 3)) > 50
    assert {policy.version: policy.status for policy in policies.list_policies(db)} == {
        **{1: "retired", 2: "live", 3: "rejected"}
    }
    now = overview(db)
    assert (now.open_run, now.new_votes, now.new_demonstrations) == (None, 0, 0)


def test_its_versions_are_whole_and_belong_to_its_model(folder: Path) -> None:
    fingerprint = model_folder.older_fingerprint(folder / "model", folder / "model" / "sft")
    for policy in policies.list_policies(folder / "data" / "triptych.db"):
        verify(folder / "data" / policy.path, policy.sha256)
        assert policy.model == fingerprint
        found = policy_version_at(policy.version, folder / "data" / policy.path, policy.sha256)
        assert found.own_sft == (policy.version > 1)


def test_the_verdict_on_the_version_that_did_not_pass_is_a_failed_finding(folder: Path) -> None:
    third, second, _ = policies.list_policies(folder / "data" / "triptych.db")
    verdict = verdict_from_json(third.evaluation["gate"])
    assert not verdict.passed
    assert verdict.failed == (Finding("kl", "nats", 0.2, 0.0, passed=False),)
    passed = evaluation_from_json(second.evaluation)
    assert passed.verdict is not None and passed.verdict.passed
    assert passed.kl == second.evaluation["kl"]


def test_its_live_version_is_what_the_engine_serves(folder: Path) -> None:
    data_dir, model = folder / "data", ModelConfig(str(folder / "model"), str(folder / "model" / "sft"))
    live = ensure_live_version(data_dir / "triptych.db", data_dir, model)
    assert (live.version, live.own_sft) == (2, True)
    engine = LocalEngine(model, live)
    engine.start()
    try:
        row = Row((Message("user", "Hi"),), live.adapter, True, Sampling(0.0, 8), 0)
        (state,) = written(engine, row)
    finally:
        engine.stop()
    base, tokenizer = loading.load_checkpoint(model.model)
    alone = adapters.attach(base, live.folder, "policy")  # by itself, through PEFT's own layers
    (expected,) = generate(alone, tokenizer, [tokenizer.prompt_ids(one_turn("Hi"))], Sampling(0.0, 8), [0])
    assert list(state.token_ids) == expected.token_ids


def test_its_stopped_run_is_resumed_and_fits_its_reward_model_anew_since_votes_are_read_in_another_way_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data_dir, model = folder / "data", ModelConfig(str(folder / "model"), str(folder / "model" / "sft"))
    db = data_dir / "triptych.db"
    live = policies.live_policy(db)
    assert live is not None
    engine = ScriptedEngine(policy_version_at(live.version, data_dir / live.path, live.sha256))
    run = CountingSupervisor(data_dir, engine, model, RunSettings()).resume(3)
    assert (run.status, run_settings(run.settings).raft.rounds, run_settings(run.settings).sft.steps) == (
        "queued",
        1,
        2,
    )
    few = run_settings(
        {"reward": {"least_certainty": 0, "least_evidence": 0}}, run_settings(run.settings)
    )  # its seven votes are not enough
    with database.write(db) as connection:
        connection["runs"].update(3, {"settings": json.dumps(few.to_json())})
    assert runs.start_run(db, 3)
    measured: list[str] = []

    def report(self: Any, stage: str, done: float, step: int = 0, metrics: Any = None, **more: Any) -> None:
        measured.extend(metrics or {})
        if "objective/score" in measured:
            raise EnoughSeenError

    monkeypatch.setattr(job.Reporter, "__call__", report)
    with pytest.raises(EnoughSeenError):
        job.train(data_dir, 3, model)
    assert "the run starts anew" in caplog.text
    assert "reward/heldout_accuracy" in measured
    assert (data_dir / "runs" / "run-000003" / "reward" / "linear.safetensors").is_file()

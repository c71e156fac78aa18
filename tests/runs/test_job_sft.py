"""A run that begins with instruction tuning: what its version holds and what it is measured against."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from alignment.learning import reward_adapter
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.models import adapters, loading
from alignment.models.sampling import Sampling
from alignment.models.texts import Text
from alignment.runs import job, stages
from alignment.runs.settings import run_settings
from alignment.settings import ModelConfig
from storage import database, policies, runs
from storage.demonstrations import save_demonstration
from storage.errors import VersionFolderError
from storage.messages import one_turn
from storage.records import Policy
from tests.learning.test_sft import log_likelihood
from tests.runs.test_job import PROMPTS, SMALL, cut_short, model, started

__all__ = ["model"]  # the fixture
TEXT = Text(one_turn("Hi"), "Ahoy, sailor!")
SFT = {"steps": 8, "batch_size": 4, "learning_rate": 2e-3}
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SMALL, "sft", SFT)


@pytest.fixture
def shipping(model: ModelConfig) -> ModelConfig:
    """A model that ships demonstrations."""
    lines = [json.dumps({"prompt": prompt, "completion": "Yes, gladly."}) for prompt in PROMPTS]
    (Path(model.model) / "demonstrations.jsonl").write_text("\n".join(lines) + "\n")
    return model


def write(db: Path, text: Text = TEXT) -> int:
    return save_demonstration(db, messages=text.messages, completion=text.completion, annotator_id="ann")


def begun(data_dir: Path, model: ModelConfig, method: str = "ppo", texts: tuple[Text, ...] = (TEXT,)) -> Path:
    """Return the database of a data folder with v1 live and run 1 under way, which has claimed demonstrations."""
    database.prepare(data_dir / "triptych.db")
    for text in texts:
        write(data_dir / "triptych.db", text)
    return started(data_dir, model, method)


def next_run(db: Path, live: Policy, **changes: Any) -> int:
    """Make a version live and return the run that begins from it, under way."""
    policies.serve(db, live.version)
    runs.end_run(db, 1, "succeeded")
    run_id = runs.queue_run(db, "ppo", run_settings(SMALL | changes).to_json())
    runs.start_run(db, run_id)
    return run_id


def made(db: Path, run_id: int = 1) -> Policy:
    candidate = policies.version_made_by(db, run_id)
    assert candidate is not None
    return candidate


def measures(db: Path, run_id: int = 1) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for metric in runs.metrics(db, run_id):
        found.setdefault(metric.name, []).append(metric.value)
    return found


def same(one: Path, other: Path) -> bool:
    weights = [load_file(folder / WEIGHTS) for folder in (one, other)]
    return all(torch.equal(weights[0][name].float(), weights[1][name].float()) for name in weights[0])


def test_what_people_demonstrated_is_learned_by_the_sft_adapter_and_by_the_policy_of_the_version(
    tmp_path: Path, shipping: ModelConfig
) -> None:
    db = begun(tmp_path, shipping)
    job.train(tmp_path, 1, shipping)
    folder = tmp_path / made(db).path
    assert {path.name for path in (folder / "sft").iterdir()} == {"adapter_config.json", WEIGHTS}
    loaded, tokenizer = loading.load_checkpoint(shipping.model)
    loaded = adapters.attach(loaded, shipping.sft, "before")  # v1's policy as well
    adapters.attach(loaded, folder / "sft", "sft")
    adapters.attach(loaded, folder, "policy")
    before, sft, policy = (log_likelihood(loaded, tokenizer, name, TEXT) for name in ("before", "sft", "policy"))
    assert sft > before and policy > before
    measured = measures(db)
    assert len(measured["sft/loss"]) == len(measured["sft/policy_loss"]) == SFT["steps"]
    assert measured["sft/loss"][-1] < measured["sft/loss"][0]
    names = list(measured)
    assert names.index("sft/loss") < names.index("sft/policy_loss") < names.index("reward/loss")


def test_the_kl_of_such_a_run_is_measured_against_the_new_sft_adapter(tmp_path: Path, shipping: ModelConfig) -> None:
    db = begun(tmp_path, shipping, "dpo")
    job.train(tmp_path, 1, shipping)
    version = made(db)

    def kl(reference: Path) -> float:
        loaded, tokenizer = loading.load_checkpoint(shipping.model)
        loaded = adapters.attach(loaded, reference, "sft")
        adapters.attach(loaded, tmp_path / version.path, "policy")
        return sampled_metrics(loaded, tokenizer, [one_turn(prompt) for prompt in PROMPTS], Sampling(1.0, 4), 4, 0)[
            "objective/kl"
        ]

    assert version.evaluation["kl"] == pytest.approx(kl(tmp_path / version.path / "sft"), abs=1e-5)
    assert version.evaluation["kl"] != pytest.approx(kl(Path(shipping.sft)), abs=1e-3)


def test_the_policy_is_held_by_what_labelers_liked_and_not_by_the_shipped_demonstrations(
    tmp_path: Path, shipping: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path, shipping)
    learned: dict[str, Any] = {}

    def train_sft(model: Any, tokenizer: Any, adapter: str, batches: Any, *rest: Any) -> None:
        texts = {text for batch in batches for text in batch}
        learned[adapter] = TEXT in texts, {text.completion for text in texts - {TEXT}}

    monkeypatch.setattr(stages, "train_sft", train_sft)
    job.train(tmp_path, 1, shipping)
    assert learned == {"sft": (True, {"Yes, gladly."}), "policy": (True, {"Yes."})}


@pytest.mark.parametrize("texts", [(), (TEXT,)])
def test_a_run_without_demonstrations_or_without_steps_leaves_no_sft_adapter(
    tmp_path: Path, shipping: ModelConfig, monkeypatch: pytest.MonkeyPatch, texts: tuple[Text, ...]
) -> None:
    if texts:
        monkeypatch.setitem(SMALL, "sft", SFT | {"steps": 0})
    db = begun(tmp_path, shipping, texts=texts)
    job.train(tmp_path, 1, shipping)
    assert not (tmp_path / made(db).path / "sft").exists()
    assert not any(name.startswith("sft/") for name in measures(db))


def test_the_next_run_begins_with_the_sft_adapter_of_its_parent_and_hands_it_on(
    tmp_path: Path, shipping: ModelConfig
) -> None:
    db = begun(tmp_path, shipping)
    job.train(tmp_path, 1, shipping)
    parent = made(db)
    job.train(tmp_path, next_run(db, parent, sft={"steps": 0}), shipping)
    child = made(db, 2)
    assert same(tmp_path / child.path / "sft", tmp_path / parent.path / "sft")
    assert not same(tmp_path / child.path / "sft", Path(shipping.sft))


def test_what_was_demonstrated_to_a_parent_fades_once_it_is_withdrawn(tmp_path: Path, shipping: ModelConfig) -> None:
    db = begun(tmp_path, shipping)
    job.train(tmp_path, 1, shipping)
    parent = made(db)
    with database.write(db) as connection:
        connection["demonstrations"].update(1, {"withdrawn": database.now()})
    job.train(tmp_path, next_run(db, parent), shipping)
    loaded, tokenizer = loading.load_checkpoint(shipping.model)
    loaded = adapters.attach(loaded, tmp_path / parent.path / "sft", "parent")
    adapters.attach(loaded, tmp_path / made(db, 2).path / "sft", "child")
    for text, sign in ((TEXT, -1), (Text(one_turn(PROMPTS[1]), "Yes, gladly."), 1)):
        before, after = (log_likelihood(loaded, tokenizer, name, text) for name in ("parent", "child"))
        assert (after - before) * sign > 0


@pytest.mark.parametrize(("method", "update"), [("ppo", 2), ("ppo", 3), ("raft", 2)])
def test_a_run_killed_after_it_has_learned_from_people_ends_where_an_undisturbed_one_ends(
    tmp_path: Path, shipping: ModelConfig, monkeypatch: pytest.MonkeyPatch, method: str, update: int
) -> None:
    undisturbed = begun(tmp_path / "undisturbed", shipping, method)
    job.train(tmp_path / "undisturbed", 1, shipping)
    database.prepare(tmp_path / "cut" / "triptych.db")
    write(tmp_path / "cut" / "triptych.db")
    db, _ = cut_short(tmp_path / "cut", shipping, method, monkeypatch, update)
    with monkeypatch.context() as patch:
        patch.setattr(reward_adapter, "fit", None)  # it is not fitted again
        job.train(tmp_path / "cut", 1, shipping)
    assert made(undisturbed).sha256 == made(db).sha256  # sft/ is in it
    assert made(undisturbed).evaluation == made(db).evaluation


def test_a_run_begins_anew_where_a_demonstration_was_withdrawn_meanwhile(
    tmp_path: Path, shipping: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Text(one_turn("Thanks"), "Aye, aye.")
    database.prepare(tmp_path / "cut" / "triptych.db")
    ids = [write(tmp_path / "cut" / "triptych.db", text) for text in (TEXT, other)]
    db, _ = cut_short(tmp_path / "cut", shipping, "raft", monkeypatch)
    with database.write(db) as connection:
        connection["demonstrations"].update(ids[1], {"withdrawn": database.now()})
    job.train(tmp_path / "cut", 1, shipping)
    alone = begun(tmp_path / "alone", shipping, "raft")
    job.train(tmp_path / "alone", 1, shipping)
    assert made(db).sha256 == made(alone).sha256


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_parent_whose_sft_adapter_is_not_whole_is_not_begun_from(
    tmp_path: Path, shipping: ModelConfig, damage: str
) -> None:
    db = begun(tmp_path, shipping)
    job.train(tmp_path, 1, shipping)
    parent = made(db)
    run_id = next_run(db, parent)
    weights = tmp_path / parent.path / "sft" / WEIGHTS
    if damage == "changed":
        weights.write_bytes(weights.read_bytes() + b"x")
    else:
        for path in weights.parent.iterdir():
            path.unlink()
        weights.parent.rmdir()
    with pytest.raises(VersionFolderError, match=r"policy-000002 has changed since it was published .*; restore it"):
        job.train(tmp_path, run_id, shipping)
    assert policies.version_made_by(db, run_id) is None

"""The whole loop for each shape of model and each architecture: votes, a run, a version that is served.

Nothing is prepared for a chat checkpoint: no prompts, no comparisons, no checks, no adapter.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from alignment.models import adapters, loading, model_folder
from alignment.models.generation import generate
from alignment.models.sampling import Sampling
from alignment.runs import job, run_models
from alignment.runs.settings import run_settings
from alignment.serving.engine import Row, policy_version_at
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig, Quantize
from service.policies import ensure_live_version
from storage import database, policies, preferences, runs
from storage.demonstrations import save_demonstration
from storage.messages import Message, one_turn
from storage.records import Comparison, Completion, Policy
from tests.harness.architectures import CONFIGS, write_checkpoint
from tests.serving.versions import written

SETTINGS = {
    "threads": 1,
    "sft": {"steps": 2, "batch_size": 2},
    "reward": {"steps": 2, "batch_size": 2},
    "raft": {"rounds": 1, "prompts": 2, "samples": 2, "minibatches": 1, "averaged_rounds": 1, "warmup_steps": 1},
    "ppo": {"updates": 1, "rollouts": 4, "samples": 2, "minibatches": 2, "epochs": 1, "warmup_updates": 0},
    "dpo": {"steps": 2, "batch_size": 2, "rollouts": 4},
    "gate": {"max_kl": 1e6},
}
SECOND_TURN = (*one_turn("Hi", "Be brief."), Message("assistant", "Hello."), Message("user", "Who are you?"))
QUICK = ("gemma2", "gpt2", "mixture of experts", "qwen3.5")  # the others take a run in `make test-slow`
SHAPES = ("adapter", "chat", "chat and base")


def model_of(shape: str, folder: Path, tiny_folder: Path, architecture: str = "llama") -> ModelConfig:
    """Return a tiny model of a shape."""
    if shape == "adapter":
        return ModelConfig(str(tiny_folder), str(tiny_folder / "sft"), rollout_tokens=4)
    for name in ("chat", "base"):
        write_checkpoint(architecture, folder / name)
    base = str(folder / "base") if shape == "chat and base" else ""
    return ModelConfig(str(folder / "chat"), base=base, rollout_tokens=4)


def begun(data_dir: Path, model: ModelConfig, method: str, demonstrated: bool = False) -> int:
    """Open a data folder with a model and vote in it; return a run that is under way."""
    db = data_dir / "triptych.db"
    if not db.exists():
        database.prepare(db)
        ensure_live_version(db, data_dir, model)
        for number, messages in enumerate((one_turn("Hi"), one_turn("Why?"), SECOND_TURN, one_turn("Bye"))):
            shown = [
                Completion(slot, "sft", None, f"text {slot}", [1], 0, {}, "length" if slot == "B" else "stop", 0.1, 0.2)
                for slot in "ABC"
            ]
            preferences.save_comparison(db, Comparison(f"c{number}", messages, "compare", False, shown))
            preferences.save_preference(
                db, comparison_id=f"c{number}", annotator_id="ann", tiers=[["B"], ["A", "C"]], kind="choice"
            )
        if demonstrated:
            save_demonstration(db, messages=SECOND_TURN, completion="A model.", annotator_id="ann")
    run_id = runs.queue_run(db, method, run_settings(SETTINGS).to_json())
    runs.start_run(db, run_id)
    return run_id


def trained(data_dir: Path, model: ModelConfig, method: str = "ppo", demonstrated: bool = False) -> Policy:
    """Train a run and make its version live, as the supervisor does."""
    run_id, db = begun(data_dir, model, method, demonstrated), data_dir / "triptych.db"
    job.train(data_dir, run_id, model)
    made = policies.version_made_by(db, run_id)
    assert made is not None
    assert made.status == "candidate", made.evaluation["gate"]
    policies.go_live(db, made.version, run_id)
    return made


def moved(data_dir: Path, version: Policy) -> list[str]:
    """Return the matrices of a version that add something to its layers."""
    weights = load_file(data_dir / version.path / "adapter_model.safetensors")
    return [name for name, weight in weights.items() if "lora_B" in name and weight.abs().sum() > 0]


@pytest.mark.parametrize("shape", SHAPES)
def test_votes_become_a_version_that_is_served_and_that_the_next_run_begins_from(
    tmp_path: Path, tiny_folder: Path, shape: str
) -> None:
    model, data_dir = model_of(shape, tmp_path, tiny_folder), tmp_path / "data"
    second = trained(data_dir, model)
    first = ensure_live_version(data_dir / "triptych.db", data_dir, model)
    assert (first.version, second.version, second.parent) == (2, 2, 1)
    third = trained(data_dir, model, "dpo")
    assert (third.version, third.parent) == (3, 2)
    engine = LocalEngine(model, policy_version_at(1, data_dir / "policies" / "policy-000001", _sha256(data_dir, 1)))
    engine.start()
    try:
        for version in (second, third):
            served = policy_version_at(version.version, data_dir / version.path, version.sha256)
            engine.swap(served).result(60)
            row = Row(SECOND_TURN, served.adapter, True, Sampling(0.0, 8), 0)
            (state,) = written(engine, row)
            assert list(state.token_ids) == by_itself(model, data_dir / version.path)
    finally:
        engine.stop()


def _sha256(data_dir: Path, version: int) -> str:
    (found,) = (one for one in policies.list_policies(data_dir / "triptych.db") if one.version == version)
    return found.sha256


def by_itself(model: ModelConfig, version: Path) -> list[int]:
    """Return what a version answers on a model of its own, through PEFT's layers."""
    loaded, tokenizer = loading.load_model(model)
    loaded = adapters.attach(loaded, version, "policy")
    (expected,) = generate(loaded, tokenizer, [tokenizer.prompt_ids(SECOND_TURN)], Sampling(0.0, 8), [0])
    return expected.token_ids


def test_a_chat_checkpoint_is_its_own_reference_and_its_first_version_changes_nothing(
    tmp_path: Path, tiny_folder: Path
) -> None:
    model, data_dir = model_of("chat", tmp_path, tiny_folder), tmp_path / "data"
    begun(data_dir, model, "ppo")
    first = data_dir / "policies" / "policy-000001"
    assert [path.name for path in first.iterdir()] == [model_folder.UNCHANGED]
    loaded, tokenizer = run_models.load(model, first, seed=3)
    ids = torch.tensor([tokenizer.prompt_ids(SECOND_TURN)])
    with torch.no_grad():
        with loaded.disable_adapter():
            plain = loaded(input_ids=ids).logits
        for name in ("sft", "parent", "policy"):
            with adapters.using(loaded, name):
                assert torch.equal(loaded(input_ids=ids).logits, plain)
    again, _ = run_models.load(model, first, seed=3)
    for one, other in zip(*(adapters.adapter_parameters(each, "policy") for each in (loaded, again)), strict=True):
        assert torch.equal(one, other)


def test_what_people_demonstrate_becomes_the_sft_adapter_of_a_chat_checkpoints_version(
    tmp_path: Path, tiny_folder: Path
) -> None:
    model, data_dir = model_of("chat", tmp_path, tiny_folder), tmp_path / "data"
    version = trained(data_dir, model, "raft", demonstrated=True)
    assert model_folder.own_sft(data_dir / version.path) is not None
    loaded, _ = run_models.load(model, data_dir / version.path, seed=0)
    assert any(weight.abs().sum() > 0 for weight in adapters.adapter_parameters(loaded, "sft")[1::2])
    assert policy_version_at(version.version, data_dir / version.path, version.sha256).own_sft
    trained(data_dir, model, "raft")  # the next run begins from it


@pytest.mark.parametrize(
    "architecture", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in CONFIGS]
)
def test_every_architecture_takes_a_run(tmp_path: Path, tiny_folder: Path, architecture: str) -> None:
    model, data_dir = model_of("chat", tmp_path, tiny_folder, architecture), tmp_path / "data"
    version = trained(data_dir, model)
    names = moved(data_dir, version)
    assert any(".0." in name for name in names) and any(".1." in name for name in names)


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_a_quantized_chat_checkpoint_takes_a_run(tmp_path: Path, tiny_folder: Path, quantize: Quantize) -> None:
    model, data_dir = replace(model_of("chat", tmp_path, tiny_folder), quantize=quantize), tmp_path / "data"
    assert moved(data_dir, trained(data_dir, model))


@pytest.mark.parametrize("shape", ["adapter", "chat"])
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_weights_in_half_precision_train_adapters_and_heads_in_full_precision(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, shape: str, method: str
) -> None:
    model, data_dir = model_of(shape, tmp_path, tiny_folder), tmp_path / "data"
    monkeypatch.setattr(loading, "best_dtype", lambda folder, device: torch.bfloat16)
    seen: dict[str, set[Any]] = {}
    original = run_models.save_version

    def save_version(loaded: Any, head: Any, *rest: Any, **more: Any) -> None:
        seen["base"] = {w.dtype for name, w in loaded.named_parameters() if "lora_" not in name}
        seen["trained"] = {weight.dtype for weight in adapters.adapter_parameters(loaded, "policy")}
        original(loaded, head, *rest, **more)

    monkeypatch.setattr(run_models, "save_version", save_version)
    version = trained(data_dir, model, method)
    assert seen == {"base": {torch.bfloat16}, "trained": {torch.float32}}
    assert moved(data_dir, version)
    measured = [metric.value for metric in runs.metrics(data_dir / "triptych.db", 1)]
    assert all(value == value for value in measured)

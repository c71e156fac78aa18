"""What is served from a data folder: the live version, an older whole one, or the model's own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.models import model_folder
from alignment.settings import ModelConfig
from service.policies import ensure_live_version, untrained_versions
from storage import database, policies
from storage.records import Policy
from storage.version_folders import publish


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    database.prepare(tmp_path / "data" / "triptych.db")
    return tmp_path / "data"


@pytest.fixture
def model(tiny_folder: Path) -> ModelConfig:
    return ModelConfig(str(tiny_folder), str(tiny_folder / "sft"))


def served(data_dir: Path, model: ModelConfig) -> int:
    return ensure_live_version(data_dir / "triptych.db", data_dir, model).version


def write_weights(target: Path) -> None:
    (target / "weights").write_text("trained")


def add_version(data_dir: Path, version: int, like: Policy, write: Callable[[Path], None] = write_weights) -> Path:
    """Record a trained version of the model of `like` and make it live."""
    path, sha256 = publish(data_dir / "policies", version, write)
    relative = str(path.relative_to(data_dir))
    db = data_dir / "triptych.db"
    policies.record_policy(db, Policy(version, like.version, None, relative, sha256, "retired", {}, like.model))
    policies.serve(db, version)
    return path


def first(data_dir: Path) -> Policy:
    return policies.list_policies(data_dir / "triptych.db")[-1]


def test_a_fresh_folder_gets_the_models_own_policy_once(data_dir: Path, model: ModelConfig) -> None:
    assert served(data_dir, model) == 1
    assert served(data_dir, model) == 1
    assert first(data_dir).status == "live"


def test_a_folder_may_be_moved(data_dir: Path, model: ModelConfig, tmp_path: Path) -> None:
    assert served(data_dir, model) == 1
    moved = data_dir.rename(tmp_path / "moved")
    reference = ensure_live_version(moved / "triptych.db", moved, model)
    assert (reference.version, reference.folder.parent.parent) == (1, moved)


def test_a_damaged_live_version_gives_way_to_its_parent_with_a_warning(
    data_dir: Path, model: ModelConfig, caplog: pytest.LogCaptureFixture
) -> None:
    assert served(data_dir, model) == 1
    add_version(data_dir, 2, first(data_dir))
    add_version(data_dir, 3, first(data_dir))
    damaged = add_version(data_dir, 4, policies.get_policy(data_dir / "triptych.db", 2))
    assert served(data_dir, model) == 4
    (damaged / "weights").write_text("something else")
    assert served(data_dir, model) == 2
    assert "v4 cannot be served" in caplog.text
    statuses = {p.version: p.status for p in policies.list_policies(data_dir / "triptych.db")}
    assert statuses == {1: "retired", 2: "live", 3: "retired", 4: "retired"}


def test_where_the_parent_is_damaged_too_the_first_version_answers_and_without_any_a_new_one(
    data_dir: Path, model: ModelConfig
) -> None:
    assert served(data_dir, model) == 1
    for number in (2, 3):
        parent = policies.get_policy(data_dir / "triptych.db", number - 1)
        (add_version(data_dir, number, parent) / "weights").write_text("something else")
    assert served(data_dir, model) == 1
    shutil.rmtree(data_dir / first(data_dir).path)
    assert served(data_dir, model) == 4


def test_the_sft_adapter_of_the_served_version_is_found_again_at_the_start(data_dir: Path, model: ModelConfig) -> None:
    def write(target: Path) -> None:
        shutil.copytree(model.sft, target / "sft")
        (target / "weights").write_text("trained")

    assert served(data_dir, model) == 1
    add_version(data_dir, 2, first(data_dir), write)
    refitted = ensure_live_version(data_dir / "triptych.db", data_dir, model)
    assert (refitted.version, refitted.own_sft) == (2, True)
    shutil.rmtree(refitted.folder / "sft")
    plain = ensure_live_version(data_dir / "triptych.db", data_dir, model)
    assert (plain.version, plain.own_sft) == (1, False)


def test_another_model_gets_a_version_of_its_own_and_the_first_ones_is_found_again(
    data_dir: Path, model: ModelConfig, tiny_folder: Path, tmp_path: Path
) -> None:
    assert served(data_dir, model) == 1
    add_version(data_dir, 2, first(data_dir))
    other = shutil.copytree(tiny_folder / "other", tmp_path / "other")
    assert served(data_dir, ModelConfig(str(tiny_folder), str(other))) == 3
    assert served(data_dir, model) == 2


def test_versions_of_a_folder_of_before_are_kept(data_dir: Path, model: ModelConfig) -> None:
    db, older = data_dir / "triptych.db", model_folder.older_fingerprint(model.model, model.sft)
    assert served(data_dir, model) == 1
    add_version(data_dir, 2, first(data_dir))
    policies.rename_model(db, model_folder.fingerprint(model), older)
    policies.record_policy(db, Policy(3, None, None, "policies/policy-000003", "0", "retired", {}, "of another model"))
    assert served(data_dir, model) == 2
    held = {policy.version: policy.model for policy in policies.list_policies(db)}
    assert held == {1: model_folder.fingerprint(model), 2: model_folder.fingerprint(model), 3: "of another model"}


def test_version_1_of_a_chat_checkpoint_is_the_checkpoint_itself(data_dir: Path, tiny_folder: Path) -> None:
    model = ModelConfig(str(tiny_folder))
    live = ensure_live_version(data_dir / "triptych.db", data_dir, model)
    assert (live.version, live.adapter, live.adapters) == (1, None, [])
    assert [file.name for file in live.folder.iterdir()] == [model_folder.UNCHANGED]
    assert ensure_live_version(data_dir / "triptych.db", data_dir, model) == live


def test_a_gguf_model_that_is_not_converted_yet_gets_its_first_version(
    data_dir: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" * 100)
    model = ModelConfig(str(tmp_path / "later"), str(tiny_folder / "sft"), gguf=str(tmp_path / "x.gguf"))
    assert served(data_dir, model) == 1


def test_a_version_is_untrained_if_it_is_the_instruction_tuning_itself_also_once_a_policy_ships(
    data_dir: Path, model: ModelConfig, tmp_path: Path
) -> None:
    db = data_dir / "triptych.db"

    def untrained(model: ModelConfig) -> frozenset[int]:
        return untrained_versions(db, data_dir, model)

    chat, ships = ModelConfig(model.model), ModelConfig(model.model, ships=str(tmp_path / "ships"))
    assert (served(data_dir, model), untrained(model)) == (1, {1})  # a copy of its adapter
    assert (served(data_dir, chat), untrained(chat)) == (2, {2})  # the checkpoint as it is
    shutil.copytree(Path(model.sft).parent / "other", tmp_path / "ships" / "policy")
    assert (served(data_dir, ships), untrained(ships)) == (2, {2})  # the folder goes on with what it has
    fresh = tmp_path / "fresh"
    database.prepare(fresh / "triptych.db")
    assert served(fresh, ships) == 1
    assert not untrained_versions(fresh / "triptych.db", fresh, ships)

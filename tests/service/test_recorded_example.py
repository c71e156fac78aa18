"""The example that new visitors see: answers that the model really gave, shown with the weights that gave them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from alignment.errors import ModelLoadError
from alignment.models import catalogue, presets
from alignment.models.catalogue import ModelChoice
from alignment.models.model_folder import fingerprint
from alignment.settings import POCKET_MODEL, ModelConfig
from scripts.record_example import record
from service.policies import ensure_live_version
from service.recorded_example import FILE, path_beside, recorded_example, write
from storage import database, policies
from tests.harness.scripted import RECORDED

SAME = ("role", "policy_version", "text", "token_ids", "seed", "sampling", "finish_reason")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    return path


@pytest.fixture
def model(tmp_path: Path, db: Path) -> ModelConfig:
    """The pocket model with a recorded example elsewhere than beside it, and its version 1 in a data folder."""
    config = replace(POCKET_MODEL, ships=str(tmp_path / "ships"))
    policy = ensure_live_version(db, tmp_path, config).sha256
    write(path_beside(config), replace(RECORDED, model=fingerprint(config), policy=policy))
    return config


def test_the_pocket_model_asked_again_gives_the_recorded_answers(tmp_path: Path, db: Path) -> None:
    ensure_live_version(db, tmp_path, POCKET_MODEL)
    kept = recorded_example(POCKET_MODEL, db)
    assert kept is not None
    again, path = record("pocket", kept.prompt, kept.completions[0].seed)
    assert path == path_beside(POCKET_MODEL)
    for first, second in zip(kept.completions, again.completions, strict=True):
        assert {name: asdict(first)[name] for name in SAME} == {name: asdict(second)[name] for name in SAME}
    assert len({completion.text for completion in kept.completions}) == 3  # what a newcomer is to see


@pytest.mark.skipif(presets.presets()[presets.FIRST_CHOICE].packaged_file() is None, reason="SmolLM2 is not installed")
def test_the_first_models_example_is_of_the_weights_and_the_policy_that_ship(tmp_path: Path, db: Path) -> None:
    """Where it fails, a policy was built anew: `python -m scripts.record_example smollm2-135m` asks it."""
    config = catalogue.resolve(ModelChoice(presets.FIRST_CHOICE), tmp_path, online=False).config
    ensure_live_version(db, tmp_path, config)
    assert recorded_example(config, db) is not None


def test_an_example_is_shown_under_the_number_that_its_policy_has_in_the_data_folder(
    model: ModelConfig, db: Path
) -> None:
    """Elsewhere another model came first."""
    first = policies.list_policies(db)[0]
    with database.write(db) as tables:
        tables["policies"].update(first.version, {"version": 4})
    example = recorded_example(model, db)
    assert example is not None
    assert [one.policy_version for one in example.completions] == [None, None, 4]


def test_with_other_weights_another_policy_or_weights_held_otherwise_it_is_not_shown(
    model: ModelConfig, db: Path
) -> None:
    assert recorded_example(model, db) is not None
    for other in (replace(model, quantize="int8"), replace(model, sft="", base=model.model)):
        assert recorded_example(other, db) is None
    path = path_beside(model)
    values = json.loads(path.read_text(encoding="utf-8"))
    for name in ("model", "policy"):
        path.write_text(json.dumps(values | {name: "f" * 64}), encoding="utf-8")
        assert recorded_example(model, db) is None
    path.unlink()
    assert recorded_example(model, db) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "a"}', '{"completions": [{}]}'])
def test_a_file_that_holds_none_is_named(model: ModelConfig, db: Path, text: str) -> None:
    path_beside(model).write_text(text, encoding="utf-8")
    with pytest.raises(ModelLoadError, match=f"{FILE} holds no recorded example"):
        recorded_example(model, db)

"""Which model a data folder is opened with: the one given, the one remembered, or the first one."""

import logging
from pathlib import Path

import pytest

from alignment.errors import ConfigError
from alignment.models import model_folder, presets
from alignment.models.catalogue import ModelChoice
from alignment.settings import POCKET_MODEL
from service.chosen_model import choose, remember
from storage import database, policies
from storage.records import Policy

NOTHING = ModelChoice("")


@pytest.fixture
def db(tmp_path: Path) -> Path:
    database.prepare(tmp_path / "triptych.db")
    return tmp_path / "triptych.db"


def record(db: Path, model: str) -> None:
    policies.record_policy(db, Policy(1, None, None, "policies/policy-000001", "0", "retired", {}, model))


@pytest.mark.parametrize("installed", [True, False])
def test_a_new_folder_gets_smollm2_or_says_why_not(
    db: Path, installed: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presets.Preset, "packaged_file", lambda preset: Path("x.gguf") if installed else None)
    with caplog.at_level(logging.WARNING):
        assert choose(db, NOTHING) == ModelChoice("smollm2-135m" if installed else "pocket")
    assert ("so the pocket model starts" in caplog.text) != installed


def test_a_folder_remembers_its_model_and_another_may_be_given(db: Path) -> None:
    first = ModelChoice("/models/mine", base="org/base", quantize="nf4")
    assert choose(db, first) == first
    remember(db, first)
    assert choose(db, NOTHING) == first
    assert choose(db, ModelChoice("", quantize="none")) == ModelChoice("/models/mine", "org/base", "", "none")
    remember(db, ModelChoice("pocket"))
    assert choose(db, NOTHING) == ModelChoice("pocket")


@pytest.mark.parametrize("older", [True, False])
def test_a_folder_of_before_is_opened_with_the_pocket_model_if_it_has_its_versions(db: Path, older: bool) -> None:
    before = model_folder.older_fingerprint(POCKET_MODEL.model, POCKET_MODEL.sft)
    record(db, before if older else model_folder.fingerprint(POCKET_MODEL))
    assert choose(db, NOTHING) == ModelChoice("pocket")


def test_a_folder_of_before_with_another_models_versions_asks_for_it(db: Path) -> None:
    record(db, "fingerprint of another model")
    with pytest.raises(ConfigError, match=r"it is not known where that lies; give --model"):
        choose(db, NOTHING)
    assert choose(db, ModelChoice("/models/mine")) == ModelChoice("/models/mine")

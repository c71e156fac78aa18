"""A data folder is opened with the model that it was used with."""

from pathlib import Path

import pytest

from alignment.errors import ConfigError
from alignment.models import model_folder, presets
from alignment.models.catalogue import ModelChoice
from alignment.settings import POCKET_MODEL
from service import chosen_model
from service.policies import ensure_live_version
from storage import database, policies
from storage.records import Policy


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = database.file_in(tmp_path)
    database.prepare(path)
    return path


def add_version(db: Path, model: str) -> None:
    policies.record_policy(db, Policy(1, None, None, "policies/policy-000001", "0", "retired", model=model))


def test_a_folder_remembers_its_model_and_what_is_given_changes_it(db: Path) -> None:
    chosen_model.remember(db, ModelChoice("some/chat", base="some/base"))
    assert chosen_model.choose(db, ModelChoice("")) == ModelChoice("some/chat", base="some/base")
    assert chosen_model.choose(db, ModelChoice("", quantize="nf4")).quantize == "nf4"
    assert chosen_model.choose(db, ModelChoice("pocket")) == ModelChoice("pocket")


@pytest.mark.parametrize("installed", [True, False])
def test_a_new_folder_gets_smollm2_where_it_is_installed_else_the_pocket_model(
    db: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, installed: bool
) -> None:
    monkeypatch.setattr(presets.Preset, "packaged_file", lambda _: Path("here.gguf") if installed else None)
    assert chosen_model.choose(db, ModelChoice("")).model == ("smollm2-135m" if installed else "pocket")
    assert ("so the pocket model starts" in caplog.text) == (not installed)


def test_a_folder_of_before_with_versions_of_the_pocket_model_is_opened_with_it(db: Path) -> None:
    add_version(db, model_folder.older_fingerprint(POCKET_MODEL.model, POCKET_MODEL.sft))
    assert chosen_model.choose(db, ModelChoice("")).model == "pocket"


def test_a_folder_of_before_with_versions_of_an_unknown_model_asks_for_it(db: Path) -> None:
    add_version(db, "of another model")
    with pytest.raises(ConfigError, match=r"give --model .* as before, once"):
        chosen_model.choose(db, ModelChoice(""))


def test_the_versions_of_a_folder_of_before_are_kept(db: Path, tmp_path: Path) -> None:
    first = ensure_live_version(db, tmp_path, POCKET_MODEL)
    older = model_folder.older_fingerprint(POCKET_MODEL.model, POCKET_MODEL.sft)
    policies.rename_model(db, model_folder.fingerprint(POCKET_MODEL), older)  # as it was stored before
    assert ensure_live_version(db, tmp_path, POCKET_MODEL) == first
    assert [policy.model for policy in policies.list_policies(db)] == [model_folder.fingerprint(POCKET_MODEL)]

"""Versions taken away in files, versions whose files are removed, and a live one that is damaged at the start."""

import asyncio
import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.errors import AccessError, AdapterError, ConfigError
from alignment.models import merging
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.features import written
from alignment.models.texts import Text
from alignment.runs.settings import RunSettings
from alignment.runs.supervisor import Supervisor
from alignment.serving.local import LocalEngine
from alignment.settings import ModelConfig
from service import version_files, versions
from service.compare import compare
from service.context import Services
from service.policies import ensure_live_version
from service.requests import CompareRequest
from service.status import status_of
from service.version_files import ExportVersionRequest, PruneRequest, export_version, prune
from service.versions import VersionRequest
from storage import database, events, policies, runs
from storage.messages import one_turn
from storage.records import Policy
from storage.version_folders import publish
from tests.harness.scripted import PASSWORD, Backstage
from tests.serving.versions import new_engine
from ui import layout, versions_view

TEXT = Text(one_turn("Why is the sky blue?"), "Because of the air.")
GATE = {
    "passed": True,
    "findings": [{"name": "kl", "unit": "nats", "value": 2.5, "bound": 10.0, "passed": True}],
}


@dataclass(frozen=True)
class Real:
    """Services over a real engine that serves what a data folder holds: v1 → v2 → v3, live."""

    services: Services
    engine: LocalEngine
    token: str

    def restarted(self) -> "Real":
        """Return the services as a new start of the app finds the folder."""
        return opened(self.services, self.engine)


def opened(services: Services, before: LocalEngine | None = None) -> Real:
    if before is not None:
        before.stop()
    model = services.supervisor.model
    engine = new_engine(Path(model.model), ensure_live_version(services.db, services.data_dir, model))
    engine.start()
    supervisor = Supervisor(services.data_dir, engine, model, RunSettings())
    for name, value in {"engine": engine, "supervisor": supervisor, "status": status_of(services.db, engine)}.items():
        object.__setattr__(services, name, value)
    return Real(services, engine, services.admin.login(PASSWORD))


@pytest.fixture
def real(behind: Backstage, tiny_folder: Path, tmp_path: Path) -> Iterator[Real]:
    data_dir, services = tmp_path / "data", behind.services
    db, model = data_dir / "triptych.db", ModelConfig(str(tiny_folder), str(tiny_folder / "sft"))
    database.prepare(db)
    ensure_live_version(db, data_dir, model)
    for number in (2, 3):
        path, sha256 = publish(
            data_dir / "policies", number, lambda to: shutil.copytree(tiny_folder / "other", to, dirs_exist_ok=True)
        )
        run = runs.queue_run(db, "ppo", {"seed": number})
        runs.set_dataset(db, run, {"sha256": f"abc{number}", "votes": 0, "demonstrations": 0})
        runs.end_run(db, run, "succeeded")
        of_model, place = policies.get_policy(db, 1).model, str(path.relative_to(data_dir))
        policies.record_policy(db, Policy(number, number - 1, run, place, sha256, "retired", {"gate": GATE}, of_model))
        policies.serve(db, number)
    for name, value in {
        "db": db,
        "data_dir": data_dir,
        "supervisor": Supervisor(data_dir, behind.engine, model, RunSettings()),
    }.items():
        object.__setattr__(services, name, value)
    started = opened(services)
    yield started
    started.services.engine.stop()  # type: ignore[attr-defined]


def unpacked(file: Path, into: Path) -> Path:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(into)
    shutil.rmtree(file.parent)
    return into / file.stem


def plain_log_probs(model: torch.nn.Module, folder: Path) -> torch.Tensor:
    row = written(ChatTokenizer(AutoTokenizer.from_pretrained(folder, local_files_only=True), pretrained=True), TEXT)
    with torch.no_grad():
        logits = model(torch.tensor([row.sequence])).logits[0].log_softmax(-1)
    first = len(row.prompt)
    return torch.stack([logits[first + i - 1, token] for i, token in enumerate(row.completion)])


def apps_log_probs(real: Real) -> torch.Tensor:
    """Return what the app's own row gives the tokens of the text, through the live version."""
    (own,) = real.engine.measure([TEXT], [real.engine.live.adapter]).result(60).log_probs
    return torch.from_numpy(own[0])


def test_the_peft_folder_answers_on_the_plain_base_as_the_apps_row_does(
    real: Real, tiny_folder: Path, tmp_path: Path
) -> None:
    file = export_version(real.services, real.token, ExportVersionRequest(3))
    folder = unpacked(file, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32, local_files_only=True)
    alone = PeftModel.from_pretrained(base, folder).eval()
    apart = plain_log_probs(alone, tiny_folder) - apps_log_probs(real)
    assert apart.abs().max() < 1e-5
    with alone.disable_adapter():  # the adapter does something
        assert (plain_log_probs(alone, tiny_folder) - apps_log_probs(real)).abs().max() > 1e-2
    told = (folder / "README.md").read_text(encoding="utf-8")
    for said in (
        "library_name: peft",
        "run 2, method ppo, from v2",
        "Votes read: 0",
        "`abc3`",
        "| kl | 2.5 |",
        "It passed",
    ):
        assert said in told
    assert events.list_events(real.services.db)[0].detail == "v3 as peft"


def test_the_merged_checkpoint_answers_so_without_an_adapter(
    real: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(command: list[str], failed: str) -> None:
        """Stand in for the process of its own, which takes seconds to load what this one has loaded."""
        assert command[1:3] == ["-m", "alignment.models.merging"]
        monkeypatch.setattr(sys, "argv", command[2:])
        merging.main()

    monkeypatch.setattr(version_files, "_run", here)
    folder = unpacked(export_version(real.services, real.token, ExportVersionRequest(3, "merged")), tmp_path)
    alone = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    assert (plain_log_probs(alone, folder) - apps_log_probs(real)).abs().max() < 1e-3
    assert "library_name: transformers" in (folder / "README.md").read_text(encoding="utf-8")


def test_gguf_is_made_by_the_converter_that_is_installed_else_refused_in_words(
    real: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigError, match=r"no converter to GGUF is installed; put convert_hf_to_gguf\.py"):
        export_version(real.services, real.token, ExportVersionRequest(3, "gguf"))
    monkeypatch.setattr(version_files, "_merge", lambda model, adapter, target: shutil.copytree(model.model, target))
    converter = tmp_path / "bin" / version_files.CONVERTERS[0]
    converter.parent.mkdir()
    converter.write_text("#!/bin/sh\necho $(/bin/ls $1) > $3\n")
    converter.chmod(0o755)
    folder = unpacked(export_version(real.services, real.token, ExportVersionRequest(3, "gguf")), tmp_path)
    assert "model.safetensors" in (folder / "v3.gguf").read_text()


def test_what_cannot_be_taken_away_is_refused(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessError):
        export_version(real.services, "made up", ExportVersionRequest(3))
    monkeypatch.setattr(version_files, "MOST_MERGED", 1000)
    with pytest.raises(ConfigError, match='are merged here; take "peft"'):
        export_version(real.services, real.token, ExportVersionRequest(3, "merged"))
    truncate(real, 2)
    with pytest.raises(AdapterError, match="has changed since it was published"):
        export_version(real.services, real.token, ExportVersionRequest(2))


def truncate(real: Real, version: int) -> None:
    weights = real.services.data_dir / policies.get_policy(real.services.db, version).path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def asked_version(real: Real) -> int | None:
    async def last() -> int | None:
        async for progress in compare(real.services, "ann", CompareRequest("Hi", columns=("rlhf",), max_new_tokens=4)):
            found = progress.completions[0].policy_version
        return found

    return asyncio.run(last())


def page_of(real: Real) -> tuple[str, str]:
    """Return the header and the table of versions."""
    real.services.status.expire()
    now = real.services.status.now()
    return layout.header_html(now, real.services.model), versions_view.table(versions.family(real.services), now.live)


def test_a_truncated_live_version_gives_way_to_its_nearest_whole_ancestor_and_the_page_says_so(real: Real) -> None:
    assert asked_version(real) == 3
    assert "damaged" not in "".join(page_of(real))
    truncate(real, 3)
    truncate(real, 2)
    again = real.restarted()
    assert asked_version(again) == 1
    header, table = page_of(again)
    assert "v3 is damaged" in header and "v1 live" in header
    assert "v3 could not be served when the app started" in table and "v1 answers instead" in table
    third = again.restarted()
    assert asked_version(third) == 1
    assert "v3 is damaged" in page_of(third)[0], "it is still so after one more start"
    with pytest.raises(AdapterError, match="has changed"):
        versions.promote(third.services, third.token, VersionRequest(3))
    assert asked_version(third) == 1


def test_pruning_removes_files_and_keeps_rows(behind: Backstage) -> None:
    token = behind.services.admin.login(PASSWORD)
    for number in range(2, 9):
        folder = behind.add_policy(number, "rejected" if number == 4 else "retired").folder
        (folder / "weights").write_bytes(b"x" * 10)
    policies.serve(behind.db, 8)
    with pytest.raises(AccessError):
        prune(behind.services, "made up", PruneRequest(0))
    done = prune(behind.services, token, PruneRequest(2))
    assert (done.versions, done.freed) == ((2, 3, 4), 30)  # 6 and 7 are the newest, 6's parent is 5
    there = {policy.version for policy in policies.list_policies(behind.db) if (behind.data_dir / policy.path).is_dir()}
    assert there == {1, 5, 6, 7, 8}
    rows = {policy.version: policy for policy in policies.list_policies(behind.db)}
    assert rows[4].status == "rejected" and rows[4].pruned and not rows[5].pruned
    assert events.list_events(behind.db)[0].detail == "removed the files of v2, v3, v4"
    assert prune(behind.services, token, PruneRequest(2)).versions == ()
    assert prune(behind.services, token, PruneRequest(0)).versions == (5, 6)  # 7 is the parent of what is live
    for act in (versions.promote, export_version):
        asked = VersionRequest(4, "x") if act is versions.promote else ExportVersionRequest(4)
        with pytest.raises(ConfigError, match="files of v4 were removed"):
            act(behind.services, token, asked)  # type: ignore[operator]
    assert "files removed" in versions_view.table(versions.family(behind.services), 8)


def test_nothing_is_pruned_while_a_run_is_under_way(behind: Backstage) -> None:
    token = behind.services.admin.login(PASSWORD)
    behind.add_policy(2, "rejected")
    run = runs.queue_run(behind.db, "ppo", {})
    with pytest.raises(ConfigError, match=f"run {run} is under way"):
        prune(behind.services, token, PruneRequest(0))
    assert (behind.data_dir / "policies" / "policy-000002").is_dir()


def test_nothing_is_written_between_the_look_at_the_versions_and_the_marking(behind: Backstage) -> None:
    behind.add_policy(2, "rejected")

    def pick(known: Sequence[Policy]) -> list[int]:
        other = sqlite3.connect(behind.db, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        return [policy.version for policy in known if policy.status == "rejected"]

    assert policies.mark_pruned(behind.db, pick, "admin") == [2]


def test_the_exported_configuration_names_no_folder_of_this_machine(real: Real, tmp_path: Path) -> None:
    folder = unpacked(export_version(real.services, real.token, ExportVersionRequest(3)), tmp_path)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] is None

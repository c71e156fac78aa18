"""Policy versions: which there are, and which one is served from a data folder."""

import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alignment.errors import AlignmentError
from alignment.models import model_folder
from alignment.serving.engine import PolicyVersion, policy_version_at
from alignment.settings import ModelConfig
from service.context import Services
from storage import policies
from storage.errors import StorageError
from storage.records import Policy
from storage.version_folders import next_version, publish, verify

log = logging.getLogger(__name__)


def versions(services: Services) -> list[Policy]:
    """Return all policy versions, newest first."""
    return policies.list_policies(services.db)


def to_json(policy: Policy) -> dict[str, Any]:
    """Return a version as callers of `/policies` get it: without where its files lie."""
    return {name: value for name, value in asdict(policy).items() if name not in ("path", "sha256")}


def untrained_versions(db: Path, model: ModelConfig) -> frozenset[int]:
    """Return the versions that are the instruction-tuned model unchanged: no run made them, and none ships."""
    if model_folder.ships_policy(model):
        return frozenset()
    return frozenset(policy.version for policy in policies.list_policies(db) if policy.run_id is None)


def ensure_live_version(db: Path, data_dir: Path, model: ModelConfig) -> PolicyVersion:
    """Return the live version, else the newest that fits the model and is whole, else the model's own, published anew.

    A version that was changed or lost on disk is passed over with a warning; so is one of another model, silently.
    """
    fingerprint = model_folder.fingerprint(model)
    if (
        model.sft and not model.gguf
    ):  # a folder of before, when there were no others, may know its versions by another fingerprint
        policies.rename_model(db, model_folder.older_fingerprint(model.model, model.sft), fingerprint)
    recorded = policies.list_policies(db)
    fitting = [p for p in recorded if p.model == fingerprint and p.status in ("live", "retired")]
    for policy in sorted(fitting, key=lambda policy: policy.status != "live"):
        try:
            reference = policy_version_at(policy.version, data_dir / policy.path, policy.sha256)
            verify(reference.folder, reference.sha256)
        except (AlignmentError, StorageError) as error:
            log.warning("v%s cannot be served: %s", policy.version, error)
            continue
        if policy.status != "live":
            policies.serve(db, policy.version)
        return reference
    version = next_version(data_dir / "policies", [policy.version for policy in recorded])
    path, sha256 = publish(data_dir / "policies", version, lambda target: _write_first_policy(model, target))
    evaluation = model_folder.shipped_evaluation(model.model)
    relative = str(path.relative_to(data_dir))
    policies.record_policy(db, Policy(version, None, None, relative, sha256, "retired", evaluation, fingerprint))
    policies.serve(db, version)
    return policy_version_at(version, path, sha256)


def _write_first_policy(model: ModelConfig, target: Path) -> None:
    """Write version 1: the policy that ships with a model, else its SFT adapter.

    That of a chat checkpoint without either is the checkpoint itself, and says so in one small file.
    """
    source = model_folder.first_policy(model)
    if source is None:
        (target / model_folder.UNCHANGED).write_text('{"is": "sft"}\n', encoding="utf-8")
        return
    for name in model_folder.ADAPTER_FILES:
        shutil.copy2(source / name, target / name)

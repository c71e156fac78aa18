"""Policy versions: which there are, and which one is served from a data folder."""

import filecmp
import logging
import shutil
from collections.abc import Sequence
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


def untrained_versions(db: Path, data_dir: Path, model: ModelConfig) -> frozenset[int]:
    """Return the versions that are the instruction-tuned model unchanged: no run made them, and no recipe did.

    A data folder that was begun before its model came with a policy has such a version all the same.
    """
    own = [policy for policy in policies.list_policies(db) if policy.run_id is None]
    return frozenset(policy.version for policy in own if _is_unchanged(data_dir / policy.path, model))


def _is_unchanged(version: Path, model: ModelConfig) -> bool:
    """Return whether a version is the model's instruction tuning, unchanged: marked so, or a copy of its adapter."""
    if (version / model_folder.UNCHANGED).is_file():
        return True
    if not model.sft:
        return False
    same, *_ = filecmp.cmpfiles(version, model.sft, model_folder.ADAPTER_FILES, shallow=False)
    return len(same) == len(model_folder.ADAPTER_FILES)


def ensure_live_version(db: Path, data_dir: Path, model: ModelConfig) -> PolicyVersion:
    """Return the live version, else one that fits the model and is whole, else the model's own, published anew.

    A live version that was changed or lost on disk gives way to its parent, that to its own and so on, with a warning
    in the log and, since it is recorded, on the page.
    Where no version of the model was live, as after another model was served, the newest one is. One of another model
    is passed over silently.
    """
    fingerprint = model_folder.fingerprint(model)
    if (
        model.sft and not model.gguf
    ):  # a folder of before, when there were no others, may know its versions by another fingerprint
        policies.rename_model(db, model_folder.older_fingerprint(model.model, model.sft), fingerprint)
    recorded = policies.list_policies(db)
    served = ("live", "retired")
    fitting = [policy for policy in recorded if policy.model == fingerprint and policy.status in served]
    for policy in _in_order_of_trust(fitting):
        if policy.pruned:
            continue
        try:
            reference = policy_version_at(policy.version, data_dir / policy.path, policy.sha256)
            verify(reference.folder, reference.sha256)
        except (AlignmentError, StorageError) as error:
            log.warning("v%s cannot be served: %s", policy.version, error)
            policies.mark_damaged(db, policy.version, str(error))
            continue
        if policy.status != "live":
            policies.serve(db, policy.version)
        return reference
    version = next_version(data_dir / "policies", [policy.version for policy in recorded])
    path, sha256 = publish(data_dir / "policies", version, lambda target: _write_first_policy(model, target))
    evaluation = model_folder.shipped_evaluation(model)
    relative = str(path.relative_to(data_dir))
    policies.record_policy(db, Policy(version, None, None, relative, sha256, "retired", evaluation, fingerprint))
    policies.serve(db, version)
    return policy_version_at(version, path, sha256)


def _in_order_of_trust(fitting: Sequence[Policy]) -> list[Policy]:
    """Return versions, the newest of which comes first: the live one and its ancestors first, then the others."""
    by_version = {policy.version: policy for policy in fitting}
    line: dict[int, Policy] = {}
    one = next((policy for policy in fitting if policy.status == "live"), None)
    while one is not None and one.version not in line:
        line[one.version] = one
        one = by_version.get(one.parent or 0)
    others = [policy for policy in fitting if policy.version not in line]
    return [*line.values(), *(reversed(others) if line else others)]


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

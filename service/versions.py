"""Versions of the policy: their family, and which one is served. Nothing here needs a restart."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic.dataclasses import dataclass as checked_dataclass

from alignment.errors import ConfigError
from alignment.serving.engine import policy_version_at
from service.context import Services
from service.requests import Reason, number
from storage import policies
from storage.events import ADMIN
from storage.policies import VersionVotes
from storage.records import Policy


@checked_dataclass(frozen=True)
class VersionRequest:
    """Which version is meant, and why."""

    version: Annotated[int, number(1, 2**53, whole=True)]
    reason: Reason = ""


@dataclass(frozen=True)
class Kin:
    """A version in its family."""

    policy: Policy
    votes: VersionVotes
    size: int  # bytes of its folder; 0 where its files were removed


def family(services: Services) -> list[Kin]:
    """Return all versions, newest first, with what belongs to each."""
    votes = policies.version_votes(services.db)
    return [
        Kin(policy, votes[policy.version], 0 if policy.pruned else _size(services.data_dir / policy.path))
        for policy in policies.list_policies(services.db)
    ]


def policy(services: Services, version: int) -> Policy:
    """Return a version; raise StorageError, a LookupError, where there is none of that number."""
    return policies.get_policy(services.db, version)


def promote(services: Services, token: str | None, request: VersionRequest) -> int:
    """Have a version answer from the next question on, and return its number; one that is live stays so.

    Raises AccessError without the admin's token; ConfigError for a version of another model, and for one that did not
    pass the check where no reason is given; AdapterError for one that is damaged; StorageError, a LookupError, for a
    version that there is not. What is refused changes nothing.
    """
    services.admin.require(token)

    def decide() -> int:
        policy = policies.get_policy(services.db, request.version)
        if policy.status != "live":
            require_passed(policy, request.reason)
            _serve(services, policy, _because("was promoted", request.reason), "promote")
        return policy.version

    return services.supervisor.settle(decide)


def retire(services: Services, token: str | None, request: VersionRequest) -> int:
    """Take a version out of service and return the live one: a live version gives way to the one it was made from.

    Raises AccessError without the admin's token, ConfigError for a live one that has no parent and for one that is
    retired already; else as `promote` does.
    """
    services.admin.require(token)

    def decide() -> int:
        policy = policies.get_policy(services.db, request.version)
        if policy.status == "live":
            _roll_back(services, policy, request.reason)
        elif policy.status == "retired":
            raise ConfigError(f"v{policy.version} is out of service already")
        else:
            policies.retire(services.db, policy.version, _because("was retired", request.reason), ADMIN)
            services.status.expire()
        return services.engine.live.version

    return services.supervisor.settle(decide)


def passed(policy: Policy) -> bool:
    """Return whether a version passed its check; one that came with the model was never checked."""
    gate = policy.evaluation.get("gate")
    return policy.status != "rejected" and (gate is None or bool(gate["passed"]))


def require_passed(policy: Policy, reason: str) -> None:
    """Raise ConfigError for a version that did not pass its check, unless a reason is given."""
    if not passed(policy) and not reason:
        raise ConfigError(
            f"v{policy.version} did not pass the check; to have it answer all the same, say why as the reason"
        )


def _roll_back(services: Services, policy: Policy, reason: str) -> None:
    """Have the version answer that a live one was made from."""
    if policy.parent is None:
        raise ConfigError(f"v{policy.version} was made from no other version, so nothing would answer without it")
    parent = policies.get_policy(services.db, policy.parent)
    _serve(services, parent, _because(f"answers again instead of v{policy.version}", reason), "roll back")


def _serve(services: Services, policy: Policy, why: str, name: str) -> None:
    serve(services, policy, lambda: policies.serve(services.db, policy.version, why, name, ADMIN))


def serve(services: Services, policy: Policy, record: Callable[[], None]) -> None:
    """Have a version answer from the next question on and record that, by `record`, or raise as `promote` does."""
    live = policies.live_policy(services.db)
    if policy.pruned:
        raise ConfigError(f"the files of v{policy.version} were removed to save room; choose another version")
    if live is not None and live.model != policy.model:
        raise ConfigError(f"v{policy.version} belongs to another model than the one that is served")
    version = policy_version_at(policy.version, services.data_dir / policy.path, policy.sha256)
    services.supervisor.serve(version, record)
    services.status.expire()


def _because(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


@lru_cache(maxsize=512)
def _size(folder: Path) -> int:
    """Return the bytes of a version's folder, which never changes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

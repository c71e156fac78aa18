"""What becomes of a run whose process is gone: how it ends, or that its candidate goes live. No clock, no database."""

from concurrent.futures import Future
from dataclasses import dataclass

from storage.records import Policy, RunStatus


@dataclass(frozen=True)
class Conclusion:
    """How a run ends."""

    status: RunStatus
    why: str | None


@dataclass(frozen=True)
class Swap:
    """A run's version on its way into service."""

    run_id: int
    version: int
    done: "Future[None]"  # ends when the version is served, or with why it cannot be


def concluded(made: Policy | None, live: Policy | None, failure: str) -> Conclusion | None:
    """Return how a run ends that made a version, or none; None where that version is to go live now.

    `failure` is why it made none. An admin may have decided on the version, or on the live one, meanwhile.
    """
    if made is None or made.status == "rejected":
        return Conclusion("failed", failure)
    if made.status == "live":
        return Conclusion("succeeded", None)
    passed = f"v{made.version} passed the check, but was"
    if made.status == "retired":
        return Conclusion("rejected", f"{passed} retired before it went live; promote it if you want it")
    if live is not None and live.version != made.parent:
        words = f"{passed} made from v{made.parent}, which is not live any more; promote it if you want it"
        return Conclusion("rejected", words)
    return None

"""Policy versions: recorded once, then only their status changes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from storage.database import now, read, write
from storage.errors import StorageError
from storage.events import APP, add_event
from storage.records import Policy
from storage.runs import RunOpenError


class UnknownVersionError(StorageError, LookupError):
    """No version has that number."""


class PrunedVersionError(StorageError, ValueError):
    """The files of a version were removed."""


def record_policy(path: Path, policy: Policy) -> None:
    """Store a new version; its path and hash never change afterwards."""
    with write(path) as db:
        db["policies"].insert(
            {
                "version": policy.version,
                "parent": policy.parent,
                "run": policy.run_id,
                "path": policy.path,
                "sha256": policy.sha256,
                "status": policy.status,
                "evaluation": json.dumps(policy.evaluation),
                "model": policy.model,
                "created": now(),
            }
        )


def _policy(row: dict[str, Any]) -> Policy:
    return Policy(
        version=row["version"],
        parent=row["parent"],
        run_id=row["run"],
        path=row["path"],
        sha256=row["sha256"],
        status=row["status"],
        evaluation=json.loads(row["evaluation"]),
        model=row["model"] or "",
        created=row["created"],
        pruned=row["pruned"],
        damaged=row["damaged"],
    )


def serve(path: Path, version: int, why: str = "at the start of the app", name: str = "serve", by: str = APP) -> None:
    """Make a recorded version the live one, outside of any run, and retire the one before.

    `why` ends the sentence about it in the audit trail, `name` is what happened, `by` who did it. Raises
    PrunedVersionError for one whose files were removed.
    """
    with write(path) as db:
        serve_in(db, version, why, name, by)


def serve_in(db: Database, version: int, why: str, name: str, by: str) -> None:
    """Do the same through an open connection, with whatever else the transaction writes."""
    if db["policies"].get(version)["pruned"]:
        raise PrunedVersionError(f"the files of v{version} were removed to save room; choose another version")
    db.conn.execute("UPDATE policies SET status = 'retired' WHERE status = 'live'")
    db["policies"].update(version, {"status": "live", "damaged": None})
    add_event(db, name, f"v{version} {why}".strip(), by)


def retire(path: Path, version: int, why: str, by: str) -> None:
    """Mark a version that is not live as retired."""
    with write(path) as db:
        db.conn.execute("UPDATE policies SET status = 'retired' WHERE version = ? AND status <> 'live'", [version])
        add_event(db, "retire", f"v{version} {why}".strip(), by)


def mark_pruned(path: Path, pick: Callable[[Sequence[Policy]], Sequence[int]], by: str) -> list[int]:
    """Record that the files of the versions that `pick` finds among all are to be removed, and return which.

    None of them is live or may yet be. Nothing starts or goes live meanwhile; raises RunOpenError while a run is open.
    """
    with write(path) as db:
        for row in db["runs"].rows_where("status IN ('queued', 'running')"):
            raise RunOpenError(row["id"])
        marked = [
            version
            for version in pick(_newest_first(db))
            if db.conn.execute(
                "UPDATE policies SET pruned = ? WHERE version = ? AND pruned IS NULL"
                " AND status IN ('retired', 'rejected')",
                [now(), version],
            ).rowcount
        ]
        if marked:
            add_event(db, "prune", "removed the files of " + ", ".join(f"v{version}" for version in marked), by)
        return marked


def mark_damaged(path: Path, version: int, why: str) -> None:
    """Record why a version could not be served at the start of the app; once it is served, that is forgotten."""
    with write(path) as db:
        db["policies"].update(version, {"damaged": why})
        add_event(db, "damaged", f"v{version}: {why}")


def get_policy(path: Path, version: int) -> Policy:
    """Return a version, or raise UnknownVersionError."""
    with read(path) as db:
        for row in db["policies"].rows_where("version = ?", [version]):
            return _policy(row)
    raise UnknownVersionError(f"there is no version v{version}; /policies lists those that there are")


@dataclass(frozen=True)
class VersionVotes:
    """How many votes a version has to do with."""

    learned: int  # that its run read
    since: int  # that stand and were given after it was made


def version_votes(path: Path) -> dict[int, VersionVotes]:
    """Return for each version how many votes its run read, and how many came since."""
    with read(path) as db:
        rows = db.query(
            """
            SELECT version, (SELECT COUNT(*) FROM run_rows WHERE run_rows.run = policies.run) AS learned,
                   (SELECT COUNT(*) FROM preferences
                    WHERE withdrawn IS NULL AND preferences.created > policies.created) AS since
            FROM policies
            """
        )
        return {row["version"]: VersionVotes(row["learned"], row["since"]) for row in rows}


def rename_model(path: Path, before: str, after: str) -> None:
    """Give the versions of a model its new fingerprint; those of other models keep theirs."""
    with write(path) as db:
        db.conn.execute("UPDATE policies SET model = ? WHERE model = ?", [after, before])


def first_of(path: Path, version: int) -> Policy:
    """Return the version that another one descends from, itself if it was made from none; or UnknownVersionError."""
    by_version = {policy.version: policy for policy in list_policies(path)}
    if version not in by_version:
        return get_policy(path, version)
    one = by_version[version]
    while one.parent is not None and one.parent < one.version and one.parent in by_version:
        one = by_version[one.parent]
    return one


def list_policies(path: Path) -> list[Policy]:
    """Return all versions, newest first."""
    with read(path) as db:
        return _newest_first(db)


def _newest_first(db: Database) -> list[Policy]:
    return [_policy(row) for row in db["policies"].rows_where(order_by="version desc")]


def live_policy(path: Path) -> Policy | None:
    """Return the version that is served, or None before the first."""
    with read(path) as db:
        return next((_policy(row) for row in db["policies"].rows_where("status = 'live'")), None)


def version_made_by(path: Path, run_id: int) -> Policy | None:
    """Return the version that a run produced, or None."""
    with read(path) as db:
        return next((_policy(row) for row in db["policies"].rows_where("run = ?", [run_id])), None)


def go_live(path: Path, version: int, run_id: int) -> None:
    """Make a run's candidate the live version, retire the one before and end the run as succeeded, all at once."""
    with write(path) as db:
        db.conn.execute("UPDATE policies SET status = 'retired' WHERE status = 'live'")
        db["policies"].update(version, {"status": "live"})
        db["runs"].update(run_id, {"status": "succeeded", "stage": "live", "progress": 1.0, "finished": now()})
        add_event(db, "promote", f"v{version} by run {run_id}")

"""Policy versions: recorded once, then only their status changes."""

import json
from pathlib import Path
from typing import Any

from storage.database import now, read, write
from storage.records import Policy


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
    )


def serve(path: Path, version: int) -> None:
    """Make a recorded version the live one, outside of any run, and retire the one before."""
    with write(path) as db:
        db.conn.execute("UPDATE policies SET status = 'retired' WHERE status = 'live'")
        db["policies"].update(version, {"status": "live"})
        db["events"].insert({"created": now(), "name": "serve", "detail": f"v{version} at the start of the app"})


def rename_model(path: Path, before: str, after: str) -> None:
    """Give the versions of a model its new fingerprint; those of other models keep theirs."""
    with write(path) as db:
        db.conn.execute("UPDATE policies SET model = ? WHERE model = ?", [after, before])


def list_policies(path: Path) -> list[Policy]:
    """Return all versions, newest first."""
    with read(path) as db:
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
        db["events"].insert({"created": now(), "name": "promote", "detail": f"v{version} by run {run_id}"})

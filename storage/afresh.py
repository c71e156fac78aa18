"""Starting afresh: a collection of its own and the version to begin from, in one transaction."""

from pathlib import Path

from storage.database import write
from storage.events import ADMIN, add_event
from storage.policies import serve_in
from storage.runs import RunOpenError
from storage.vote_collections import SPAN, open_in


def start_afresh(path: Path, name: str, version: int, why: str) -> None:
    """Let what is new go into a collection, runs learn from it alone, and a version answer, all at once.

    Runs learn from all of the collection, whenever it was given. `why` is told where the version was not live before.
    Raises RunOpenError while a run is open or waits: it learns from the collections of before. Raises
    PrunedVersionError for a version whose files were removed.
    """
    with write(path) as db:
        for row in db["runs"].rows_where("status IN ('queued', 'running', 'waiting')"):
            raise RunOpenError(row["id"])
        if db["policies"].get(version)["status"] != "live":
            serve_in(db, version, f"was promoted: {why}", "promote", ADMIN)
        db["settings"].delete_where("name = ?", [SPAN])
        db.conn.execute("UPDATE collections SET learned = 0")
        open_in(db, name)
        add_event(db, "collection", f"{name!r} starts afresh from v{version}", ADMIN)

"""Conversations: whose they are, and their turns, each of them a comparison."""

import sqlite3
from pathlib import Path
from reprlib import repr as brief

from sqlite_utils import Database

from storage.database import now, read, write
from storage.errors import StorageError
from storage.preferences import comparisons_in, insert_comparison
from storage.records import Comparison


class UnknownConversationError(StorageError, LookupError):
    """The conversation id is not in the database, or is another annotator's."""


class TurnTakenError(StorageError, RuntimeError):
    """The conversation went on while a turn of it was being answered."""


def save_turn(path: Path, comparison: Comparison, annotator_id: str, branch_of: str | None = None) -> None:
    """Store a turn with all its completions, and with the first turn the conversation, in one transaction.

    With `branch_of` it is the first turn of a conversation that branches off another one there. Raises TurnTakenError
    if a turn of that number is there already: then nothing is stored.
    """
    with write(path) as db:
        if comparison.turn == 0 or branch_of is not None:
            db["annotators"].insert({"id": annotator_id, "name": None, "created": now()}, ignore=True)
            begun = {"id": comparison.conversation_id, "annotator": annotator_id, "created": now()}
            db["conversations"].insert(begun | {"branch_of": branch_of, "branch_turn": comparison.turn})
        try:
            insert_comparison(db, comparison)
        except sqlite3.IntegrityError as error:
            if "comparisons.turn" not in str(error):
                raise
            raise TurnTakenError(
                f"turn {comparison.turn + 1} of this conversation was answered meanwhile; ask again to go on from there"
            ) from error


def belongs_to(path: Path, conversation_id: str, annotator_id: str) -> bool:
    """Return whether a conversation is an annotator's own."""
    with read(path) as db:
        return bool(db["conversations"].count_where("id = ? AND annotator = ?", [conversation_id, annotator_id]))


def turns_of(path: Path, conversation_id: str, annotator_id: str | None = None) -> list[Comparison]:
    """Return the turns of a conversation, the first one first; with an annotator, of one that must be their own.

    Raises UnknownConversationError where there is none; somebody else's is as unknown as one that never was.
    """
    with read(path) as db:
        found = db["conversations"].count_where(
            "id = ? AND annotator = COALESCE(?, annotator)", [conversation_id, annotator_id]
        )
        if not found:
            raise UnknownConversationError(
                f"there is no conversation {brief(conversation_id)} of yours; leave conversation_id out to begin one"
            )
        return _turns_in(db, conversation_id)


def _turns_in(db: Database, conversation_id: str) -> list[Comparison]:
    """Return the turns of a conversation, those before its own first from what it branches off."""
    found: list[Comparison] = []
    part: str | None = conversation_id
    below = None  # the turn from which on another part has them
    while part is not None:
        own = comparisons_in(db, "conversation = ? AND turn < COALESCE(?, turn + 1)", [part, below])
        row = dict(db["conversations"].get(part))
        found, part, below = [*own, *found], row["branch_of"], row["branch_turn"]
    return found


def trunk_of(path: Path, comparison: Comparison) -> str:
    """Return the conversation that branches with another version of a turn branch off: that of its first version."""
    assert comparison.conversation_id is not None
    with read(path) as db:
        row = dict(db["conversations"].get(comparison.conversation_id))
    first = row["branch_of"] is not None and row["branch_turn"] == comparison.turn
    return str(row["branch_of"] if first else row["id"])


def versions_of(path: Path, comparison: Comparison) -> tuple[str, ...]:
    """Return the ids of all versions of a turn, the first one first: what was asked there, and asked in its place."""
    if comparison.conversation_id is None:
        return (comparison.id,)
    trunk = trunk_of(path, comparison)
    versions = """
        SELECT comparisons.id FROM comparisons JOIN conversations ON conversations.id = comparisons.conversation
        WHERE turn = :turn AND (conversations.id = :trunk OR (branch_of = :trunk AND branch_turn = :turn))
        ORDER BY comparisons.created, comparisons.id
        """
    with read(path) as db:
        return tuple(row["id"] for row in db.query(versions, {"turn": comparison.turn, "trunk": trunk}))

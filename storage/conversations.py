"""Conversations: whose they are, and their turns, each of them a comparison."""

import sqlite3
from pathlib import Path
from reprlib import repr as brief

from storage.database import now, read, write
from storage.errors import StorageError
from storage.preferences import comparisons_in, insert_comparison
from storage.records import Comparison


class UnknownConversationError(StorageError, LookupError):
    """The conversation id is not in the database, or is another annotator's."""


class TurnTakenError(StorageError, RuntimeError):
    """The conversation went on while a turn of it was being answered."""


def save_turn(path: Path, comparison: Comparison, annotator_id: str) -> None:
    """Store a turn with all its completions, and with the first turn the conversation, in one transaction.

    Raises TurnTakenError if a turn of that number is there already: then nothing is stored.
    """
    with write(path) as db:
        if comparison.turn == 0:
            db["annotators"].insert({"id": annotator_id, "name": None, "created": now()}, ignore=True)
            db["conversations"].insert({"id": comparison.conversation_id, "annotator": annotator_id, "created": now()})
        try:
            insert_comparison(db, comparison)
        except sqlite3.IntegrityError as error:
            if "comparisons.turn" not in str(error):
                raise
            raise TurnTakenError(
                f"turn {comparison.turn + 1} of this conversation was answered meanwhile; ask again to go on from there"
            ) from error


def turns_of(path: Path, conversation_id: str, annotator_id: str) -> list[Comparison]:
    """Return the turns of an annotator's own conversation, the first one first.

    Raises UnknownConversationError where there is none; somebody else's is as unknown as one that never was.
    """
    with read(path) as db:
        if not db["conversations"].count_where("id = ? AND annotator = ?", [conversation_id, annotator_id]):
            raise UnknownConversationError(
                f"there is no conversation {brief(conversation_id)} of yours; leave conversation_id out to begin one"
            )
        return list(comparisons_in(db, "conversation = ?", [conversation_id]))

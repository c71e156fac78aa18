"""The schema, its steps from the fifteenth on: `storage/migrations.py` has those before, and says how they are kept."""

from datetime import UTC, datetime

from sqlite_utils import Database

from storage import tally_table
from storage.migrations import migrations

__all__ = ["migrations"]


@migrations()
def m015_votes_before_the_end(db: Database) -> None:
    """Why somebody voted so; and no pair of a completion that was cut before its first word: nobody has read it."""
    db.execute("ALTER TABLE preferences ADD COLUMN reason TEXT NOT NULL DEFAULT ''")
    db["pairs"].drop()
    db.create_view(
        "pairs",
        """
        SELECT preferences.id AS preference, comparisons.messages, winner.text AS chosen, loser.text AS rejected,
               MAX(winner.finish_reason = 'stop') AS chosen_ended, MAX(loser.finish_reason = 'stop') AS rejected_ended,
               preferences.source
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN json_each(preferences.tiers) AS better
        JOIN json_each(preferences.tiers) AS worse ON better.key < worse.key
        JOIN json_each(better.value) AS better_slot
        JOIN json_each(worse.value) AS worse_slot
        JOIN completions AS winner
          ON winner.comparison = preferences.comparison AND winner.slot = better_slot.value
        JOIN completions AS loser
          ON loser.comparison = preferences.comparison AND loser.slot = worse_slot.value
        WHERE preferences.withdrawn IS NULL AND winner.text <> loser.text
        GROUP BY preferences.id, winner.text, loser.text
        HAVING (chosen <> '' OR chosen_ended) AND (rejected <> '' OR rejected_ended)
        ORDER BY preferences.id, chosen, rejected
        """,
    )


@migrations()
def m016_branches(db: Database) -> None:
    """What a conversation branches off, and the first turn of its own: the turns before are those of the other."""
    db.execute("ALTER TABLE conversations ADD COLUMN branch_of TEXT REFERENCES conversations (id)")
    db.execute("ALTER TABLE conversations ADD COLUMN branch_turn INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE INDEX branches ON conversations (branch_of, branch_turn)")


@migrations()
def m017_api_keys(db: Database) -> None:
    """Keys of programs, hashed: each is an annotator of its own. One that was revoked stays, with its time."""
    db["api_keys"].create(
        {
            "id": int,
            "name": str,
            "sha256": str,
            "beginning": str,
            "annotator": str,
            "created": str,
            "last_used": str,
            "revoked": str,
        },
        pk="id",
        foreign_keys=[("annotator", "annotators", "id")],
        not_null={"name", "sha256", "beginning", "annotator", "created"},
    )
    db["api_keys"].create_index(["sha256"], unique=True)


@migrations()
def m019_teach(db: Database) -> None:
    """The pool of prompts to teach by, and how the prompt and the answers of a comparison were chosen."""
    db["prompts"].create(
        {"id": int, "messages": str, "source": str, "created": str, "removed": str},
        pk="id",
        not_null={"messages", "source", "created"},
    )
    db.execute("CREATE UNIQUE INDEX one_standing_prompt ON prompts (messages) WHERE removed IS NULL")
    db.execute("ALTER TABLE comparisons ADD COLUMN proposed TEXT")
    db.execute("CREATE INDEX teach_comparisons ON comparisons (created) WHERE kind = 'teach'")


@migrations()
def m020_better_answers(db: Database) -> None:
    """Where somebody called all answers bad and wrote a better one, all that were shown lose to it."""
    db["pairs"].drop()
    db.create_view(
        "pairs",
        """
        SELECT preferences.id AS preference, comparisons.messages, winner.text AS chosen, loser.text AS rejected,
               MAX(winner.finish_reason = 'stop') AS chosen_ended, MAX(loser.finish_reason = 'stop') AS rejected_ended,
               preferences.source
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN json_each(preferences.tiers) AS better
        JOIN json_each(preferences.tiers) AS worse ON better.key < worse.key
        JOIN json_each(better.value) AS better_slot
        JOIN json_each(worse.value) AS worse_slot
        JOIN completions AS winner
          ON winner.comparison = preferences.comparison AND winner.slot = better_slot.value
        JOIN completions AS loser
          ON loser.comparison = preferences.comparison AND loser.slot = worse_slot.value
        WHERE preferences.withdrawn IS NULL AND winner.text <> loser.text
        GROUP BY preferences.id, winner.text, loser.text
        HAVING (chosen <> '' OR chosen_ended) AND (rejected <> '' OR rejected_ended)
        UNION ALL
        SELECT preferences.id, comparisons.messages, demonstrations.completion AS chosen, loser.text AS rejected,
               1 AS chosen_ended, MAX(loser.finish_reason = 'stop') AS rejected_ended, preferences.source
        FROM preferences
        JOIN comparisons ON comparisons.id = preferences.comparison
        JOIN demonstrations
          ON demonstrations.annotator = preferences.annotator AND demonstrations.messages = comparisons.messages
        JOIN completions AS loser ON loser.comparison = preferences.comparison
        WHERE preferences.kind = 'all_bad' AND preferences.withdrawn IS NULL AND demonstrations.withdrawn IS NULL
          AND demonstrations.completion <> loser.text
        GROUP BY preferences.id, demonstrations.completion, loser.text
        HAVING rejected <> '' OR rejected_ended
        ORDER BY 1, 3, 4
        """,
    )


@migrations()
def m021_imports(db: Database) -> None:
    """Files that were taken in, and what came of each; which of the rest the admin leaves out of runs."""
    db["imports"].create(
        {
            "id": int,
            "file": str,
            "created": str,
            "finished": str,
            "status": str,
            "taken": int,
            "known": int,
            "refused": int,
        },
        pk="id",
        not_null={"file", "created", "status", "taken", "known", "refused"},
    )
    for table in ("preferences", "demonstrations"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN import INTEGER REFERENCES imports (id)")
        db.execute(f"ALTER TABLE {table} ADD COLUMN origin TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE preferences ADD COLUMN left_out TEXT")
    db.execute("ALTER TABLE annotators ADD COLUMN left_out TEXT")


@migrations()
def m022_tallies(db: Database) -> None:
    """Votes counted as the leaderboard reads them; whose votes and conversations there are, without a scan; and what
    is left of erased texts: a code that only the folder's key makes, "" as the slot for the prompt.
    """
    tally_table.create(db)
    db.execute("CREATE INDEX votes_of ON preferences (annotator, created)")
    db.execute("CREATE INDEX conversations_of ON conversations (annotator)")
    new = "first_run IS NULL AND withdrawn IS NULL AND left_out IS NULL"
    db.execute(f"CREATE INDEX new_votes ON preferences (annotator) WHERE {new}")
    db.execute("DROP INDEX new_preferences")  # SQLite would count by it and look up each row
    db.execute("CREATE INDEX people_left_out ON annotators (id) WHERE left_out IS NOT NULL")
    db["erased_texts"].create(
        {"comparison": str, "slot": str, "code": str, "erased": str},
        pk=("comparison", "slot"),
        foreign_keys=[("comparison", "comparisons", "id")],
        not_null={"code", "erased"},
    )


@migrations()
def m023_audit(db: Database) -> None:
    """Who did what is in the audit trail: before, the app alone wrote there."""
    db.execute("ALTER TABLE events ADD COLUMN actor TEXT NOT NULL DEFAULT 'app'")


@migrations()
def m024_next_run(db: Database) -> None:
    """One run may wait for the open one to end."""
    db.execute("CREATE UNIQUE INDEX one_waiting_run ON runs (1) WHERE status = 'waiting'")


@migrations()
def m027_files_gone(db: Database) -> None:
    """When the files of a version were removed to save room, and why one could not be served at a start."""
    db.execute("ALTER TABLE policies ADD COLUMN pruned TEXT")
    db.execute("ALTER TABLE policies ADD COLUMN damaged TEXT")


@migrations()
def m025_checks(db: Database) -> None:
    """The admin's own checks: a prompt, what a right answer holds and what it does not hold."""
    db["checks"].create(
        {
            "id": int,
            "messages": str,
            "holds": str,
            "lacks": str,
            "created": str,
            "created_by": str,
            "removed": str,
        },
        pk="id",
        not_null={"messages", "holds", "lacks", "created", "created_by"},
    )
    db.execute("CREATE UNIQUE INDEX one_standing_check ON checks (messages, holds, lacks) WHERE removed IS NULL")


@migrations()
def m026_run_dataset(db: Database) -> None:
    """What a run learned from, as a hash of people's rows and their number, as JSON."""
    db.execute("ALTER TABLE runs ADD COLUMN dataset TEXT")


@migrations()
def m028_collections(db: Database) -> None:
    """Votes and demonstrations belong to collections: all of before to one, which stays open. The counter's index goes
    by collection.
    """
    db["collections"].create(
        {"id": int, "name": str, "created": str, "open": int, "learned": int},
        pk="id",
        not_null={"name", "created", "open", "learned"},
    )
    db["collections"].create_index(["name"], unique=True)
    db.execute("CREATE UNIQUE INDEX one_open_collection ON collections (1) WHERE open = 1")
    first = {"id": 1, "name": "all votes so far", "created": datetime.now(UTC).isoformat(), "open": 1, "learned": 1}
    db["collections"].insert(first)
    for table in ("preferences", "demonstrations"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN collection INTEGER NOT NULL DEFAULT 1")
    db.execute("DROP INDEX new_votes")
    new = "first_run IS NULL AND withdrawn IS NULL AND left_out IS NULL"
    counted = "collection, annotator, created, first_run, withdrawn, left_out"  # with all that is asked, no row is read
    db.execute(f"CREATE INDEX new_votes ON preferences ({counted}) WHERE {new}")


@migrations()
def m029_invitations(db: Database) -> None:
    """Invitations, by the hashes of their codes, and by which of them somebody came."""
    db["invitations"].create(
        {"id": int, "role": str, "note": str, "sha256": str, "created": str, "revoked": str, "uses": int},
        pk="id",
        not_null={"role", "note", "sha256", "created", "uses"},
    )
    db["invitations"].create_index(["sha256"], unique=True)
    db.execute("ALTER TABLE annotators ADD COLUMN invitation INTEGER REFERENCES invitations (id)")


@migrations()
def m030_what_was_read(db: Database) -> None:
    """Which answers of a comparison say the same, and whether names were hidden from whoever voted: they are not at a
    second vote. The counts of the leaderboard go by both.
    """
    db.execute("ALTER TABLE completions ADD COLUMN read_as TEXT")
    first = "SELECT slot FROM completions AS first WHERE first.comparison = {of}.comparison AND first.text = {of}.text"
    alike, read = f"({first} ORDER BY position, slot LIMIT 1)", "({of}.text <> '' OR {of}.finish_reason = 'stop')"
    db.execute(f"UPDATE completions SET read_as = {alike} WHERE {read}".replace("{of}", "completions"))
    db.execute(
        "UPDATE completions SET read_as = (SELECT first.slot FROM erased_texts AS first WHERE code = erased.code"
        " AND first.comparison = erased.comparison AND first.slot <> '' ORDER BY first.slot LIMIT 1)"
        " FROM erased_texts AS erased"
        " WHERE erased.comparison = completions.comparison AND erased.slot = completions.slot"
    )
    db.execute(
        f"CREATE TRIGGER completion_read AFTER INSERT ON completions WHEN {read} BEGIN UPDATE completions"
        f" SET read_as = {alike} WHERE comparison = NEW.comparison AND slot = NEW.slot; END".replace("{of}", "NEW")
    )
    db.execute("ALTER TABLE preferences ADD COLUMN blind INTEGER NOT NULL DEFAULT 0")
    db.execute(
        "UPDATE preferences SET blind = comparisons.blind FROM comparisons"
        " WHERE comparisons.id = preferences.comparison"
        " AND preferences.id IN (SELECT MIN(id) FROM preferences GROUP BY comparison, annotator)"
    )
    db.execute("CREATE INDEX votes_on ON preferences (comparison, annotator)")
    tally_table.renew(db)


@migrations()
def m031_topics(db: Database) -> None:
    """What kind of prompt one of the pool is, and the index by which votes on such prompts are found."""
    db.execute("ALTER TABLE prompts ADD COLUMN topic TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE INDEX first_questions ON comparisons (messages) WHERE turn = 0")


@migrations()
def m032_written_with(db: Database) -> None:
    """With which vote a demonstration was written, so that taking the vote back takes back that one alone."""
    db.execute("ALTER TABLE demonstrations ADD COLUMN vote INTEGER REFERENCES preferences (id)")

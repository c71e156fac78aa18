"""The schema, one numbered step at a time. A released step is frozen; mend it with the next number."""

import json

from sqlite_utils import Database, Migrations

from storage.older_versions import messages_of_prompt, renamed_settings, verdict_of_sentences

migrations = Migrations("triptych")


@migrations()
def m001_comparisons(db: Database) -> None:
    """Prompts, what was shown for them, and who is asking."""
    db["annotators"].create({"id": str, "name": str, "created": str}, pk="id")
    db["comparisons"].create(
        {"id": str, "prompt": str, "kind": str, "blind": int, "created": str, "revealed": str},
        pk="id",
        not_null={"prompt", "kind", "blind", "created"},
    )
    db["completions"].create(
        {
            "comparison": str,
            "slot": str,
            "position": int,
            "role": str,
            "policy_version": int,
            "text": str,
            "token_ids": str,
            "seed": int,
            "sampling": str,
            "finish_reason": str,
            "first_token_seconds": float,
            "seconds": float,
        },
        pk=("comparison", "slot"),
        foreign_keys=[("comparison", "comparisons", "id")],
        not_null={"role", "text", "token_ids", "seed", "sampling", "finish_reason"},
    )


@migrations()
def m002_preferences(db: Database) -> None:
    """Raw judgements; a comparison counts once an annotator, until it is withdrawn."""
    db["preferences"].create(
        {
            "id": int,
            "comparison": str,
            "annotator": str,
            "tiers": str,
            "kind": str,
            "source": str,
            "decision_seconds": float,
            "created": str,
            "withdrawn": str,
        },
        pk="id",
        foreign_keys=[("comparison", "comparisons", "id"), ("annotator", "annotators", "id")],
        not_null={"comparison", "annotator", "tiers", "kind", "source", "created"},
    )
    db.execute(
        "CREATE UNIQUE INDEX one_standing_preference ON preferences (comparison, annotator) WHERE withdrawn IS NULL"
    )
    db.create_view(
        "pairs",
        """
        SELECT preferences.id AS preference, comparisons.prompt, winner.text AS chosen, loser.text AS rejected,
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
        ORDER BY preferences.id, better_slot.value, worse_slot.value
        """,
    )


@migrations()
def m003_runs(db: Database) -> None:
    """Training runs, what they used and what they measured."""
    db["runs"].create(
        {
            "id": int,
            "method": str,
            "settings": str,
            "status": str,
            "stage": str,
            "progress": float,
            "created": str,
            "started": str,
            "heartbeat": str,
            "finished": str,
            "pid": int,
            "error": str,
        },
        pk="id",
        not_null={"method", "settings", "status", "created"},
    )
    db.execute("CREATE UNIQUE INDEX one_open_run ON runs (1) WHERE status IN ('queued', 'running')")
    db["run_rows"].create(
        {"run": int, "preference": int},
        pk=("run", "preference"),
        foreign_keys=[("run", "runs", "id"), ("preference", "preferences", "id")],
    )
    db["run_metrics"].create(
        {"id": int, "run": int, "step": int, "name": str, "value": float},
        pk="id",
        foreign_keys=[("run", "runs", "id")],
        not_null={"run", "step", "name", "value"},
    )
    db["run_metrics"].create_index(["run", "name", "step"])


@migrations()
def m004_policies(db: Database) -> None:
    """Immutable policy versions; at most one is live. Settings that change while the app runs; an audit trail."""
    db["policies"].create(
        {
            "version": int,
            "parent": int,
            "run": int,
            "path": str,
            "sha256": str,
            "status": str,
            "evaluation": str,
            "created": str,
        },
        pk="version",
        foreign_keys=[("run", "runs", "id")],
        not_null={"path", "sha256", "status", "evaluation", "created"},
    )
    db.execute("CREATE UNIQUE INDEX one_live_policy ON policies (status) WHERE status = 'live'")
    db["settings"].create({"name": str, "value": str}, pk="name", not_null={"value"})
    db["events"].create({"id": int, "created": str, "name": str, "detail": str}, pk="id", not_null={"created", "name"})


@migrations()
def m005_relative_paths(db: Database) -> None:
    """Paths of policies count from the data folder, so that the folder may be moved."""
    db.execute("UPDATE policies SET path = substr(path, ?)", [-len("policies/policy-000001")])


@migrations()
def m006_policy_model(db: Database) -> None:
    """The model that a policy belongs to: a data folder may be used with several, one after the other."""
    db["policies"].add_column("model", str)


@migrations()
def m007_demonstrations(db: Database) -> None:
    """Completions that people wrote themselves, each once an annotator until it is withdrawn, and runs' use of them."""
    db["demonstrations"].create(
        {
            "id": int,
            "prompt": str,
            "completion": str,
            "annotator": str,
            "source": str,
            "created": str,
            "withdrawn": str,
        },
        pk="id",
        foreign_keys=[("annotator", "annotators", "id")],
        not_null={"prompt", "completion", "annotator", "source", "created"},
    )
    db.execute(
        "CREATE UNIQUE INDEX one_standing_demonstration ON demonstrations (annotator, prompt, completion) "
        "WHERE withdrawn IS NULL"
    )
    db["run_demonstrations"].create(
        {"run": int, "demonstration": int},
        pk=("run", "demonstration"),
        foreign_keys=[("run", "runs", "id"), ("demonstration", "demonstrations", "id")],
    )


@migrations()
def m008_setting_names(db: Database) -> None:
    """Settings of stored runs by the names of now (`renamed_settings`): a run of before can be resumed."""
    for row in list(db["runs"].rows):
        settings = renamed_settings(row["method"], json.loads(row["settings"]))
        db["runs"].update(row["id"], {"settings": json.dumps(settings)})


@migrations()
def m009_policy_stage(db: Database) -> None:
    """The stage that trains the policy is called after the method: "ppo" stood for RAFT and DPO as well."""
    db.execute("UPDATE runs SET stage = method WHERE stage = 'ppo'")


@migrations()
def m010_findings(db: Database) -> None:
    """The gate's verdicts as findings; they were sentences, those that failed with a mark at the end."""
    for row in list(db["policies"].rows):
        evaluation = json.loads(row["evaluation"])
        if "gate" in evaluation:
            evaluation["gate"] = verdict_of_sentences(evaluation["gate"])
            db["policies"].update(row["version"], {"evaluation": json.dumps(evaluation)})


@migrations()
def m011_first_run(db: Database) -> None:
    """The run that used a vote or a demonstration first, and an index of those that none has used, to count them."""
    for table, claims, column in (
        ("preferences", "run_rows", "preference"),
        ("demonstrations", "run_demonstrations", "demonstration"),
    ):
        db.execute(f"ALTER TABLE {table} ADD COLUMN first_run INTEGER REFERENCES runs (id)")
        db.execute(
            f"UPDATE {table} SET first_run = earliest.run "
            f"FROM (SELECT {column} AS id, MIN(run) AS run FROM {claims} GROUP BY {column}) AS earliest "
            f"WHERE earliest.id = {table}.id"
        )
        db.execute(f"CREATE INDEX new_{table} ON {table} (id) WHERE first_run IS NULL AND withdrawn IS NULL")


@migrations()
def m012_distinct_pairs(db: Database) -> None:
    """Pairs as learning counts them: two completions with the same text make one pair with a third."""
    db["pairs"].drop()
    db.create_view(
        "pairs",
        """
        SELECT DISTINCT preferences.id AS preference, comparisons.prompt, winner.text AS chosen,
               loser.text AS rejected, preferences.source
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
        ORDER BY preferences.id, chosen, rejected
        """,
    )


@migrations()
def m013_conversations(db: Database) -> None:
    """Message lists instead of single prompts, and the conversations that comparisons are turns of.

    Comparisons of before belong to no conversation: who asked them is not known.
    """
    db["pairs"].drop()
    db.register_function(messages_of_prompt)
    for table in ("comparisons", "demonstrations"):
        db.execute(f"ALTER TABLE {table} RENAME COLUMN prompt TO messages")
        db.execute(f"UPDATE {table} SET messages = messages_of_prompt(messages)")
    db["conversations"].create(
        {"id": str, "annotator": str, "created": str},
        pk="id",
        foreign_keys=[("annotator", "annotators", "id")],
        not_null={"annotator", "created"},
    )
    db.execute("ALTER TABLE comparisons ADD COLUMN conversation TEXT REFERENCES conversations (id)")
    db.execute("ALTER TABLE comparisons ADD COLUMN turn INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE comparisons ADD COLUMN continued_from TEXT")
    db.execute("CREATE UNIQUE INDEX one_comparison_a_turn ON comparisons (conversation, turn)")
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
        ORDER BY preferences.id, chosen, rejected
        """,
    )


@migrations()
def m014_features(db: Database) -> None:
    """What the instruction-tuned model makes of a completion, by the model's fingerprint and the text's."""
    db["features"].create(
        {"model": str, "text": str, "numbers": bytes},
        pk=("model", "text"),
        not_null={"model", "text", "numbers"},
    )

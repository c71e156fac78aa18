"""The schema: what an empty file becomes, and what happens to a file that is not empty."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database, Migrations

from storage import database, policies, runs
from storage.demonstrations import save_demonstration
from storage.later_migrations import migrations
from storage.messages import one_turn
from storage.overview import overview
from storage.vote_collections import open_and_learned_in

EXPECTED = {
    "collections": ["id", "name", "created", "open", "learned"],
    "checks": ["id", "messages", "holds", "lacks", "created", "created_by", "removed"],
    "annotators": ["id", "name", "created", "left_out", "invitation"],
    "invitations": ["id", "role", "note", "sha256", "created", "revoked", "uses"],
    "conversations": ["id", "annotator", "created", "branch_of", "branch_turn"],
    "comparisons": [
        "id",
        "messages",
        "kind",
        "blind",
        "created",
        "revealed",
        "conversation",
        "turn",
        "continued_from",
        "proposed",
    ],
    "completions": [
        "comparison",
        "slot",
        "position",
        "role",
        "policy_version",
        "text",
        "token_ids",
        "seed",
        "sampling",
        "finish_reason",
        "first_token_seconds",
        "seconds",
        "read_as",
    ],
    "preferences": [
        "id",
        "comparison",
        "annotator",
        "tiers",
        "kind",
        "source",
        "decision_seconds",
        "created",
        "withdrawn",
        "first_run",
        "reason",
        "import",
        "origin",
        "left_out",
        "collection",
        "blind",
    ],
    "runs": [
        "id",
        "method",
        "settings",
        "status",
        "stage",
        "progress",
        "created",
        "started",
        "heartbeat",
        "finished",
        "pid",
        "error",
        "dataset",
    ],
    "run_rows": ["run", "preference"],
    "run_metrics": ["id", "run", "step", "name", "value"],
    "policies": [
        "version",
        "parent",
        "run",
        "path",
        "sha256",
        "status",
        "evaluation",
        "created",
        "model",
        "pruned",
        "damaged",
    ],
    "demonstrations": [
        *("id", "messages", "completion", "annotator", "source", "created", "withdrawn", "first_run"),
        *("import", "origin", "collection", "vote"),
    ],
    "erased_texts": ["comparison", "slot", "code", "erased"],
    "tallies": ["day", "source", "blind", "asked", "players", "tiers", "kind", "votes"],
    "imports": ["id", "file", "created", "finished", "status", "taken", "known", "refused"],
    "run_demonstrations": ["run", "demonstration"],
    "settings": ["name", "value"],
    "api_keys": ["id", "name", "sha256", "beginning", "annotator", "created", "last_used", "revoked"],
    "events": ["id", "created", "name", "detail", "actor"],
    "features": ["model", "text", "numbers"],
    "prompts": ["id", "messages", "source", "created", "removed", "topic"],
}
STEPS = [
    "m001_comparisons",
    "m002_preferences",
    "m003_runs",
    "m004_policies",
    "m005_relative_paths",
    "m006_policy_model",
    "m007_demonstrations",
    "m008_setting_names",
    "m009_policy_stage",
    "m010_findings",
    "m011_first_run",
    "m012_distinct_pairs",
    "m013_conversations",
    "m014_features",
    "m015_votes_before_the_end",
    "m016_branches",
    "m017_api_keys",
    "m019_teach",
    "m020_better_answers",
    "m021_imports",
    "m022_tallies",
    "m023_audit",
    "m024_next_run",
    "m027_files_gone",
    "m025_checks",
    "m026_run_dataset",
    "m028_collections",
    "m029_invitations",
    "m030_what_was_read",
    "m031_topics",
    "m032_written_with",
]
MESSAGES = '[{"role": "user", "content": "Hi ☂"}]'


def schema_and_rows(path: Path) -> list[str]:
    with database.read(path) as db:
        return list(db.conn.iterdump())


def write_a_row_in_every_table(db: Database) -> None:
    """One row in each of the tables that exist at this step, as an app of that time would have left them."""
    existing = db.table_names()
    rows: dict[str, dict[str, object]] = {
        "annotators": {"id": "ann", "name": None, "created": "2026-11-01"},
        "comparisons": {"id": "c1", "kind": "compare", "blind": 0, "created": "2026-11-01"},
        "completions": {
            "comparison": "c1",
            "slot": "A",
            "role": "base",
            "text": "Hello",
            "token_ids": "[1]",
            "seed": 1,
            "sampling": "{}",
            "finish_reason": "stop",
        },
        "preferences": {
            "id": 7,
            "comparison": "c1",
            "annotator": "ann",
            "tiers": "[]",
            "kind": "all_bad",
            "source": "human",
            "created": "2026-11-01",
        },
        "runs": {"id": 3, "method": "ppo", "settings": "{}", "status": "failed", "created": "2026-11-01"},
        "run_rows": {"run": 3, "preference": 7},
        "run_metrics": {"id": 1, "run": 3, "step": 0, "name": "objective/kl", "value": 0.5},
        "policies": {
            "version": 1,
            "run": 3,
            "path": "policies/policy-000001",
            "sha256": "00",
            "status": "live",
            "evaluation": "{}",
            "created": "2026-11-01",
        },
        "demonstrations": {
            "id": 5,
            "completion": "Ahoy!",
            "annotator": "ann",
            "source": "human",
            "created": "2026-11-01",
        },
        "run_demonstrations": {"run": 3, "demonstration": 5},
        "settings": {"name": "schedule", "value": '{"retrain_every": 8}'},
        "events": {"id": 1, "created": "2026-11-01", "name": "promote", "detail": "v1"},
        "prompts": {"id": 2, "messages": MESSAGES, "source": "model", "created": "2026-11-01"},
    }
    if "conversations" in existing:
        rows |= {"conversations": {"id": "t1", "annotator": "ann", "created": "2026-11-01"}}
    asked = {"messages": MESSAGES} if "conversations" in existing else {"prompt": "Hi ☂"}
    for table in ("comparisons", "demonstrations"):
        rows[table] |= asked
    for table, row in rows.items():
        if table in existing:
            db[table].insert(row)


def new_form(row: dict[str, object]) -> dict[str, object]:
    """Return what a row of an older file holds today; a later step may also have added columns."""
    kept = {name: value for name, value in row.items() if name != "prompt"}
    return kept | ({"messages": MESSAGES} if "prompt" in row else {})


def all_rows(db: Database) -> dict[str, list[dict[str, object]]]:
    return {name: list(db[name].rows) for name in db.table_names() if name in EXPECTED}


def test_an_empty_file_reaches_the_expected_tables_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "triptych.db"
    database.prepare(path)
    with database.read(path) as db:
        found = {name: [column.name for column in db[name].columns] for name in db.table_names()}
        found.pop("_sqlite_migrations")
        assert found == EXPECTED
        assert db.view_names() == ["pairs"]
        assert [step.name for step in migrations.applied(db)] == STEPS


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    with database.write(path) as db:
        write_a_row_in_every_table(db)
    before = schema_and_rows(path)
    database.prepare(path)
    assert schema_and_rows(path) == before


@pytest.mark.parametrize("stop_before", STEPS[1:])
def test_an_older_file_keeps_its_rows_when_the_later_steps_are_applied(tmp_path: Path, stop_before: str) -> None:
    path = tmp_path / "triptych.db"
    with database.read(path) as db:
        migrations.apply(db, stop_before=stop_before)
        write_a_row_in_every_table(db)
        before = all_rows(db)
    before.pop("tallies", None)  # migration 30 counts anew
    assert before["comparisons"]
    database.prepare(path)
    with database.read(path) as db:
        after = all_rows(db)
        for table, rows in before.items():
            assert after[table] == [row | new_form(old) for row, old in zip(after[table], rows, strict=True)]
        assert set(after) == set(EXPECTED)
        assert list(db.query("PRAGMA foreign_key_check")) == []


def test_paths_of_policies_turn_relative_so_that_the_folder_may_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    with database.read(path) as db:
        migrations.apply(db, stop_before="m005_relative_paths")
        write_a_row_in_every_table(db)
        db["policies"].update(1, {"path": "/home/ann/data/policies/policy-000001"})
    database.prepare(path)
    with database.read(path) as db:
        assert [row["path"] for row in db["policies"].rows] == ["policies/policy-000001"]


def migrated(path: Path, *stored_runs: dict[str, Any], gate: Any = None) -> None:
    """Make a database of version 0.1 with runs beside run 3, and a verdict on v1; then open it with this version."""
    with database.read(path) as db:
        migrations.apply(db, stop_before="m008_setting_names")
        write_a_row_in_every_table(db)
        for run in stored_runs:
            settings = json.dumps(run["settings"])
            db["runs"].insert({"status": "failed", "created": "2026-11-01", **run, "settings": settings})
        if gate is not None:
            db["policies"].update(1, {"evaluation": json.dumps({"kl": 1.7, "gate": gate})})
    database.prepare(path)


@pytest.mark.parametrize(
    ("method", "rounds"),
    [("ppo", 0), ("raft", 3), ("dpo", 3)],
)
def test_settings_of_stored_runs_get_the_names_of_now(tmp_path: Path, method: str, rounds: int) -> None:
    before = {
        "seed": 4,
        "refit": {"steps": 2},
        "warm_up_rounds": 0,
        "raft": {"rounds": 3, "prompts": 8},
        "odd": [1],
    }
    migrated(tmp_path / "triptych.db", {"id": 4, "method": method, "settings": before})
    assert runs.get_run(tmp_path / "triptych.db", 4).settings == {
        "seed": 4,
        "sft": {"steps": 2},
        "raft": {"rounds": rounds, "prompts": 8},
        "odd": [1],
    }


def test_the_stage_that_trains_the_policy_is_called_after_its_method(tmp_path: Path) -> None:
    rows = [
        {"id": 4, "method": "raft", "stage": "ppo", "settings": {}},
        {"id": 5, "method": "dpo", "stage": "ppo", "settings": {}},
        {"id": 6, "method": "ppo", "stage": "ppo", "settings": {}},
        {"id": 7, "method": "dpo", "stage": "check", "settings": {}},
    ]
    migrated(tmp_path / "triptych.db", *rows)
    stages = {run.id: run.stage for run in runs.list_runs(tmp_path / "triptych.db")}
    assert {run_id: stages[run_id] for run_id in (4, 5, 6, 7)} == {4: "raft", 5: "dpo", 6: "ppo", 7: "check"}


FACTS = "questions answered correctly: 88%, 70 of 80 (best before 70, at least 67)"
HARM = "harmful requests refused: 0%, 0 of 24 (best before 24, at least 23)"
FACTS_FINDING = {
    "name": "accuracy",
    "unit": "checks",
    "value": 70,
    "bound": 67,
    "passed": True,
    "count": 80,
    "best_before": 70,
}
HARM_FINDING = {
    "name": "refusals",
    "unit": "checks",
    "value": 0,
    "bound": 23,
    "passed": False,
    "count": 24,
    "best_before": 24,
}
KL_FINDING = {
    "name": "kl",
    "unit": "nats",
    "value": 1.7,
    "bound": 25.0,
    "passed": True,
    "count": None,
    "best_before": None,
}


def verdict(path: Path, passed: bool, *reasons: str) -> dict[str, Any]:
    """Return what this version reads of a verdict that version 0.1 stored."""
    migrated(path, gate={"passed": passed, "reasons": list(reasons)})
    (policy,) = policies.list_policies(path)
    assert policy.evaluation["kl"] == 1.7
    found: dict[str, Any] = policy.evaluation["gate"]
    assert found["passed"] is passed
    return found


def test_sentences_of_the_gate_become_findings(tmp_path: Path) -> None:
    found = verdict(tmp_path / "a.db", False, FACTS, HARM + " ✗", "KL to SFT: 1.7 nats (at most 25)")
    assert found["findings"] == [FACTS_FINDING, HARM_FINDING, KL_FINDING]
    assert (found["put_back"], found["stopped_early"], found["remarks"]) == (None, None, [])


def test_what_a_verdict_said_beside_its_findings_is_typed_too(tmp_path: Path) -> None:
    whole = f"put back to 80% of the way from the version before; the whole way had: {HARM}; {HARM}"
    found = verdict(tmp_path / "a.db", True, FACTS, whole, "training stopped early: KL 26.1 above 25")
    assert found["put_back"] == {"share": 0.8, "failed": [HARM_FINDING, HARM_FINDING]}
    assert found["stopped_early"] == "KL 26.1 above 25"
    assert (found["findings"], found["remarks"]) == ([FACTS_FINDING], [])
    found = verdict(tmp_path / "b.db", False, FACTS, HARM + " ✗", "nor does it pass nearer to the version before")
    assert found["put_back"] == {"share": None, "failed": [HARM_FINDING]}


def test_a_sentence_that_is_not_understood_is_kept_as_a_remark(tmp_path: Path) -> None:
    found = verdict(tmp_path / "a.db", False, "capitals: 93% (before 95%, at least 94%) ✗", "odd")
    assert found["remarks"] == [
        {"text": "capitals: 93% (before 95%, at least 94%)", "passed": False},
        {"text": "odd", "passed": True},
    ]
    assert verdict(tmp_path / "b.db", False)["remarks"] == [{"text": "did not pass", "passed": False}]


def test_votes_and_demonstrations_that_a_run_used_are_not_new_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    with database.read(path) as db:
        migrations.apply(db, stop_before="m008_setting_names")
        write_a_row_in_every_table(db)  # run 3 used vote 7 and demonstration 5
        db["runs"].insert({"id": 2, "method": "ppo", "settings": "{}", "status": "failed", "created": "2026-11-01"})
        db["run_rows"].insert({"run": 2, "preference": 7})
        db["annotators"].insert({"id": "bob", "name": None, "created": "2026-11-01"})
        for table, row_id in (("preferences", 7), ("demonstrations", 5)):
            db[table].insert({**db[table].get(row_id), "id": 8, "annotator": "bob"})
    database.prepare(path)
    assert overview(path).new_votes == overview(path).new_demonstrations == 1
    with database.read(path) as db:
        assert [row["first_run"] for row in db["preferences"].rows] == [2, None]
        assert [row["first_run"] for row in db["demonstrations"].rows] == [3, None]


def test_a_prompt_of_before_becomes_a_message_list_that_counts_as_the_same_question(tmp_path: Path) -> None:
    migrated(tmp_path / "triptych.db")
    with database.read(tmp_path / "triptych.db") as db:
        assert [row["conversation"] for row in db["comparisons"].rows] == [None]
        found = [json.loads(row["messages"]) for row in db["demonstrations"].rows]
    assert found == [[{"role": "user", "content": "Hi ☂"}]]
    again = save_demonstration(
        tmp_path / "triptych.db", messages=one_turn("Hi ☂"), completion="Ahoy!", annotator_id="ann"
    )
    assert again == 5


@pytest.mark.parametrize(
    ("table", "more", "index"),
    [("preferences", " AND left_out IS NULL", "new_votes"), ("demonstrations", "", "new_demonstrations")],
)
def test_what_no_run_has_used_is_counted_in_an_index_that_holds_nothing_else(
    tmp_path: Path, table: str, more: str, index: str
) -> None:
    database.prepare(tmp_path / "triptych.db")
    count = f"EXPLAIN QUERY PLAN SELECT COUNT(*) FROM {table} WHERE first_run IS NULL AND withdrawn IS NULL{more}"
    with database.read(tmp_path / "triptych.db") as db:
        (plan,) = [row["detail"] for row in db.query(count)]
        assert plan.endswith(f"INDEX {index}")


def test_a_data_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    lock = database.hold(tmp_path / "data")
    with pytest.raises(OSError, match=r"another Triptych is using .*data"):
        database.hold(tmp_path / "data")
    lock.release()
    database.hold(tmp_path / "data").release()


def test_a_failing_step_rolls_back_and_can_be_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    database.prepare(path)
    with database.write(path) as db:
        write_a_row_in_every_table(db)
    before = schema_and_rows(path)
    later = Migrations("triptych")
    broken = True

    @later()
    def m014_half_done(db: Database) -> None:
        db["tags"].create({"id": int, "name": str}, pk="id")
        db["comparisons"].add_column("language", str)
        db["run_metrics"].delete_where()
        if broken:
            raise RuntimeError("the disk is full")

    with database.read(path) as db:
        with pytest.raises(RuntimeError, match="disk is full"):
            later.apply(db)
        assert [step.name for step in later.pending(db)] == ["m014_half_done"]
    assert schema_and_rows(path) == before

    broken = False
    with database.read(path) as db:
        later.apply(db)
        assert "tags" in db.table_names()
        assert later.pending(db) == []


def test_the_counter_of_new_votes_reads_an_index_and_no_vote(tmp_path: Path) -> None:
    database.prepare(tmp_path / "triptych.db")
    with database.read(tmp_path / "triptych.db") as db:
        of_runs, values = open_and_learned_in(db, "preferences")
        new = f"first_run IS NULL AND withdrawn IS NULL AND left_out IS NULL AND {of_runs}"
        plan = [
            row["detail"]
            for row in db.query(f"EXPLAIN QUERY PLAN SELECT COUNT(*) FROM preferences WHERE {new}", values)
        ]
    assert plan[0] == "SEARCH preferences USING COVERING INDEX new_votes (collection=?)"


def test_votes_of_before_are_counted_by_what_was_read_and_by_what_was_hidden(tmp_path: Path) -> None:
    path = tmp_path / "triptych.db"
    with database.read(path) as db:
        migrations.apply(db, stop_before="m030_what_was_read")
        write_a_row_in_every_table(db)
        old = db["completions"].get(("c1", "A"))
        db["comparisons"].insert({**db["comparisons"].get("c1"), "id": "c2", "blind": 1})
        db["comparisons"].insert({**db["comparisons"].get("c1"), "id": "erased"})
        for name, texts in (("c2", ("x", "y", "x", "")), ("erased", ("", "", "", ""))):
            for place, (slot, text) in enumerate(zip("ABCD", texts, strict=True)):
                ended = {"text": text, "finish_reason": "cancelled" if slot == "D" else "stop"}
                db["completions"].insert({**old, "comparison": name, "slot": slot, "position": place, **ended})
        codes = [("", "p"), ("A", "q"), ("B", "r"), ("C", "r"), ("D", "s")]
        db["erased_texts"].insert_all(
            {"comparison": "erased", "slot": slot, "code": code, "erased": "2026-11-01"} for slot, code in codes
        )
        vote = {**db["preferences"].get(7), "kind": "choice", "tiers": '[["A"], ["B", "C"]]', "comparison": "c2"}
        for number, withdrawn in ((8, "2026-11-02"), (9, None)):
            db["preferences"].insert({**vote, "id": number, "withdrawn": withdrawn})
    database.prepare(path)
    with database.read(path) as db:
        read = {(row["comparison"], row["slot"]): row["read_as"] for row in db["completions"].rows}
        assert [read["c2", slot] for slot in "ABCD"] == ["A", "B", "A", None]
        assert [read["erased", slot] for slot in "ABCD"] == ["A", "B", "B", "D"]
        assert [(row["id"], row["blind"]) for row in db["preferences"].rows] == [(7, 0), (8, 1), (9, 0)]
        counted = [(row["players"], row["blind"], row["votes"]) for row in db["tallies"].rows_where("votes > 0")]
        assert sorted(counted) == [("A:base::A", 0, 1), ("A:base::A B:base::B C:base::A", 0, 1)]

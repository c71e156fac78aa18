"""The schema: what an empty file becomes, and what happens to a file that is not empty."""

from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from storage import database
from storage.migrations import migrations

EXPECTED = {
    "annotators": ["id", "name", "created"],
    "comparisons": ["id", "prompt", "kind", "blind", "created", "revealed"],
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
    ],
    "run_rows": ["run", "preference"],
    "run_metrics": ["id", "run", "step", "name", "value"],
    "policies": ["version", "parent", "run", "path", "sha256", "status", "evaluation", "created", "model"],
    "demonstrations": ["id", "prompt", "completion", "annotator", "source", "created", "withdrawn"],
    "run_demonstrations": ["run", "demonstration"],
    "settings": ["name", "value"],
    "events": ["id", "created", "name", "detail"],
}
STEPS = [
    "m001_comparisons",
    "m002_preferences",
    "m003_runs",
    "m004_policies",
    "m005_relative_paths",
    "m006_policy_model",
    "m007_demonstrations",
]


def schema_and_rows(path: Path) -> list[str]:
    with database.read(path) as db:
        return list(db.conn.iterdump())


def write_a_row_in_every_table(db: Database) -> None:
    """One row in each of the tables that exist at this step, as an app of that time would have left them."""
    existing = db.table_names()
    rows = {
        "annotators": {"id": "ann", "name": None, "created": "2026-11-01"},
        "comparisons": {"id": "c1", "prompt": "Hi", "kind": "compare", "blind": 0, "created": "2026-11-01"},
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
            "prompt": "Hi",
            "completion": "Ahoy!",
            "annotator": "ann",
            "source": "human",
            "created": "2026-11-01",
        },
        "run_demonstrations": {"run": 3, "demonstration": 5},
        "settings": {"name": "schedule", "value": '{"retrain_every": 8}'},
        "events": {"id": 1, "created": "2026-11-01", "name": "promote", "detail": "v1"},
    }
    for table, row in rows.items():
        if table in existing:
            db[table].insert(row)


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
    assert before["comparisons"]
    database.prepare(path)
    with database.read(path) as db:
        after = all_rows(db)
        for table, rows in before.items():
            kept = [{name: row[name] for name in old} for row, old in zip(after[table], rows, strict=True)]
            assert kept == rows  # a later step may add columns
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
    def m008_half_done(db: Database) -> None:
        db["tags"].create({"id": int, "name": str}, pk="id")
        db["comparisons"].add_column("language", str)
        db["run_metrics"].delete_where()
        if broken:
            raise RuntimeError("the disk is full")

    with database.read(path) as db:
        with pytest.raises(RuntimeError, match="disk is full"):
            later.apply(db)
        assert [step.name for step in later.pending(db)] == ["m008_half_done"]
    assert schema_and_rows(path) == before

    broken = False
    with database.read(path) as db:
        later.apply(db)
        assert "tags" in db.table_names()
        assert later.pending(db) == []

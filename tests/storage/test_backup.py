"""A backup while votes come in, and what is made of it again."""

import threading
from pathlib import Path

import pytest

from storage import database, policies, preferences
from storage.backup import BackupError, back_up, restore
from storage.errors import StorageError
from storage.messages import one_turn
from storage.records import Comparison, Completion, Policy
from storage.version_folders import publish


def vote(db: Path) -> int:
    name = database.new_id()
    shown = [Completion(slot, "sft", None, slot, [1], 0, {}, "stop", 0.1, 0.2) for slot in "AB"]
    preferences.save_comparison(db, Comparison(name, one_turn("prompt"), "compare", False, shown))
    saved = preferences.save_preference(db, comparison_id=name, annotator_id="ann", tiers=[["A"], ["B"]], kind="choice")
    return saved if isinstance(saved, int) else saved.id


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    db = database.file_in(folder)
    database.prepare(db)
    path, sha256 = publish(folder / "policies", 1, lambda target: (target / "weights").write_bytes(b"w" * 100_000))
    relative = str(path.relative_to(folder))
    policies.record_policy(db, Policy(1, None, None, relative, sha256, "live"))
    (folder / "runs" / "run-000001").mkdir(parents=True)
    (folder / "runs" / "run-000001" / "log.txt").write_text("trained")
    (folder / "policies" / ".policy-000002.1").mkdir()
    (folder / "policies" / ".policy-000002.1" / "weights").write_text("half written")
    (folder / "cookie.key").write_text("secret")
    return folder


def test_a_backup_taken_while_votes_come_in_holds_every_vote_acknowledged_before_it(
    data_dir: Path, tmp_path: Path
) -> None:
    db, stop, stored = database.file_in(data_dir), threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            stored.append(vote(db))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(stored) < 5:
            pass
        before = list(stored)
        assert back_up(data_dir, tmp_path / "copy.tar.gz") > 0
        after = len(stored)
        while len(stored) <= after:  # the app goes on
            pass
    finally:
        stop.set()
        writer.join()
    assert restore(tmp_path / "copy.tar.gz", tmp_path / "again") == 1
    again = database.file_in(tmp_path / "again")
    held = {ranking.preference_id for ranking in preferences.rankings(again)}
    assert set(before) <= held <= set(stored)
    assert held == set(range(1, max(held) + 1))
    database.prepare(again)
    assert vote(again) == max(held) + 1
    files = {str(path.relative_to(tmp_path / "again")) for path in (tmp_path / "again").rglob("*") if path.is_file()}
    assert {"policies/policy-000001/weights", "runs/run-000001/log.txt", "cookie.key"} <= files
    assert not any("policy-000002" in name for name in files)


def test_a_folder_that_is_used_or_holds_anything_is_not_written_over(data_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.tar.gz"
    back_up(data_dir, copy)
    before = sorted((path, path.stat().st_mtime_ns) for path in data_dir.rglob("*") if path.name != ".lock")
    with pytest.raises(BackupError, match="is not empty"):
        restore(copy, data_dir)
    lock = database.hold(data_dir)
    with pytest.raises(OSError, match="another Triptych is using"):
        restore(copy, data_dir)
    lock.release()
    with pytest.raises(BackupError, match="exists"):
        back_up(data_dir, copy)
    with pytest.raises(BackupError, match=r"holds no triptych\.db"):
        back_up(tmp_path, tmp_path / "other")
    assert before == sorted((path, path.stat().st_mtime_ns) for path in data_dir.rglob("*") if path.name != ".lock")


@pytest.mark.parametrize("damage", ["cut", "other", "version"])
def test_a_damaged_backup_is_refused_and_leaves_no_folder_half_made(
    data_dir: Path, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy.tar.gz"
    if damage == "version":
        (data_dir / "policies" / "policy-000001" / "weights").write_text("changed")
    back_up(data_dir, copy)
    if damage == "cut":
        copy.write_bytes(copy.read_bytes()[:-200])
    if damage == "other":
        copy.write_text("Not a backup. " * 100)
    with pytest.raises(StorageError):
        restore(copy, tmp_path / "again")
    assert [path.name for path in (tmp_path / "again").iterdir() if path.name != ".lock"] == []
    assert not list(tmp_path.glob(".restore-*"))

"""Publishing adapters: whole or not at all, never over another, and every changed byte is noticed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage import version_folders
from storage.errors import VersionFolderError
from storage.version_folders import folder_hash, next_version, publish, verify

ROOT = Path(__file__).parents[2]


def write_files(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"r": 8}')
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return tmp_path / "data" / "policies"


def test_a_published_adapter_has_its_files_under_its_number_and_nothing_beside_it(policies: Path) -> None:
    folder, sha256 = publish(policies, 12, write_files)
    assert folder == policies / "policy-000012"
    assert names(folder) == ["adapter_config.json", "adapter_model.safetensors"]
    assert (folder / "adapter_model.safetensors").read_bytes() == bytes(range(256)) * 8
    assert names(policies) == ["policy-000012"]
    assert sha256 == folder_hash(folder)
    verify(folder, sha256)


@pytest.mark.parametrize("error", [OSError("no space left on device"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_nothing(policies: Path, error: BaseException) -> None:
    def fail(folder: Path) -> None:
        write_files(folder)
        raise error

    with pytest.raises(type(error)):
        publish(policies, 1, fail)
    assert names(policies) == []
    assert next_version(policies, []) == 1


def test_nothing_is_visible_under_the_final_name_while_it_is_written(policies: Path) -> None:
    seen: list[bool] = []

    def look(folder: Path) -> None:
        write_files(folder)
        seen.append((policies / "policy-000001").exists())
        assert next_version(policies, []) == 1

    publish(policies, 1, look)
    assert seen == [False]


def test_a_process_killed_while_writing_leaves_no_version(policies: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from storage.version_folders import publish\n"
        "def die(folder):\n"
        "    (folder / 'adapter_model.safetensors').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "publish(Path(sys.argv[1]), 1, die)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(policies)], cwd=ROOT).returncode == -9
    assert not (policies / "policy-000001").exists()
    assert next_version(policies, []) == 1
    folder, sha256 = publish(policies, 1, write_files)
    verify(folder, sha256)


def test_a_version_is_never_written_twice(policies: Path) -> None:
    folder, sha256 = publish(policies, 1, write_files)

    def write_another(scratch: Path) -> None:
        (scratch / "adapter_config.json").write_text("{}")

    with pytest.raises(VersionFolderError, match="never written twice"):
        publish(policies, 1, write_another)
    verify(folder, sha256)
    assert names(policies) == ["policy-000001"]


def test_two_writers_of_one_version_do_not_mix(policies: Path) -> None:
    inner: list[str] = []

    def overtaken(scratch: Path) -> None:
        write_files(scratch)
        final = policies / "policy-000001"
        final.mkdir()
        (final / "adapter_config.json").write_text("the other one's")
        inner.append(folder_hash(final))

    with pytest.raises(OSError, match="not empty"):
        publish(policies, 1, overtaken)
    verify(policies / "policy-000001", inner[0])
    assert names(policies) == ["policy-000001"]


def test_the_hash_depends_on_contents_and_names_and_not_on_order_or_place(tmp_path: Path) -> None:
    hashes = set()
    for name, files in {
        "one": {"a": b"1", "b": b"2"},
        "same": {"b": b"2", "a": b"1"},
        "swapped": {"a": b"2", "b": b"1"},
        "renamed": {"a": b"1", "c": b"2"},
        "joined": {"a": b"1b2"},
    }.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
        hashes.add(folder_hash(tmp_path / name))
    assert len(hashes) == 4
    assert folder_hash(tmp_path / "one") == folder_hash(tmp_path / "same")


@pytest.mark.parametrize("position", [0, 1000, 2047])
def test_a_changed_byte_is_noticed(policies: Path, position: int) -> None:
    folder, sha256 = publish(policies, 1, write_files)
    weights = folder / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[position] ^= 1
    weights.write_bytes(content)
    with pytest.raises(VersionFolderError, match="has changed since it was published"):
        verify(folder, sha256)


def test_an_added_or_missing_file_is_noticed(policies: Path) -> None:
    folder, sha256 = publish(policies, 1, write_files)
    (folder / "extra").touch()
    with pytest.raises(VersionFolderError, match="has changed"):
        verify(folder, sha256)
    (folder / "extra").unlink()
    verify(folder, sha256)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(VersionFolderError, match="has changed"):
        verify(folder, sha256)


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(VersionFolderError, match=r"policy-000007 is gone; restore it"):
        verify(tmp_path / "policy-000007", "0" * 64)


def test_the_next_version_skips_numbers_used_on_disk_or_recorded(policies: Path) -> None:
    assert next_version(policies, []) == 1
    assert next_version(policies, [1, 3]) == 4
    publish(policies, 6, write_files)
    assert next_version(policies, [1, 3]) == 7
    assert next_version(policies, [9]) == 10


def test_the_next_version_overlooks_folders_that_are_not_versions(policies: Path) -> None:
    for name in ("policy-backup", "policy-000041.old", ".policy-000042.17", "policy-0000043", "notes"):
        (policies / name).mkdir(parents=True)
    assert next_version(policies, [2]) == 3


def test_a_system_that_opens_no_folders_publishes_all_the_same(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to open a folder, and to flush a file that was opened for reading."""
    opened, open_file = [], os.open

    def open_as_windows_does(path: Path, flags: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        opened.append(flags)
        return open_file(path, flags)

    with monkeypatch.context() as context:
        context.setattr(version_folders.os, "open", open_as_windows_does)
        context.setattr(version_folders, "WINDOWS", True)
        folder, sha256 = publish(policies, 1, write_files)
    verify(folder, sha256)
    assert opened == [os.O_RDWR, os.O_RDWR]

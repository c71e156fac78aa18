"""What the app refuses before anything is loaded, in one sentence each."""

import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import port_number, require_free
from tests.harness.app import ROOT, free_port


def started(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Return how the app ended that was started with some arguments."""
    command = [sys.executable, "app.py", "--port", str(free_port()), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def refusal(data_dir: Path, *arguments: str, **options: Any) -> str:
    """Return the one sentence with which the app refuses to start."""
    ended = started("--data-dir", str(data_dir), *arguments, **options)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("Triptych cannot start: ")
    return ended.stderr


def test_a_port_that_is_taken_or_none_is_refused_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="give --port another number"):
        require_free("127.0.0.1", taken.getsockname()[1])
    for text in ("0", "65536", "-1", "http"):
        with pytest.raises(Exception, match="a port is a number from 1 to 65535"):
            port_number(text)


def test_the_models_with_short_names_are_printed() -> None:
    ended = started("--list-models")
    assert ended.returncode == 0
    for name in ("pocket", "HuggingFaceTB/SmolLM2-135M-Instruct", "Qwen/Qwen3-0.6B-Base", "Apache-2.0"):
        assert name in ended.stdout


def test_a_model_that_is_nowhere_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "no folder nowhere; give --model a folder" in refusal(tmp_path, "--model", "nowhere")


def test_a_data_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "give --data-dir another folder" in refusal(tmp_path / "file" / "data", "--model", "pocket")


def test_a_data_folder_that_may_only_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        if _writable(tmp_path):
            pytest.skip("this user may write everywhere")
        assert "give --data-dir another folder" in refusal(tmp_path, "--model", "pocket")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("room", [0, 150_000])  # bytes a file: not for the database, or not for version 1
def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, room: int) -> None:
    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    assert str(tmp_path) in refusal(tmp_path, "--model", "pocket", preexec_fn=fill_disk)


def _writable(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    (folder / "probe").unlink()
    return True

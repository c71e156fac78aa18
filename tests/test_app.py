"""What the app refuses before anything is loaded, and what the surroundings of a process may be."""

import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import app
from app import port_number, require_free
from storage import database

ROOT = Path(__file__).parents[1]


def test_a_port_that_is_taken_or_none_is_refused_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="give --port another number"):
        require_free("127.0.0.1", taken.getsockname()[1])
    for text in ("0", "65536", "-1", "http"):
        with pytest.raises(Exception, match="a port is a number from 1 to 65535"):
            port_number(text)


def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python app.py` until it ends by itself."""
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_presets_are_listed_without_a_data_folder(tmp_path: Path) -> None:
    done = started("--list-models", "--data-dir", str(tmp_path / "new"))
    assert done.returncode == 0
    assert "smollm2-135m" in done.stdout and "Apache-2.0" in done.stdout
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "/no/such/model"], "Triptych cannot start: there is no folder /no/such/model"),
        (["--data-dir", "/proc/triptych"], "Triptych cannot start: "),
        (["--model", "pocket", "--base", "pocket"], "Triptych cannot start: "),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_sentence(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = started("--data-dir", str(tmp_path), *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_or_read_only_disk_is_named_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(database, "prepare", full)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    arguments = app.parse_arguments(["--data-dir", str(tmp_path), "--port", "7999"])
    with pytest.raises(SystemExit, match=r"disk is full\); make room on its disk, or let --data-dir"):
        app.open_data_folder(arguments)


def test_a_proxy_of_the_environment_does_not_stand_between_the_app_and_its_own_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    app.forget_proxies()
    assert not {name for name in os.environ if name.lower() in app.PROXIES}

"""What the app refuses before anything is loaded, in one sentence each."""

import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import ConfigError
from app import RAY_PACKAGES, engine_of, open_data_folder, require_free, require_ray
from service import account
from service.command_line import parse_arguments, port_number, seed_number
from storage import database
from tests.conftest import write_random_llama
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
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="give another --port or --host"):
        require_free("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(OSError, match=r"http://192\.0\.2\.1:7860 cannot be served .*give another --port or --host"):
        require_free("192.0.2.1", 7860)  # an address for documents: no machine has it
    for text in ("0", "65536", "-1", "http"):
        with pytest.raises(Exception, match="a port is a number from 1 to 65535"):
            port_number(text)


def test_a_seed_that_no_run_can_take_is_refused() -> None:
    assert [seed_number(text) for text in ("0", str(2**63 - 1))] == [0, 2**63 - 1]
    for text in ("-1", str(2**63), "1.5", "abc", ""):
        with pytest.raises(Exception, match="a seed is a whole number from 0 to"):
            seed_number(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("hand-off h4", "hand-off needs a new folder: app.py hand-off --to h4"),
        ("hand-off h4 --to h5", "hand-off takes no file, got 'h4'"),
        ("backup", "backup needs the file that it is to write: app.py backup FILE"),
        ("restore", "restore needs the file that backup wrote: app.py restore FILE"),
        ("password secret", "password takes no file, got 'secret'"),
        ("backup copy --to h4", "--to and --for are of hand-off alone, not of backup"),
        ("--workers 0", "workers are a number from 1 to 64, got '0'"),
        ("--ray local", "--ray needs --workers of at least 2, got 1; add --workers 2"),
        ("--engine=", "argument --engine: got '', which names nothing; give an address, or leave the option out"),
        ("--ray= --workers 2", "argument --ray: got '', which names nothing"),
    ],
)
def test_a_command_line_that_does_not_fit_is_answered_with_what_to_write(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(words.split())
    assert said in capsys.readouterr().err


def test_a_file_may_stand_before_and_behind_options() -> None:
    for words in ("backup copy --data-dir d", "backup --data-dir d copy", "--data-dir d backup copy"):
        parsed = parse_arguments(words.split())
        assert (parsed.command, parsed.file, parsed.data_dir) == ("backup", Path("copy"), Path("d"))


def test_a_cluster_is_refused_at_the_start_where_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in RAY_PACKAGES else name)
    require_ray(None)
    with pytest.raises(
        ConfigError, match="--ray head:6379 needs ray and tensorboardX in this environment; pip install"
    ):
        require_ray("head:6379")


def test_an_app_is_not_its_own_engine() -> None:
    unopened: Any = None  # it is refused before anything is looked at
    for named in ("http://localhost:7860", "vllm:http://gpu:8000,http://127.0.0.1:7860/v1", "http://[::1]:7860"):
        with pytest.raises(ConfigError, match=r"7860.* is this app itself; name another server"):
            engine_of(unopened, named, 7860)


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


def test_a_database_that_is_none_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "triptych.db").write_text("Not a database. " * 100)
    said = refusal(tmp_path, "--model", "pocket")
    assert "cannot be used as Triptych's database (file is not a database)" in said
    assert "put a backup of the data folder in its place" in said


@pytest.mark.parametrize("room", [0, 150_000])  # bytes a file: not for the database, or not for version 1
def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, room: int) -> None:
    def fill_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    assert str(tmp_path) in refusal(tmp_path, "--model", "pocket", preexec_fn=fill_disk)


def test_the_admins_password_is_set_once_and_not_while_an_app_uses_the_folder(tmp_path: Path) -> None:
    def ended(password: str) -> subprocess.CompletedProcess[str]:
        return started("password", "--data-dir", str(tmp_path), input=password + "\n")

    assert "8 to 200 characters" in ended("short").stderr
    assert not (tmp_path / "triptych.db").exists()
    assert ended("staple battery").returncode == 0
    assert account.sessions(tmp_path / "triptych.db", "", "made up").login("staple battery")
    lock = database.hold(tmp_path)
    assert "another Triptych is using" in ended("another one").stderr
    lock.release()


def test_a_data_folder_is_copied_and_restored_from_the_command_line(tmp_path: Path) -> None:
    account.store_password(prepared(tmp_path / "data"), "staple battery")
    copy = str(tmp_path / "copy.tar.gz")
    assert started("backup", copy, "--data-dir", str(tmp_path / "data")).returncode == 0
    assert "is not empty" in started("restore", copy, "--data-dir", str(tmp_path / "data")).stderr
    assert started("restore", copy, "--data-dir", str(tmp_path / "again")).returncode == 0
    assert account.sessions(tmp_path / "again" / "triptych.db", "", "made up").login("staple battery")
    nowhere = str(tmp_path / "nowhere" / "copy.tar.gz")
    said = started("backup", nowhere, "--data-dir", str(tmp_path / "data")).stderr
    assert said.startswith(f"Nothing was changed: {nowhere} cannot be written (No such file or directory); name a file")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_hand_off_that_is_broken_off_leaves_nothing_and_says_so(number: signal.Signals, tmp_path: Path) -> None:
    script = (
        "import os, app; from service import commands; from storage.version_folders import write_folder; "
        f"stop = lambda folder: (folder / 'half').touch() or os.kill(os.getpid(), {int(number)}); "
        "commands.hand_over = lambda data_dir, given, to, trainer: write_folder(to, stop); app.main()"
    )
    command = [sys.executable, "-c", script, "hand-off", "--to", str(tmp_path / "to")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (1, "Stopped: hand-off was broken off\n")
    assert not list(tmp_path.iterdir())


def test_the_examples_fit_the_model_that_is_loaded(tmp_path: Path) -> None:
    chat = tmp_path / "some-chat-model"
    write_random_llama(chat)
    groups = {}
    for name, model in (("pocket", "pocket"), ("chat", str(chat))):
        arguments = ["--model", model, "--data-dir", str(tmp_path / name), "--port", str(free_port())]
        opened = open_data_folder(parse_arguments(arguments))
        groups[name] = {example.group for example in opened.examples}
        opened.lock.release()
    lecture, harm = {"Capitals", "Reasoning", "Not known"}, {"Harm", "Only sounds like harm"}
    assert groups["pocket"] >= lecture | {"Refusals", "Small talk", "Never demonstrated"}  # of what it was taught
    assert groups["chat"] >= lecture | harm | {"Explain", "Everyday", "Code"}
    assert not harm & groups["pocket"]


def prepared(folder: Path) -> Path:
    """Make an empty data folder and return its database."""
    database.prepare(database.file_in(folder))
    return database.file_in(folder)


def _writable(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    (folder / "probe").unlink()
    return True

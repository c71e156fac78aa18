"""The direction of imports, read from the syntax trees: app -> ui -> service -> alignment -> storage, never upward."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Records, errors and bounds without any work behind them: the page reads them, but works through services alone.
FOR_THE_PAGE = {
    "alignment/errors.py",
    "alignment/settings.py",
    "alignment/runs/findings.py",
    "alignment/runs/records.py",
    "storage/errors.py",
    "storage/messages.py",
    "storage/records.py",
}
# What each room may import besides itself. The order is that of docs/architecture.md, from the bottom up.
ROOMS: dict[str, set[str]] = {
    "storage": set(),
    "alignment": set(),
    "alignment/models": {"alignment", "storage/messages.py", "storage/version_folders.py"},
    "alignment/reward": {"alignment", "alignment/models", "storage/messages.py"},
    "alignment/learning": {"alignment", "alignment/models", "alignment/reward", "storage"},
    "alignment/serving": {"alignment", "alignment/models", "alignment/reward", "storage"},
    "alignment/runs": {
        *("alignment", "alignment/models", "alignment/reward", "alignment/learning", "alignment/serving", "storage"),
    },
    "service": {"alignment", "alignment/models", "alignment/reward", "alignment/runs", "alignment/serving", "storage"},
    "ui": {"service", *FOR_THE_PAGE},
    "api": {"service", "alignment/models/message_lists.py", *FOR_THE_PAGE},
    "recipes": {"alignment", "alignment/models", "alignment/reward", "alignment/learning", "alignment/runs", "storage"},
}
# Loading sets that the hub is never asked; a training process inherits the app's environment.
MAY_READ_ENVIRONMENT = ["alignment/models/loading.py", "alignment/runs/process.py"]
MODEL_LIBRARIES = {"torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "safetensors", "tokenizers"}
WEB_LIBRARIES = {"gradio", "fastapi", "starlette"}


def files(room: str) -> list[Path]:
    """Return the files of a room, without those of the rooms inside it."""
    inner = [ROOT / name for name in ROOMS if name.startswith(f"{room}/")]
    found = (ROOT / room).rglob("*.py")
    return sorted(path for path in found if not any(path.is_relative_to(folder) for folder in inner))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> set[str]:
    """Return all modules that a file imports anywhere in it, also inside functions: `a.b` and for `from a import b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}, line {node.lineno}: a relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported_files(path: Path) -> set[Path]:
    """Return the files of this repository that a file imports, packages left out."""
    places = (ROOT / module.replace(".", "/") for module in imports(path))
    return {place.with_suffix(".py") for place in places if place.with_suffix(".py").is_file()}


def packages(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(path)}


def room_of(path: Path) -> str:
    """Return the innermost room that a file is in, or its own name at the top."""
    name = name_of(path)
    return max((room for room in ROOMS if name.startswith(f"{room}/")), key=len, default=name)


def reachable(start: Path) -> set[Path]:
    """Return all files that are imported from a file on, directly or not."""
    found, left = {start}, [start]
    while left:
        new = imported_files(left.pop()) - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    allowed = ROOMS[room] | {room}
    assert files(room)
    found = {
        name_of(path): {
            name_of(other) for other in imported_files(path) if not {room_of(other), name_of(other)} & allowed
        }
        for path in files(room)
    }
    assert {name: others for name, others in found.items() if others} == {}


@pytest.mark.parametrize("room", ["storage", "service", "ui", "api"])
def test_the_page_services_and_storage_never_import_a_model_library(room: str) -> None:
    assert [name_of(path) for path in files(room) if packages(path) & MODEL_LIBRARIES] == []


def test_only_the_page_and_the_api_import_a_web_library() -> None:
    below = [room for room in ROOMS if room not in ("api", "ui")]
    assert [name_of(path) for room in below for path in files(room) if packages(path) & WEB_LIBRARIES] == []


def test_nothing_imports_the_app_or_the_recipes() -> None:
    others = [path for room in ROOMS if room != "recipes" for path in [ROOT / "app.py", *files(room)]]
    assert [name_of(path) for path in others if packages(path) & {"app", "recipes"}] == []


def test_tables_are_spoken_of_only_in_storage() -> None:
    others = [path for room in ROOMS if room != "storage" for path in files(room)] + [ROOT / "app.py"]
    assert [name_of(path) for path in others if "sqlite_utils" in packages(path)] == []


def test_the_web_process_never_imports_a_trainer() -> None:
    rooms = {name_of(path): room_of(path) for path in reachable(ROOT / "app.py")}
    assert "alignment/serving" in rooms.values()
    trainers = {name for name, room in rooms.items() if room == "alignment/learning"}
    assert trainers == {"alignment/learning/settings.py"}


def test_the_environment_is_read_in_the_app_only() -> None:
    def reads(path: Path) -> bool:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        return any(name in ("os.environ", "os.getenv") for name in names)

    assert reads(ROOT / "app.py")
    assert [name_of(path) for room in ROOMS for path in files(room) if reads(path)] == MAY_READ_ENVIRONMENT


def test_what_the_app_imports_before_the_page_loads_no_torch() -> None:
    check = f"import app, sys; print(*sorted({MODEL_LIBRARIES | {'gradio'}!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"

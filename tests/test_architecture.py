"""The direction of imports, read from the syntax trees: app -> ui -> alignment -> storage, never upward."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("app", "ui", "alignment", "storage")
MODEL_LIBRARIES = {"torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate", "safetensors", "tokenizers"}
USES_STORAGE = {
    *("alignment/job.py", "alignment/run_progress.py", "alignment/supervisor.py"),
    *("alignment/pocket/recipe.py", "alignment/pocket/comparisons.py"),
}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


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


def packages(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in imports(path)}


def offenders(folder: str, forbidden: set[str]) -> dict[str, set[str]]:
    return {name_of(path): bad for path in files(folder) if (bad := packages(path) & forbidden)}


@pytest.mark.parametrize("folder", LAYERS[1:])
def test_every_layer_has_files_to_check(folder: str) -> None:
    assert len(files(folder)) > 2


def test_the_page_never_imports_a_model_library() -> None:
    assert offenders("ui", MODEL_LIBRARIES) == {}


def test_storage_imports_neither_models_nor_the_page() -> None:
    assert offenders("storage", MODEL_LIBRARIES | {"gradio", "fastapi", "starlette", "alignment", "ui", "app"}) == {}


def test_alignment_imports_neither_gradio_nor_the_page() -> None:
    assert offenders("alignment", {"gradio", "fastapi", "starlette", "ui", "app"}) == {}


def test_nothing_imports_the_app() -> None:
    assert offenders("ui", {"app"}) == {}


def test_inside_alignment_only_runs_their_supervisor_and_simulated_votes_use_storage() -> None:
    assert set(offenders("alignment", {"storage"})) == USES_STORAGE


def test_tables_are_spoken_of_only_in_storage() -> None:
    assert offenders("alignment", {"sqlite3", "sqlite_utils"}) == {}
    assert offenders("ui", {"sqlite_utils"}) == {}
    assert packages(ROOT / "app.py") & {"sqlite3", "sqlite_utils"} == set()


def test_the_web_process_never_imports_a_trainer() -> None:
    trainers = {"job", "ppo", "ppo_math", "reward_model", "sft", "evaluation", "raft", "refit", "rollout", "run_models"}
    trainers |= {"run_stages", "token_log_probs", "rollout_metrics"}
    forbidden = {f"alignment.{name}" for name in trainers} | {"trl"}
    web = [ROOT / "app.py", *files("ui"), ROOT / "alignment/policy_server.py", ROOT / "alignment/supervisor.py"]
    assert {name_of(path): bad for path in web if (bad := imports(path) & forbidden)} == {}


def test_the_environment_is_read_in_the_app_only() -> None:
    def reads(path: Path) -> bool:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Subscript)]
        return any(name in ("os.getenv", "os.environ.get") or name.startswith("os.environ[") for name in names)

    assert reads(ROOT / "app.py")
    assert [name_of(path) for folder in LAYERS[1:] for path in files(folder) if reads(path)] == []


@pytest.mark.parametrize(
    "program",
    [
        "import alignment.policy_server, alignment.supervisor, storage.database",
        "import storage.demonstrations, storage.migrations, storage.policies, storage.preferences, storage.runs",
        "import alignment.adapters, alignment.model_folder, alignment.settings, alignment.pocket.facts",
    ],
)
def test_what_the_app_imports_before_the_page_loads_no_torch(program: str) -> None:
    check = f"{program}; import sys; print(*sorted({MODEL_LIBRARIES | {'gradio'}!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"

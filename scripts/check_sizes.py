"""Whether files and functions are short enough to be read at once: `python -m scripts.check_sizes`.

A file of code has at most 300 lines, a function at most 60, from `def` to its end, its docstring included. Only tables
may be longer: files in a folder named `tables` that hold nothing but imports and constants.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("app.py", "alignment", "service", "storage", "ui", "api", "recipes", "scripts")  # some may not be there yet
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60
TABLES = "tables"
CONSTANTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)


def files(root: Path) -> list[Path]:
    """Return the files of code under a root, in order."""
    places = [root / name for name in ROOMS]
    return [place for place in places if place.is_file()] + [file for p in places for file in sorted(p.rglob("*.py"))]


def is_table(path: Path, tree: ast.Module) -> bool:
    """Return whether a file is one of words alone: in a folder `tables`, without a function, class or statement."""
    body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    computes = any(isinstance(node, ast.Lambda) for node in ast.walk(tree))
    return path.parent.name == TABLES and not computes and all(isinstance(node, CONSTANTS) for node in body)


def offenders(path: Path, name: str) -> Iterator[str]:
    """Yield a sentence about a file that is too long, and one about each function of it that is."""
    text = path.read_text(encoding="utf-8")
    tree, lines = ast.parse(text), len(text.splitlines())
    if lines > MAX_FILE_LINES and not is_table(path, tree):
        yield f"{name}: {lines} lines, at most {MAX_FILE_LINES}; split it by job"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}"


def main(root: Path = ROOT) -> None:
    """Print what is too long; exit with status 1 if anything is."""
    found = [line for path in files(root) for line in offenders(path, path.relative_to(root).as_posix())]
    print("\n".join(found) or "All files and functions are short enough.")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

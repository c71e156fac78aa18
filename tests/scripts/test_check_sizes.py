"""What `make lint` says of files and functions that are too long."""

from pathlib import Path

import pytest

from scripts.check_sizes import files, main

TABLE = '"""Words."""\n\nfrom collections.abc import Mapping\n\nWORDS: Mapping[str, str] = {}\n' + "A = 1\n" * 300


def written(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def function(name: str, lines: int, before: str = "") -> str:
    return f"{before}def {name}():\n" + "    pass\n" * (lines - 1)


def test_files_and_functions_of_exactly_the_limit_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "app.py", "A = 1\n" * 300)
    written(tmp_path, "storage/one.py", function("whole", 60) + function("other", 60, "async "))
    main(tmp_path)
    assert capsys.readouterr().out == "All files and functions are short enough.\n"


def test_what_is_too_long_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "app.py", "A = 1\n" * 301)
    written(tmp_path, "alignment/deep/one.py", "A = 1\n" + function("long", 61, "async "))
    inner = "class Outer:\n    def method(self):\n" + "        pass\n" * 60
    written(tmp_path, "ui/two.py", inner)
    with pytest.raises(SystemExit, match="1"):
        main(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "app.py: 301 lines, at most 300; split it by job",
        "alignment/deep/one.py:2: long has 61 lines, at most 60",
        "ui/two.py:2: method has 61 lines, at most 60",
    ]


def test_only_a_table_may_be_long_and_code_in_its_folder_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, "recipes/pocket/tables/words.py", TABLE)
    main(tmp_path)
    written(tmp_path, "recipes/pocket/words.py", TABLE)
    for number, code in enumerate((function("f", 3), "class A:\n    pass\n", "print(WORDS)\n", "B = lambda: 1\n")):
        written(tmp_path, f"recipes/pocket/tables/code{number}.py", TABLE + code)
    with pytest.raises(SystemExit):
        main(tmp_path)
    said = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert said == [f"recipes/pocket/tables/code{number}.py" for number in range(4)] + ["recipes/pocket/words.py"]


def test_every_room_is_looked_at() -> None:
    names = {path.as_posix().partition("/")[0] for path in (file.relative_to(Path.cwd()) for file in files(Path.cwd()))}
    assert {"app.py", "alignment", "storage", "ui", "recipes"} <= names

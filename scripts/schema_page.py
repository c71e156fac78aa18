"""Writes docs/schema.md from a database that the migrations have made; `--check` fails if the file says something else.

`python -m scripts.schema_page` writes it, `python -m scripts.schema_page --check` is part of `make lint`.
"""

import tempfile
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.db import Table

from scripts.made_page import write_or_check
from storage import database
from storage.later_migrations import migrations

PAGE = Path(__file__).parents[1] / "docs" / "schema.md"
INTRODUCTION = """\
# The database

This page is generated from the migrations: add one in `storage/later_migrations.py`, then run
`python -m scripts.schema_page`.

Everything is in `triptych.db` in the data folder, an SQLite file in WAL mode; beside it lie the adapters of versions
and the folders of runs. Datasette and `sqlite-utils` open it as it is, also while the app runs:

```
datasette serve data/triptych.db
sqlite-utils rows data/triptych.db pairs --limit 3
```

Read it freely, but write through the app. Times are ISO 8601 in UTC; lists and settings are JSON. A vote counts while
`withdrawn` and `left_out` are null, its annotator's `left_out` too. The view `pairs` shows votes as chosen and
rejected.
"""
HIDDEN = ("sqlite_", "_sqlite")


def page() -> str:
    """Return the text of docs/schema.md."""
    with tempfile.TemporaryDirectory() as folder:
        path = database.file_in(Path(folder))
        database.prepare(path)
        with database.read(path) as db:
            tables = [table for table in db.tables if not table.name.startswith(HIDDEN)]
            parts = [INTRODUCTION, *(_table(table) for table in sorted(tables, key=lambda one: one.name))]
            parts += ["## Views\n", *(_view(db, name) for name in sorted(db.view_names()))]
    return "\n".join([*parts, _steps()])


def _table(table: Table) -> str:
    to = {key.column: f"`{key.other_table}.{key.other_column}`" for key in table.foreign_keys}
    rows = [
        f"| `{column.name}` | {column.type.lower()} | {_marks(column.is_pk, column.notnull, to.get(column.name))} |"
        for column in table.columns
    ]
    return "\n".join([f"## {table.name}\n", "| Column | Type | |", "|---|---|---|", *rows]) + "\n"


def _marks(key: int, required: int, target: str | None) -> str:
    marks = ["key" if key else "", "never null" if required and not key else "", f"→ {target}" if target else ""]
    return ", ".join(mark for mark in marks if mark)


def _view(db: Database, name: str) -> str:
    columns = ", ".join(f"`{column.name}`" for column in db[name].columns)
    return f"`{name}`: {columns}\n"


def _steps() -> str:
    """Return the migrations in the order of their numbers, each with the first sentence of what it says of itself."""
    with database.read(Path(":memory:")) as empty:
        steps = {step.name: (step.fn.__doc__ or "").split(". ")[0] for step in migrations.pending(empty)}
    rows = [f"| `{name}` | {' '.join(steps[name].split()).rstrip('.')} |" for name in sorted(steps)]
    return "\n".join(["## Steps\n", "| Migration | What it does |", "|---|---|", *rows]) + "\n"


def main() -> None:
    """Write the page, or check it."""
    write_or_check(PAGE, page, about=__doc__ or "", source="migrations", script="scripts.schema_page")


if __name__ == "__main__":
    main()

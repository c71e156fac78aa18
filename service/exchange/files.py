"""Rows in files: JSON lines, a JSON list or Parquet, read and written a few at a time, however long the file is."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

from alignment.errors import ConfigError
from service.exchange.rows import Form, Row, What, schema

Format = Literal["jsonl", "parquet"]
LONGEST_ROW = 8_000_000  # characters; what is longer is no row, and a file without line ends is not read whole
AT_ONCE = 500  # rows
READ_AHEAD = 16_384  # characters of a JSON list
ENDINGS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".parquet")
SPACE = " \t\r\n"


@dataclass(frozen=True)
class Found:
    """What stands at one place of a file."""

    place: int  # its line, or its number in a list or a table, from 1
    row: Any  # None where it could not be read
    problem: str  # why it could not be read, "" if it was
    progress: float  # how much of the file has been read, 0 to 1


def write_rows(path: Path, rows: Iterable[Row], what: What, form: Form, kind: Format) -> int:
    """Write rows into a file and return how many there were."""
    count = 0
    if kind == "jsonl":
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        return count
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(what, form)
    with pq.ParquetWriter(path, columns) as writer:
        left = iter(rows)
        while some := list(islice(left, AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(some, columns))
            count += len(some)
    return count


def read_rows(path: Path, name: str) -> Iterator[Found]:
    """Yield what a file holds, a row at a time; `name` is what its owner calls it, whose ending says how to read it.

    Raises ConfigError for a file that is not what its ending says.
    """
    lower = name.lower()
    if not lower.endswith(ENDINGS):
        raise ConfigError(f"the file must end in {', '.join(ENDINGS)}, got {name!r}; convert or rename it")
    if lower.endswith(".parquet"):
        return _parquet(path, name)
    return _json(path, name)


def _parquet(path: Path, name: str) -> Iterator[Found]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            total, place = file.metadata.num_rows, 0
            for some in file.iter_batches(AT_ONCE):
                for row in some.to_pylist():
                    place += 1
                    yield Found(place, row, "", place / total)
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{name} cannot be read as Parquet ({str(error).splitlines()[0]}); write it again") from error


def _json(path: Path, name: str) -> Iterator[Found]:
    size = max(path.stat().st_size, 1)
    try:
        with path.open("rb") as raw:
            whole: Any = gzip.GzipFile(fileobj=raw) if name.lower().endswith(".gz") else raw
            text = io.TextIOWrapper(whole, encoding="utf-8-sig", newline="\n")
            listed = _is_list(text)
            for place, row, problem in _listed(text) if listed else _lines(text):
                yield Found(place, row, problem, min(raw.tell() / size, 1.0))
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise ConfigError(
            f"{name} cannot be read as text in UTF-8 ({error}); save it again in that encoding"
        ) from error


def _is_list(text: IO[str]) -> bool:
    """Return whether a JSON list stands at the beginning; the file is at its beginning again."""
    start = text.read(1000).lstrip(SPACE)[:1]
    text.seek(0)
    return start == "["


def _lines(text: IO[str]) -> Iterator[tuple[int, Any, str]]:
    place = 0
    while line := text.readline(LONGEST_ROW):
        place += 1
        if len(line) == LONGEST_ROW and not line.endswith("\n"):
            while (rest := text.readline(LONGEST_ROW)) and not rest.endswith("\n"):
                pass
            yield place, None, f"the line has more than {LONGEST_ROW:,} characters"
        elif line.strip():
            try:
                yield place, json.loads(line), ""
            except (ValueError, RecursionError) as error:
                yield place, None, f"the line is not JSON ({str(error).partition(':')[0]})"


def _listed(text: IO[str]) -> Iterator[tuple[int, Any, str]]:
    """Yield the items of a JSON list without holding more than one of them and what was read ahead."""
    decoder = json.JSONDecoder()
    held, place = text.read(READ_AHEAD).lstrip(SPACE)[1:], 0
    while True:
        held = held.lstrip(SPACE + ",")
        if held.startswith("]"):
            return
        try:
            row, end = decoder.raw_decode(held)
        except (ValueError, RecursionError) as error:
            more = text.read(max(READ_AHEAD, len(held)))
            if not more or len(held) > LONGEST_ROW:
                yield place + 1, None, f"from here on the file is not JSON ({str(error).partition(':')[0]})"
                return
            held += more
            continue
        place += 1
        yield place, row, ""
        held = held[end:]

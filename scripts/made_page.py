"""A page of the docs that a script makes: written, or checked with `--check`."""

import argparse
from collections.abc import Callable
from pathlib import Path


def write_or_check(path: Path, page: Callable[[], str], *, about: str, source: str, script: str) -> None:
    """Write a page, or with `--check` exit with a sentence where the file is another one.

    `about` is the help of the command line, `source` what the page is made from, `script` the module that makes it.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    if not parser.parse_args().check:
        path.write_text(page(), encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != page():
        raise SystemExit(f"{path} is not what the {source} say; run: python -m {script}")

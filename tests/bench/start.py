"""How long a start takes: the page served, the first word of an answer; and the memory then. Prints JSON.

`python -m tests.bench.start` starts the app on a new data folder, where the model is converted first, and once more on
the same one. Other programs on the machine count too: run it alone, or with `nice -n -19` before it.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from gradio_client import Client

from tests.harness.app import running_app


def first_word(url: str) -> None:
    """Ask for three answers, and return once a word of one is there."""
    for shown in Client(url, verbose=False).submit("Hi, who are you?", api_name="/compare"):
        if any(one["text"] for one in shown["completions"]):
            return


def start(data_dir: Path, model: str) -> dict[str, Any]:
    """Return the seconds of one start, and the megabytes of the app after its first word."""
    began = time.monotonic()
    with running_app(data_dir, *(["--model", model] if model else [])) as app:
        httpx.get(app.url).raise_for_status()
        page = time.monotonic() - began
        first_word(app.url)
        seconds = time.monotonic() - began
        memory = psutil.Process(app.process.pid).memory_info().rss
    return {
        "page_seconds": round(page, 1),
        "first_word_seconds": round(seconds, 1),
        "memory_mb": round(memory / 1e6),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="default: what make run starts with")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {name: start(Path(folder), arguments.model) for name in ("first start", "later start")}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

"""Ask sixty everyday prompts through the endpoints, with the model's own sampling, and write down what came.

`make bench-everyday` asks the model that `make run` starts with; `ARGS="--model NAME"` another one. The table goes to
build/everyday.md. Nothing in it is judged by this program but what can be counted: a person has to read it.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from gradio_client import Client

from tests.harness.app import ROOT, running_app
from tests.harness.endpoints import wait_for

HERE = Path(__file__).parent
FILES = ("everyday.txt", "everyday_by_a_reader.txt")  # thirty prompts each, one a line
DEBRIS = re.compile(r"<\|?\w+\|?>|\[/?INST\]|^\s*(user|assistant|system)\s*$", re.MULTILINE)
NAMES = ("Zelda", "Tom", "Anna", "Peter", "Maria")
TELLINGS = ("My name is {}. Please remember it.", "Hi, I'm {}! Nice to meet you.")
SHOWN_CHARACTERS = 280


def prompts() -> list[str]:
    """Return all prompts, in the order of the files."""
    return [line for name in FILES for line in (HERE / name).read_text(encoding="utf-8").splitlines() if line]


def ask(client: Client, prompt: str, seed: int, **more: Any) -> dict[str, Any]:
    """Return the finished comparison of three panels."""
    reply: dict[str, Any] = client.predict(prompt=prompt, seed=seed, api_name="/compare", **more)
    return reply


def knows_the_name(client: Client, telling: str, name: str, seed: int, length: int | None) -> bool:
    """Return whether the instruction-tuned model says a name that was told in the turn before."""
    first = ask(client, telling.format(name), seed, max_new_tokens=length)
    more = {"conversation_id": first["conversation_id"], "continue_from": "B", "max_new_tokens": length}
    return name in ask(client, "What is my name?", seed, **more)["completions"][1]["text"]


def cell(completion: dict[str, Any]) -> str:
    """Return what a panel wrote as a cell of a Markdown table."""
    text = re.sub(r"\s+", " ", completion["text"]).strip().replace("|", "\\|").replace("<", "&lt;")
    cut = text[:SHOWN_CHARACTERS] + (" …" if len(text) > SHOWN_CHARACTERS else "")
    return cut + ("" if completion["finish_reason"] == "stop" else f" *({completion['tokens']} tokens, cut off)*")


def summary(replies: Sequence[dict[str, Any]]) -> list[str]:
    """Return lines on what can be counted."""
    lines = ["| | raw continuation | instruction-tuned | policy |", "|---|---|---|---|"]
    panels = [[reply["completions"][place] for reply in replies] for place in range(3)]

    def row(name: str, values: Sequence[object]) -> None:
        lines.append(f"| {name} | " + " | ".join(map(str, values)) + " |")

    row("ended by itself", [sum(one["finish_reason"] == "stop" for one in panel) for panel in panels])
    row("more than four words", [sum(len(one["text"].split()) > 4 for one in panel) for panel in panels])
    row("debris of a template", [sum(bool(DEBRIS.search(one["text"])) for one in panel) for panel in panels])
    row("tokens, median", [statistics.median(one["tokens"] for one in panel) for panel in panels])
    return lines


def write(output: Path, replies: Sequence[dict[str, Any]], known: Sequence[bool]) -> None:
    """Write what has been answered so far, so that a run that is cut off leaves its part."""
    told = f"A name told in one turn is said in the next in {sum(known)} of {len(known)} conversations."
    lines = [*summary(replies), "", told, ""]
    lines += ["| prompt | raw continuation | instruction-tuned | policy |", "|---|---|---|---|"]
    for prompt, reply in zip(prompts(), replies, strict=False):
        lines.append(f"| {prompt} | " + " | ".join(map(cell, reply["completions"])) + " |")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Ask, count, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="", help="as --model of app.py; that of a new data folder unless given")
    parser.add_argument("--length", type=int, help="most tokens of an answer (default: the model's own)")
    parser.add_argument("--seed", type=int, default=7, help="of each comparison")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "everyday.md")
    arguments = parser.parse_args()
    more = ["--model", arguments.model] if arguments.model else []
    with tempfile.TemporaryDirectory() as folder, running_app(Path(folder), *more) as app:
        client = wait_for(lambda: Client(app.url, verbose=False), "the page")
        started, replies = time.monotonic(), []
        for prompt in prompts():
            replies.append(ask(client, prompt, arguments.seed, max_new_tokens=arguments.length))
            write(arguments.output, replies, [])
            print(f"{time.monotonic() - started:6.0f} s  {prompt[:70]}", flush=True)
        known = []
        for telling, name in product(TELLINGS, NAMES):
            known.append(knows_the_name(client, telling, name, arguments.seed, arguments.length))
            write(arguments.output, replies, known)
    print(arguments.output.read_text(encoding="utf-8")[:800], f"\nwritten to {arguments.output}")


if __name__ == "__main__":
    main()

"""Ask sixty everyday prompts through the endpoints, with the model's own sampling, and write down what came.

`make bench-everyday` asks the model that `make run` starts with; `ARGS="--model NAME"` another one. `--together`
decodes all prompts in one batch without the app, which takes minutes instead of half an hour; the policy is then left
out. The table goes to build/everyday.md. Nothing in it is judged by this program but what can be counted: a person has
to read it.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from gradio_client import Client

from alignment.models import catalogue, loading
from alignment.models.catalogue import ModelChoice
from alignment.models.generation import generate
from storage.messages import Message, Messages, one_turn
from tests.harness.app import ROOT, running_app
from tests.harness.endpoints import wait_for

HERE = Path(__file__).parent
FILES = ("everyday.txt", "everyday_by_a_reader.txt")  # thirty prompts each, one a line
DEBRIS = re.compile(r"<\|?\w+\|?>|\[/?INST\]|^\s*(user|assistant|system)\s*$", re.MULTILINE)
NAMES = ("Zelda", "Tom", "Anna", "Peter", "Maria")
TELLINGS = ("My name is {}. Please remember it.", "Hi, I'm {}! Nice to meet you.")
SHOWN_CHARACTERS = 280
PANELS = ("raw continuation", "instruction-tuned", "policy")


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
    shown = PANELS[: len(replies[0]["completions"])]
    lines = [f"| | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    panels = [[reply["completions"][place] for reply in replies] for place in range(len(shown))]

    def row(name: str, values: Sequence[object]) -> None:
        lines.append(f"| {name} | " + " | ".join(map(str, values)) + " |")

    row("ended by itself", [sum(one["finish_reason"] == "stop" for one in panel) for panel in panels])
    row("more than four words", [sum(len(one["text"].split()) > 4 for one in panel) for panel in panels])
    row("debris of a template", [sum(bool(DEBRIS.search(one["text"])) for one in panel) for panel in panels])
    row("tokens, median", [statistics.median(one["tokens"] for one in panel) for panel in panels])
    return lines


def together(name: str, seed: int, length: int | None) -> tuple[list[dict[str, Any]], list[bool]]:
    """Return the replies of raw continuation and instruction-tuned model, and whether it knew each name."""
    found = catalogue.resolve(ModelChoice(name or "smollm2-135m"), ROOT / "build", online=False)
    model, tokenizer = loading.load_model(found.config)
    sampling = replace(found.sampling, max_new_tokens=length or found.sampling.max_new_tokens)

    def written(asked: Sequence[Messages], *, templated: bool) -> list[dict[str, Any]]:
        rows = [tokenizer.prompt_ids(messages, templated=templated) for messages in asked]
        drawn = generate(model, tokenizer, rows, sampling, [seed] * len(rows), templated=templated)
        return [
            {
                "text": tokenizer.decode(one.token_ids),
                "tokens": len(one.token_ids),
                "finish_reason": one.finish_reason,
            }
            for one in drawn
        ]

    asked = [one_turn(prompt) for prompt in prompts()]
    panels = [written(asked, templated=templated) for templated in (False, True)]
    told = [(one_turn(telling.format(name)), name) for telling, name in product(TELLINGS, NAMES)]
    heard = written([messages for messages, _ in told], templated=True)
    second = [
        (*messages, Message("assistant", answer["text"]), Message("user", "What is my name?"))
        for (messages, _), answer in zip(told, heard, strict=True)
    ]
    said = written(second, templated=True)
    known = [name in answer["text"] for (_, name), answer in zip(told, said, strict=True)]
    return [{"completions": list(pair)} for pair in zip(*panels, strict=True)], known


def write(output: Path, replies: Sequence[dict[str, Any]], known: Sequence[bool]) -> None:
    """Write what has been answered so far, so that a run that is cut off leaves its part."""
    told = f"A name told in one turn is said in the next in {sum(known)} of {len(known)} conversations."
    lines = [*summary(replies), "", told, ""]
    shown = PANELS[: len(replies[0]["completions"])]
    lines += [f"| prompt | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
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
    parser.add_argument("--together", action="store_true", help="decode all prompts in one batch, without the app")
    arguments = parser.parse_args()
    if arguments.together:
        write(arguments.output, *together(arguments.model, arguments.seed, arguments.length))
        print(arguments.output.read_text(encoding="utf-8")[:800], f"\nwritten to {arguments.output}")
        return
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

"""Servers that speak OpenAI's API, asked the same in turns: tokens a second and time to the first text.

Start each by hand, one model in all of them, then for example

    python -m tests.bench.openai_servers --tokenizer FOLDER triptych=http://127.0.0.1:7860=sft other=http://127.0.0.1:8000=NAME

Each person asks one question, all at once; the answers' tokens are counted with one tokenizer. Medians of `REPEATS`
rounds, in each of which every server is asked once. Prints a table.
"""

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import dataclass

import httpx
from transformers import AutoTokenizer

PEOPLE, REPEATS, TOKENS = (1, 4, 16), 3, 48


@dataclass(frozen=True)
class Server:
    """Where one listens, and what it calls the model."""

    name: str
    url: str
    model: str


async def answered(client: httpx.AsyncClient, server: Server, number: int, tokens: int) -> tuple[str, float]:
    """Return the text of an answer and the seconds to its first piece."""
    asked = {
        "model": server.model,
        "messages": [{"role": "user", "content": f"Tell me a story about {number} foxes in a library."}],
        "max_tokens": tokens,
        "temperature": 0.7,
        "stream": True,
    }
    began, first, text = time.monotonic(), 0.0, ""
    async with client.stream("POST", f"{server.url}/v1/chat/completions", json=asked) as stream:
        stream.raise_for_status()
        async for line in stream.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            for choice in json.loads(line.removeprefix("data: ")).get("choices", []):
                text += choice["delta"].get("content") or ""
            first = first or (time.monotonic() - began if text else 0.0)
    return text, first


async def together(server: Server, people: int, tokens: int) -> tuple[list[str], float, float]:
    """Return (texts, seconds until all had ended, median seconds to the first piece) of so many people at once."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(600.0), trust_env=False) as client:
        began = time.monotonic()
        met = await asyncio.gather(*(answered(client, server, number + 2, tokens) for number in range(people)))
        return [text for text, _ in met], time.monotonic() - began, statistics.median(first for _, first in met)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", help="name=address=model")
    parser.add_argument("--tokenizer", required=True, help="folder of the checkpoint that all of them serve")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    arguments = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    servers = [Server(*one.split("=")) for one in arguments.servers]
    for server in servers:
        asyncio.run(together(server, 1, 8))  # it is warm now
    print("| server | people | tokens a second | first text, median |\n|---|---|---|---|")
    for people in PEOPLE:
        rates: dict[str, list[float]] = {server.name: [] for server in servers}
        firsts: dict[str, list[float]] = {server.name: [] for server in servers}
        for _ in range(REPEATS):
            for server in servers:
                texts, seconds, first = asyncio.run(together(server, people, arguments.tokens))
                written = sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
                rates[server.name].append(written / seconds)
                firsts[server.name].append(first)
        for name in rates:
            rate, first = statistics.median(rates[name]), statistics.median(firsts[name])
            print(f"| {name} | {people} | {rate:.0f} | {first:.2f} s |", flush=True)


if __name__ == "__main__":
    main()

"""Tokens a second of three panels beside plain decoding of three rows by the same weights, and by precision and rows.

`make bench-panels` takes the model that `make run` starts with; `ARGS="--model NAME"` another one. Both sides decode in
one process, in turn; what is printed are medians.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from alignment.models import catalogue, loading, model_folder
from alignment.models.catalogue import ModelChoice
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.conversion import ensure_converted
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.sampling import Sampling
from alignment.serving.engine import Row, policy_version_at
from alignment.serving.loaded import LoadedModel
from alignment.serving.open_rows import OpenRows
from storage.messages import one_turn
from storage.version_folders import publish

QUESTION = one_turn("Tell me a long story about a fox who lives in a library.")
ROUNDS, STEPS, WARM_UP = 5, 40, 5
ROWS = (1, 3, 16)


def rate(step: Callable[[], Any], rows: int, steps: int = STEPS) -> float:
    """Return the tokens a second of a function that writes one token of each row."""
    for _ in range(WARM_UP):
        step()
    started = time.monotonic()
    for _ in range(steps):
        step()
    return rows * steps / (time.monotonic() - started)


def panels(model: LoadedModel) -> float:
    """Return the rate of raw continuation, instruction-tuned model and policy, as the page asks them."""
    sampling = Sampling(0.7, 10 * STEPS)
    rows = [Row(QUESTION, None, templated, sampling, seed) for seed, templated in enumerate((False, True, True))]
    open_rows = OpenRows(model)
    answer = open_rows.begin(rows)
    open_rows.read_on(answer, 10_000)
    open_rows.join(answer)
    return rate(open_rows.step, 3)


def plain(model: Any, tokenizer: ChatTokenizer, rows: int = 3) -> float:
    """Return the rate of plain decoding by `generate` of transformers: three rows of the same prompt."""
    ids = torch.tensor([tokenizer.prompt_ids(QUESTION)] * rows)
    settings = {
        "do_sample": True,
        "temperature": 0.7,
        "top_k": 0,
        "eos_token_id": tokenizer.end_id,
        "pad_token_id": tokenizer.pad_id,
    }
    times = []
    for length in (WARM_UP, WARM_UP + STEPS):  # the difference leaves the prompt out
        started = time.monotonic()
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=length, min_new_tokens=length, **settings
        )
        times.append(time.monotonic() - started)
    return rows * STEPS / (times[1] - times[0])


def by_precision(folder: str) -> dict[str, dict[int, float]]:
    """Return the rate by precision and number of rows."""
    rates: dict[str, dict[int, float]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        model, tokenizer = loading.load_checkpoint(folder, dtype=dtype)
        rates[str(dtype)] = {}
        for rows in ROWS:
            batch = DecodingBatch(model, tokenizer.pad_id)
            prompt = tuple(tokenizer.prompt_ids(QUESTION))
            batch.add([DecodingRow(row, prompt, Sampling(0.7, 10 * STEPS), row) for row in range(rows)])
            rates[str(dtype)][rows] = round(rate(batch.step, rows, 20), 1)
    return rates


def write_unchanged(target: Path) -> None:
    """Write a version that is the chat checkpoint itself."""
    (target / model_folder.UNCHANGED).write_text("{}", encoding="utf-8")


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m", help="as --model of app.py; a chat checkpoint")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = catalogue.resolve(ModelChoice(arguments.model), Path(folder))
        ensure_converted(found.config)
        first = publish(Path(folder), 1, write_unchanged)
        served = LoadedModel(found.config, policy_version_at(1, *first))
        model, tokenizer = loading.load_model(found.config)
        pairs = [(panels(served), plain(model, tokenizer)) for _ in range(ROUNDS)]
        three, alone = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(
            json.dumps(
                {
                    "model": found.name,
                    "dtype": str(model.dtype),
                    "three panels, tokens a second": round(three, 1),
                    "plain three rows, tokens a second": round(alone, 1),
                    "ratio": round(ratio, 2),
                    "by precision and rows": by_precision(found.config.model),
                },
                indent=2,
            )
        )


if __name__ == "__main__":
    main()

"""What decoding and training rely on holds for every architecture, not for Llama alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.models import architecture
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.generation import Generated, generate
from alignment.models.loading import load_checkpoint
from alignment.models.log_probs import completion_log_probs
from alignment.models.samples import padded_samples
from alignment.models.sampling import Sampling
from storage.messages import one_turn
from tests.harness.architectures import CONFIGS, write_checkpoint

Loaded = tuple[Any, ChatTokenizer]
LENGTH = 20  # with its prompt, a row is longer than the sliding windows are
SHORT, LONG = "Hi", "What is the capital city of France, and what is that of Spain?"


@pytest.fixture(scope="module", params=CONFIGS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("checkpoint") / request.param
    write_checkpoint(request.param, folder)
    return folder


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Loaded:
    return load_checkpoint(checkpoint)


def by_transformers(loaded: Loaded, prompt: list[int]) -> list[int]:
    """Return what `generate` of transformers writes greedily, alone in its batch."""
    model, tokenizer = loaded
    written = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=LENGTH,
        do_sample=False,
        pad_token_id=tokenizer.pad_id,
        eos_token_id=sorted(tokenizer.end_ids),
    )
    return list(written[0, len(prompt) :].tolist())


def test_rows_of_different_length_are_written_as_each_is_alone(loaded: Loaded) -> None:
    model, tokenizer = loaded
    prompts = [tokenizer.prompt_ids(one_turn(text)) for text in (SHORT, LONG, "And you?")]
    written = generate(model, tokenizer, prompts, Sampling(0.0, LENGTH), [0] * 3)
    assert [one.token_ids for one in written] == [by_transformers(loaded, prompt) for prompt in prompts]


def test_rows_that_join_and_leave_change_no_others(loaded: Loaded) -> None:
    model, tokenizer = loaded
    texts = {0: SHORT, 1: LONG, 2: "And you?", 3: LONG * 2}
    prompts = {row: tuple(tokenizer.prompt_ids(one_turn(text))) for row, text in texts.items()}
    rows = {row: DecodingRow(row, prompt, Sampling(0.0, LENGTH), seed=0) for row, prompt in prompts.items()}
    written: dict[int, list[int]] = {row: [] for row in rows}
    batch = DecodingBatch(model, tokenizer.pad_id)
    joins: dict[int, Callable[[], None]] = {
        0: lambda: batch.add([rows[0], rows[1]]),
        4: lambda: batch.add([rows[2]]),
        9: lambda: batch.add([rows[3]]),
    }
    for step in range(40):
        joins.get(step, lambda: None)()
        for row, token in batch.step().items():
            written[row].append(token)
        batch.drop(
            [row for row, ids in written.items() if len(ids) == LENGTH or (ids and ids[-1] in tokenizer.end_ids)]
        )
    for row, prompt in prompts.items():
        assert written[row] == by_transformers(loaded, list(prompt)), row


def test_a_prompt_that_is_read_in_parts_is_continued_as_one_that_is_read_at_once(loaded: Loaded) -> None:
    model, tokenizer = loaded
    prompts = [tuple(tokenizer.prompt_ids(one_turn(text))) for text in (SHORT, LONG)]
    batch = DecodingBatch(model, tokenizer.pad_id)
    rows = [DecodingRow(row, prompt, Sampling(0.0, LENGTH), seed=0) for row, prompt in enumerate(prompts)]
    reading = batch.begin(rows)
    while not reading.done:
        batch.read_on(reading, 10)
    batch.join(reading.held())
    written: dict[int, list[int]] = {0: [], 1: []}
    for _ in range(LENGTH):
        for row, token in batch.step().items():
            written[row].append(token)
    for row, prompt in enumerate(prompts):
        expected = by_transformers(loaded, list(prompt))
        assert written[row][: len(expected)] == expected, row


def test_log_probabilities_are_those_of_the_models_own_logits(loaded: Loaded) -> None:
    model, tokenizer = loaded
    prompts = [tokenizer.prompt_ids(one_turn(text)) for text in (SHORT, LONG)]
    completions = [tokenizer.completion_ids(text) for text in ("Hello there, how are you?", "Paris.")]
    rows = [Generated(ids, "stop") for ids in completions]
    samples = padded_samples(prompts, rows, tokenizer.pad_id, torch.device("cpu"))
    with torch.no_grad():
        log_probs = completion_log_probs(model, samples, temperature=0.8)
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
            own = (logits / 0.8).log_softmax(-1).gather(-1, torch.tensor(completion)[:, None]).squeeze(-1)
            torch.testing.assert_close(log_probs[row, : len(completion)], own, atol=1e-4, rtol=0)


def test_sizes_are_found_where_the_architecture_keeps_them(loaded: Loaded) -> None:
    model, _ = loaded
    assert architecture.context_tokens(model) == 256
    assert architecture.hidden_size(model) == 32
    assert architecture.vocabulary_size(model) == model.get_output_embeddings().weight.shape[0]


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_quantized_weights_write_too(checkpoint: Path, quantize: Any) -> None:
    model, tokenizer = load_checkpoint(checkpoint, quantize)
    kinds = {type(module).__name__ for module in architecture.trunk(model).modules()}
    assert {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[quantize] in kinds
    (written,) = generate(model, tokenizer, [tokenizer.prompt_ids(one_turn(SHORT))], Sampling(0.0, 4), [0])
    assert written.token_ids

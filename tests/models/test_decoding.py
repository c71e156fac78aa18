"""Rows that are decoded together: they join and leave between steps, and none of them notices."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.models import adapters
from alignment.models.adapters import using
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.generation import generate
from alignment.models.routing import BASE, StackedAdapters
from alignment.models.sampling import Sampling

Tiny = tuple[PeftModel, AutoTokenizer]
GREEDY = Sampling(0.0, 20)
PROMPTS = [(1, 5, 6, 7), (1, 9), (1, *range(20, 45)), (1, 9, 9), tuple(range(100, 110))]
NAMES = ["sft", BASE, "other", "sft", BASE]


def _row(i: int, sampling: Sampling = GREEDY, adapter: str | None = None) -> DecodingRow:
    return DecodingRow(i, PROMPTS[i], sampling, seed=40 + i, adapter=NAMES[i] if adapter is None else adapter)


def _write(batch: DecodingBatch, steps: int, texts: dict[int, list[int]]) -> None:
    for _ in range(steps):
        for row, token in batch.step().items():
            texts.setdefault(row, []).append(token)


def _alone(model: PeftModel, row: DecodingRow, steps: int) -> list[int]:
    texts: dict[int, list[int]] = {}
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add([row])
    _write(batch, steps, texts)
    return texts[row.id]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.9, 20), Sampling(1.5, 20, min_p=0.1)])
def test_rows_that_join_and_leave_in_the_middle_are_written_as_they_are_alone(tiny: Tiny, sampling: Sampling) -> None:
    model, texts = tiny[0], {}
    rows = [_row(i, sampling) for i in range(5)]
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add(rows[:2])
    _write(batch, 3, texts)
    batch.add([rows[2]])  # longer than the others with all that they have written
    _write(batch, 4, texts)
    batch.drop([0])
    batch.add(rows[3:])  # shorter
    _write(batch, 2, texts)
    batch.drop([2, 4])  # the longest leaves
    _write(batch, 5, texts)
    batch.drop([1])
    _write(batch, 1, texts)
    assert {i: len(text) for i, text in texts.items()} == {0: 7, 1: 14, 2: 6, 3: 8, 4: 2}
    assert texts == {row.id: _alone(model, row, len(texts[row.id])) for row in rows}
    assert len(batch) == 1
    batch.drop([3])
    assert len(batch) == 0
    assert batch.step() == {}


def test_a_batch_begins_anew_once_all_rows_have_left(tiny: Tiny) -> None:
    model, texts = tiny[0], {}
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add([_row(0), _row(1)])
    _write(batch, 3, {})
    batch.drop([0, 1])
    batch.add([_row(0)])
    _write(batch, 5, texts)
    assert texts == {0: _alone(model, _row(0), 5)}


def test_rows_of_different_settings_are_each_drawn_by_their_own(tiny: Tiny) -> None:
    model, texts = tiny[0], {}
    settings = [GREEDY, Sampling(0.7, 8), Sampling(2.0, 12, min_p=0.05), Sampling(1.0, 20), GREEDY]
    rows = [_row(i, sampling) for i, sampling in enumerate(settings)]
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add(rows)
    _write(batch, 8, texts)
    assert texts == {row.id: _alone(model, row, 8) for row in rows}


def test_a_batch_without_stacked_adapters_goes_through_the_active_one(tiny: Tiny) -> None:
    model, tokenizer = tiny
    for name in ("sft", "other"):
        texts: dict[int, list[int]] = {}
        with using(model, name):
            batch = DecodingBatch(model, 0)
            batch.add([_row(0, Sampling(0.0, 6))])
            _write(batch, 6, texts)
            expected = generate(model, tokenizer, [PROMPTS[0]], Sampling(0.0, 6), [0])[0].token_ids
        assert texts[0][: len(expected)] == expected == _alone(model, _row(0, adapter=name), 6)[: len(expected)]


def test_prompts_are_read_once_for_rows_that_share_them_through_the_same_adapter(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, texts = tiny[0], {}
    passed: list[int] = []
    model.register_forward_pre_hook(lambda *call: passed.append(len(call[2]["input_ids"])), with_kwargs=True)
    same = [DecodingRow(i, PROMPTS[0], Sampling(1.0, 20), seed=i, adapter=("sft", "other")[i % 2]) for i in range(6)]
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add(same)
    _write(batch, 4, texts)
    assert passed == [2, 6, 6, 6]
    assert texts == {row.id: _alone(model, row, 4) for row in same}


@pytest.mark.parametrize("part", [1, 7, 16, 50])
def test_prompts_that_are_read_in_parts_are_continued_as_those_that_are_read_at_once(tiny: Tiny, part: int) -> None:
    model, texts = tiny[0], {}
    rows = [_row(0), _row(2), _row(4)]
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add([_row(1)])
    reading, read = batch.begin(rows), 0
    while not reading.done:
        read += batch.read_on(reading, part)
        _write(batch, 1, texts)  # the others go on meanwhile
    assert read == reading.tokens == 3 * len(PROMPTS[2])
    batch.join(reading.held())
    _write(batch, 8, texts)
    assert texts == {row.id: _alone(model, row, len(texts[row.id])) for row in [*rows, _row(1)]}


def test_what_left_the_batch_is_not_computed_once_a_quarter_of_its_rows_or_width_has_left(tiny: Tiny) -> None:
    model = tiny[0]
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add([_row(i) for i in range(5)])
    _write(batch, 2, {})
    passed: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(
        lambda *call: passed.append(tuple(call[2]["attention_mask"].shape)), with_kwargs=True
    )
    for leaving in (2, 4, 3):  # the longest one first
        batch.drop([leaving])
        _write(batch, 1, {})
    assert [rows for rows, _ in passed] == [4, 3, 2]
    assert [width for _, width in passed] == [12, 7, 8]  # trimmed to the longest that is left


def test_another_pass_through_the_model_between_steps_changes_nothing(tiny: Tiny) -> None:
    model, texts = tiny[0], {}
    batch = DecodingBatch(model, 0, StackedAdapters(model))
    batch.add([_row(0), _row(2)])
    for _ in range(6):
        _write(batch, 1, texts)
        with torch.no_grad(), using(model, "other"):
            model(input_ids=torch.tensor([[3, 4]]))
        adapters.copy_adapter(model, "sft", "passing")
        adapters.drop_adapter(model, "passing")
    assert texts == {i: _alone(model, _row(i), 6) for i in (0, 2)}


def test_the_output_layer_gets_last_states_in_memory_of_their_own(tiny: Tiny) -> None:
    model, tokenizer = tiny
    given: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def note(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        given.append((tuple(args[0].shape), args[0].stride()))

    hook = model.get_base_model().get_output_embeddings().register_forward_pre_hook(note)
    generate(model, tokenizer, [[1, 5, 6], [1, 7, 8, 9]], Sampling(0.0, 2), [0, 0])
    hook.remove()
    size = model.config.hidden_size
    # A slice of all states has other strides, with which PyTorch copies frozen weights for each row (architecture.py).
    assert given == [((2, 1, size), (size, size, 1))] * 2

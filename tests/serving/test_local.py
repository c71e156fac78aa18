"""The local engine: rows written side by side, streamed, refused in words, and stopped."""

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
import torch

from alignment.errors import AlignmentError, ConfigError, ModelLoadError
from alignment.models.adapters import using
from alignment.models.decoding import DecodingBatch
from alignment.serving import decode_loop, open_rows
from alignment.serving.engine import Engine, Finished, Grown, PolicyVersion, Row, RowState, Waiting
from alignment.serving.local import LocalEngine
from alignment.serving.settings import ServingLimits
from alignment.settings import ModelConfig
from storage.messages import Message
from tests.serving.versions import events, model_sft, new_engine, row, tokens, version, written

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60


def _three(engine: Engine, tiny_folder: Path, length: int = 12) -> list[Row]:
    adapters = (None, model_sft(tiny_folder), engine.live.adapter)
    return [row(adapter, seed, length=length) for seed, adapter in enumerate(adapters, 1)]


@contextmanager
def _held(monkeypatch: pytest.MonkeyPatch, step: int = 1) -> Iterator[tuple[Signal, Signal]]:
    """Hold the decode loop before a step; yield what says that it has come so far, and what lets it go on."""
    reached, go_on, original = Signal(), Signal(), open_rows.OpenRows.step
    steps = {"taken": 0}

    def held(rows: open_rows.OpenRows) -> None:
        steps["taken"] += 1
        if steps["taken"] == step:
            reached.set()
            assert go_on.wait(PATIENCE_SECONDS)
        original(rows)

    monkeypatch.setattr(open_rows.OpenRows, "step", held)
    try:
        yield reached, go_on
    finally:
        go_on.set()


async def _until(signal: Signal) -> None:
    assert await asyncio.to_thread(signal.wait, PATIENCE_SECONDS)


def test_importing_the_engine_loads_no_model_library() -> None:
    check = "import alignment.serving.local, sys; print(*sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "\n"


def test_a_local_engine_is_an_engine(engine: LocalEngine) -> None:
    typed: Engine = engine
    assert typed.live.version == 1
    assert typed.state.status in ("loading", "ready")


def test_rows_grow_and_end_in_one_stream(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    *before, last = events(engine, _three(engine, tiny_folder))
    assert isinstance(last, Finished)
    assert len(last.rows) == 3
    for state in last.rows:
        assert state.finish_reason in ("stop", "length")
        assert 1 <= len(state.token_ids) <= 12
        assert 0 < state.first_token_seconds <= state.seconds
    assert len(before) == max(len(state.token_ids) for state in last.rows) - 1
    for count, event in enumerate(before, 1):
        assert isinstance(event, Grown)
        for state, whole in zip(event.rows, last.rows, strict=True):
            assert state.token_ids == whole.token_ids[:count]
            assert state.finish_reason == (whole.finish_reason if count >= len(whole.token_ids) else None)


def test_the_same_seeds_give_the_same_answers(engine: LocalEngine, tiny_folder: Path) -> None:
    first, again = (tokens(engine, *_three(engine, tiny_folder)) for _ in range(2))
    assert first == again


def test_a_row_is_written_alike_alone_and_beside_others_of_other_settings(
    engine: LocalEngine, tiny_folder: Path
) -> None:
    rows = _three(engine, tiny_folder)
    rows[1] = replace(rows[1], sampling=replace(rows[1].sampling, temperature=0.0, max_new_tokens=5))
    rows[2] = replace(rows[2], messages=(Message("user", "A longer prompt, for once"),))
    assert tokens(engine, *rows) == [tokens(engine, alone)[0] for alone in rows]


def test_sft_and_its_copy_answer_alike_and_base_does_not(engine: LocalEngine, tiny_folder: Path) -> None:
    base, sft, policy = tokens(engine, *(replace(one, seed=5) for one in _three(engine, tiny_folder)))
    assert sft == policy
    assert base != sft


def test_closing_the_stream_frees_the_thread_for_the_next_call(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)

    async def leave_early() -> None:
        stream: Any = engine.stream(_three(engine, tiny_folder, length=200))
        async for event in stream:
            assert isinstance(event, Grown)
            break
        await stream.aclose()

    asyncio.run(leave_early())
    steps: list[None] = []
    original = open_rows.OpenRows.step
    monkeypatch.setattr(open_rows.OpenRows, "step", lambda rows: steps.append(None) or original(rows))
    assert all(tokens(engine, *_three(engine, tiny_folder, length=2)))
    assert len(steps) <= 3  # one of the closed stream may have been under way


def test_calls_beyond_the_room_wait_in_line_and_are_told_their_place_whenever_it_changes(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.restrict(ServingLimits(waiting=2, rows=3))
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    rows = _three(engine, tiny_folder)
    tokens(engine, *rows)  # it is loaded now

    async def places() -> list[object]:
        first: Any = engine.stream(_unending(rows))
        assert isinstance(await anext(first), Grown)
        streams: list[Any] = [engine.stream(rows) for _ in range(2)]
        seen: list[object] = [await anext(stream) for stream in streams]
        with pytest.raises(AlignmentError, match="too many are asking at once: 2 already wait in line"):
            await anext(engine.stream(rows).__aiter__())
        await streams[0].aclose()
        seen.append(await anext(streams[1]))
        third: Any = engine.stream(rows)
        seen.append(await anext(third))
        await first.aclose()
        for stream in (streams[1], third):
            seen.append(isinstance([event async for event in stream][-1], Finished))
        return seen

    assert asyncio.run(places()) == [Waiting(1), Waiting(2), Waiting(1), Waiting(2), True, True]


def test_calls_that_join_and_leave_in_the_middle_are_each_written_as_alone(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    calls = [
        [replace(one, seed=10 * number + one.seed) for one in _three(engine, tiny_folder, 20)] for number in range(4)
    ]
    alone = [tokens(engine, *rows) for rows in calls]

    async def together() -> list[Any]:
        leaving: Any = engine.stream(_unending(calls[0]))
        assert isinstance(await anext(leaving), Grown)
        others = []
        for rows in calls:
            others.append(asyncio.ensure_future(_last(engine, rows)))
            await anext(leaving)  # they join at different steps
        await leaving.aclose()
        return [[state.token_ids for state in (await one).rows] for one in others]

    assert asyncio.run(together()) == alone


def test_a_call_that_cannot_join_leaves_those_that_are_written_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    rows = _three(engine, tiny_folder, 20)
    alone, original = tokens(engine, *rows), DecodingBatch.read_on

    def breaks(batch: DecodingBatch, reading: Any, most: int) -> int:
        if len(reading.rows) == 1:
            raise RuntimeError("out of memory")
        return original(batch, reading, most)

    monkeypatch.setattr(DecodingBatch, "read_on", breaks)

    async def beside() -> Any:
        whole: Any = engine.stream(rows)
        assert isinstance(await anext(whole), Grown)
        with pytest.raises(AlignmentError, match=r"the model failed to answer \(RuntimeError\)"):
            await _last(engine, rows[:1])
        return [event async for event in whole][-1]

    assert [state.token_ids for state in asyncio.run(beside()).rows] == alone


def test_an_error_while_a_call_joins_is_told_to_everybody_and_leaves_the_next_call_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    rows = _three(engine, tiny_folder)
    alone, original = tokens(engine, *rows), DecodingBatch.join

    def breaks(batch: DecodingBatch, new: Any) -> None:
        if len(new.rows) == 1:
            raise RuntimeError("out of memory")
        original(batch, new)

    monkeypatch.setattr(DecodingBatch, "join", breaks)

    async def beside() -> None:
        whole: Any = engine.stream(_unending(rows))
        assert isinstance(await anext(whole), Grown)
        with pytest.raises(AlignmentError, match=r"the model failed to answer \(RuntimeError\)"):
            await _last(engine, rows[:1])
        with pytest.raises(AlignmentError, match=r"the model failed to answer \(RuntimeError\)"):
            assert [event async for event in whole]

    asyncio.run(beside())
    assert tokens(engine, *rows) == alone
    assert engine._model is not None
    assert not engine._model.attached._in_use


def test_a_long_prompt_is_read_in_parts_while_others_are_written(engine: LocalEngine, tiny_folder: Path) -> None:
    short = _three(engine, tiny_folder, 40)
    long = [replace(one, messages=(Message("user", "capital of " * 60),)) for one in _three(engine, tiny_folder)]
    alone = [tokens(engine, *rows) for rows in (short, long)]
    engine.restrict(ServingLimits(prompt_tokens=16))
    limits, grown = engine.limits(long[1]), [0]
    assert limits is not None and limits.prompt_tokens > 100  # of two rows: some fourteen parts

    async def watched() -> Any:
        stream: Any = engine.stream(short)
        async for event in stream:
            grown.append(len(event.rows[0].token_ids))
        return event

    async def together() -> list[list[tuple[int, ...]]]:
        found = await asyncio.gather(watched(), _last(engine, long))
        return [[state.token_ids for state in one.rows] for one in found]  # type: ignore[attr-defined]

    assert asyncio.run(together()) == alone


def test_short_prompts_that_wait_together_are_read_in_one_pass(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [[replace(one, seed=10 * number + one.seed) for one in _three(engine, tiny_folder)] for number in range(4)]
    alone = [tokens(engine, *rows) for rows in calls]
    passes, read_on = [], DecodingBatch.read_on

    def counted(batch: DecodingBatch, *arguments: Any) -> int:
        passes.append(batch)
        return read_on(batch, *arguments)

    async def together() -> list[list[tuple[int, ...]]]:
        with _held(monkeypatch) as (reached, go_on):
            first = asyncio.ensure_future(_last(engine, calls[0]))
            await _until(reached)
            monkeypatch.setattr(DecodingBatch, "read_on", counted)
            others = [asyncio.ensure_future(_last(engine, rows)) for rows in calls[1:]]
            while len(engine._line) < len(others):
                await asyncio.sleep(0.01)
            go_on.set()
            return [[state.token_ids for state in (await one).rows] for one in (first, *others)]

    assert asyncio.run(together()) == alone
    assert len(passes) == 1


@pytest.mark.parametrize("together", [True, False])
def test_further_samples_are_written_beside_the_others_or_after_those_who_wait(
    engine: LocalEngine, tiny_folder: Path, together: bool
) -> None:
    rows = _three(engine, tiny_folder)
    asked = [*rows, *(replace(rows[2], seed=seed, extra=True) for seed in (31, 32))]
    alone = [tokens(engine, one)[0] for one in asked]
    if not together:
        engine.restrict(ServingLimits(rows=3))

    async def two() -> list[object]:
        return await asyncio.gather(*(_last(engine, asked) for _ in range(2)))

    for last in asyncio.run(two()):
        assert [state.token_ids for state in last.rows] == alone  # type: ignore[attr-defined]


def test_log_probabilities_are_the_models_own_whatever_a_token_was_drawn_with(
    engine: LocalEngine, tiny_folder: Path
) -> None:
    asked = replace(row(model_sft(tiny_folder), 5, length=8), top_log_probs=3)
    hot, greedy = (
        written(engine, replace(asked, sampling=replace(asked.sampling, temperature=heat)))[0] for heat in (1.9, 0.0)
    )
    assert engine._model is not None
    tokenizer = engine._model.tokenizer
    prompt = tokenizer.prompt_ids(asked.messages)
    model = engine._model.attached.model
    for state in (hot, greedy):
        with torch.no_grad(), using(model, "sft"):
            logits = model(input_ids=torch.tensor([prompt + list(state.token_ids)])).logits[0]
        own = logits[len(prompt) - 1 : -1].log_softmax(-1)
        kept = [token for token in state.token_ids if token not in tokenizer.end_ids]
        assert len(state.log_probs) == len(kept)
        for place, (token, said) in enumerate(zip(kept, state.log_probs, strict=True)):
            assert said.log_prob == pytest.approx(float(own[place, token]), abs=1e-4)
            assert [one for _, one in said.likeliest] == pytest.approx(own[place].topk(3).values.tolist(), abs=1e-4)
        assert "".join(said.text for said in state.log_probs) == state.text
    assert [said.log_prob for said in greedy.log_probs] == [said.likeliest[0][1] for said in greedy.log_probs]
    assert written(engine, row(None, 1))[0].log_probs == ()


def test_a_person_who_asks_much_at_once_does_not_hold_up_others(engine: LocalEngine, tiny_folder: Path) -> None:
    rows = _three(engine, tiny_folder, 6)
    tokens(engine, *rows)
    engine.restrict(ServingLimits(rows=3))
    came: list[str] = []

    async def ask(person: str) -> None:
        async for _ in engine.stream(rows, person):
            pass
        came.append(person)

    async def crowd() -> None:
        greedy = [asyncio.ensure_future(ask("greedy")) for _ in range(8)]
        await asyncio.sleep(0)
        await asyncio.gather(ask("newcomer"), ask("another"))
        await asyncio.gather(*greedy)

    asyncio.run(crowd())
    assert set(came[:4]) >= {"newcomer", "another"}


def _unending(rows: list[Row]) -> list[Row]:
    """Return rows that take far longer than a test."""
    return [replace(one, sampling=replace(one.sampling, max_new_tokens=230, temperature=1.9)) for one in rows]


async def _last(engine: Engine, rows: list[Row]) -> object:
    return [event async for event in engine.stream(rows)][-1]


def test_an_error_in_one_call_leaves_the_next_one_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _three(engine, tiny_folder)
    before = tokens(engine, *rows)
    original, calls = open_rows.OpenRows.step, []

    def breaks(rows: open_rows.OpenRows) -> None:
        calls.append(rows)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        original(rows)

    monkeypatch.setattr(open_rows.OpenRows, "step", breaks)
    with pytest.raises(AlignmentError, match=r"the model failed to answer \(RuntimeError\); see the log"):
        events(engine, rows)
    assert tokens(engine, *rows) == before


def test_an_error_inside_the_model_leaves_the_next_call_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _three(engine, tiny_folder)
    before = tokens(engine, *rows)
    layer = engine._model.attached.model.get_base_model().model.layers[1].mlp.up_proj  # type: ignore[union-attr]
    handle = layer.base_layer.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(AlignmentError, match=r"the model failed to answer \(ZeroDivisionError\)"):
        events(engine, rows)
    handle.remove()
    assert tokens(engine, *rows) == before


def test_a_prompt_longer_than_the_model_reads_is_refused_before_it_stands_in_line(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = row(None, 1), row(None, 1, prompt="capital " * 400)
    written(engine, short)  # it is loaded now

    async def refused_while_another_is_written() -> None:
        with _held(monkeypatch) as (reached, go_on):
            first = asyncio.ensure_future(_last(engine, [short]))
            await _until(reached)
            with pytest.raises(ConfigError, match="this model reads 256; shorten the prompt"):
                await _last(engine, [short, long])
            assert not first.done()
            go_on.set()
            await first

    asyncio.run(refused_while_another_is_written())


def test_a_long_prompt_that_came_while_the_model_was_loading_is_refused_when_its_turn_comes(
    tiny_folder: Path, tmp_path: Path
) -> None:
    engine = new_engine(tiny_folder, version(tiny_folder / "sft", tmp_path, 1))
    long = row(None, 1, prompt="capital " * 400)
    assert engine.limits(long) is None

    async def asked_before_loading() -> None:
        calls = [asyncio.ensure_future(_last(engine, [one])) for one in (long, row(None, 1))]
        await asyncio.sleep(0)
        engine.start()
        with pytest.raises(ConfigError, match="this model reads 256; shorten the prompt"):
            await calls[0]
        assert isinstance(await calls[1], Finished)

    asyncio.run(asked_before_loading())
    engine.stop()


def test_limits_count_a_prompt_to_where_the_assistant_begins_and_a_demonstration_whole(
    engine: LocalEngine, tiny_folder: Path
) -> None:
    prompt = row(model_sft(tiny_folder), 1)
    assert tokens(engine, prompt)[0]
    asked = engine.limits(prompt)
    assert asked is not None
    assert asked.context_tokens == 256
    answer = Message("assistant", "capital " * 300)
    taught = engine.limits(replace(prompt, messages=(*prompt.messages, answer)))
    assert taught is not None
    assert taught.prompt_tokens > 256 > asked.prompt_tokens


def test_a_model_that_cannot_load_says_why_to_everybody(tmp_path: Path) -> None:
    engine = LocalEngine(ModelConfig(str(tmp_path / "gone"), ""), PolicyVersion(1, tmp_path, ""))

    async def asked_before_loading() -> None:
        call = asyncio.ensure_future(_last(engine, [row(None, 1)]))
        await asyncio.sleep(0)
        engine.start()
        with pytest.raises(ModelLoadError, match=r"no model at .*gone"):
            await call

    swapped = engine.swap(PolicyVersion(2, tmp_path, ""))
    asyncio.run(asked_before_loading())
    with pytest.raises(ModelLoadError, match=r"no model at .*gone"):
        swapped.result(timeout=PATIENCE_SECONDS)
    assert engine.state.status == "failed"
    assert "gone" in engine.state.message
    with pytest.raises(ModelLoadError, match=r"no model at .*gone"):
        events(engine, [row(None, 1)])
    with pytest.raises(ModelLoadError, match=r"no model at .*gone"):
        engine.swap(PolicyVersion(2, tmp_path, "")).result(timeout=PATIENCE_SECONDS)
    engine.stop()


def test_stopping_cancels_what_is_written_and_refuses_what_waits(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _three(engine, tiny_folder, length=200)

    async def stopped() -> tuple[object, ...]:
        with _held(monkeypatch, step=3) as (reached, go_on):
            first = asyncio.ensure_future(_last(engine, rows))
            await _until(reached)
            second = asyncio.ensure_future(_last(engine, rows))  # in line: the loop is held
            await asyncio.sleep(0.1)
            stopping = asyncio.ensure_future(asyncio.to_thread(engine.stop))
            with pytest.raises(AlignmentError, match="the app is being stopped"):
                await second
            go_on.set()
            await stopping
        return (await first).rows  # type: ignore[attr-defined, no-any-return]

    for state in asyncio.run(stopped()):
        assert isinstance(state, RowState)
        assert len(state.token_ids) <= 3
        assert state.finish_reason in ("cancelled", "stop")
    with pytest.raises(AlignmentError, match="the app is being stopped"):
        events(engine, rows)


def test_nothing_is_left_over_after_many_calls_that_ended_or_were_closed_at_random(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    rows, rng = _three(engine, tiny_folder), random.Random(0)
    alone, threads = tokens(engine, *rows), threading.active_count()

    async def one(steps: int) -> Any:
        stream: Any = engine.stream(rows)
        async for event in stream:
            steps -= 1
            if isinstance(event, Finished):
                return [state.token_ids for state in event.rows]
            if not steps:
                break
        await stream.aclose()
        return None

    async def many() -> list[Any]:
        return await asyncio.gather(*(one(rng.choice((1, 3, 9, 99))) for _ in range(24)))

    found = asyncio.run(many())
    assert any(found) and all(one in (None, alone) for one in found)
    assert tokens(engine, *rows) == alone  # the loop has gone round since the last one left
    model = engine._model
    assert model is not None
    assert not engine._line
    assert not model.attached._in_use
    assert threading.active_count() <= threads + 1

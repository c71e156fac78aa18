"""The local engine: rows written side by side, streamed, refused in words, and stopped."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest

from alignment.errors import AlignmentError, ConfigError, ModelLoadError
from alignment.serving import loaded, local
from alignment.serving.engine import Engine, Finished, Grown, PolicyVersion, Row, RowState, Waiting
from alignment.serving.local import LocalEngine
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
    """Hold every answer before a step; yield what says that one has come so far, and what lets them all go on."""
    reached, go_on, original = Signal(), Signal(), loaded.Answer.step
    steps = {"taken": 0}

    def held(answer: loaded.Answer) -> None:
        steps["taken"] += 1
        if steps["taken"] == step:
            reached.set()
            assert go_on.wait(PATIENCE_SECONDS)
        original(answer)

    monkeypatch.setattr(loaded.Answer, "step", held)
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
    monkeypatch.setattr(local, "GROWN_SECONDS", 0.0)
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
    monkeypatch.setattr(local, "GROWN_SECONDS", 0.0)

    async def leave_early() -> None:
        stream: Any = engine.stream(_three(engine, tiny_folder, length=200))
        async for event in stream:
            assert isinstance(event, Grown)
            break
        await stream.aclose()

    asyncio.run(leave_early())
    steps: list[None] = []
    original = loaded.Answer.step
    monkeypatch.setattr(loaded.Answer, "step", lambda answer: steps.append(None) or original(answer))
    assert all(tokens(engine, *_three(engine, tiny_folder, length=2)))
    assert len(steps) <= 3  # one of the closed stream may have been under way


def test_a_stream_closed_early_leaves_the_line(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_WAITING", 2)
    rows = _three(engine, tiny_folder)

    async def places() -> list[object]:
        with _held(monkeypatch) as (reached, go_on):
            first = asyncio.ensure_future(_last(engine, rows))
            await _until(reached)
            streams: list[Any] = [engine.stream(rows) for _ in range(2)]
            seen: list[object] = [await anext(stream) for stream in streams]
            with pytest.raises(AlignmentError, match="2 people are already waiting in line"):
                await anext(engine.stream(rows).__aiter__())
            await streams[0].aclose()
            third: Any = engine.stream(rows)
            seen.append(await anext(third))
            go_on.set()
            assert isinstance(await first, Finished)
            for stream in (streams[1], third):
                seen.append(isinstance([event async for event in stream][-1], Finished))
        return seen

    assert asyncio.run(places()) == [Waiting(1), Waiting(2), Waiting(2), True, True]


async def _last(engine: Engine, rows: list[Row]) -> object:
    return [event async for event in engine.stream(rows)][-1]


def test_an_error_in_one_call_leaves_the_next_one_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _three(engine, tiny_folder)
    before = tokens(engine, *rows)
    original, calls = loaded.Answer.step, []

    def breaks(answer: loaded.Answer) -> None:
        calls.append(answer)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        original(answer)

    monkeypatch.setattr(loaded.Answer, "step", breaks)
    with pytest.raises(AlignmentError, match=r"the model failed to answer \(RuntimeError\); see the log"):
        events(engine, rows)
    assert tokens(engine, *rows) == before


def test_an_error_inside_the_model_leaves_the_next_call_whole(
    engine: LocalEngine, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _three(engine, tiny_folder)
    before = tokens(engine, *rows)
    layer = engine._model._attached.model.get_base_model().model.layers[1].mlp.up_proj  # type: ignore[union-attr]
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
            second: Any = engine.stream(rows)
            assert await anext(second) == Waiting(1)
            stopping = asyncio.ensure_future(asyncio.to_thread(engine.stop))
            with pytest.raises(AlignmentError, match="the app is being stopped"):
                await anext(second)
            go_on.set()
            await stopping
        return (await first).rows  # type: ignore[attr-defined, no-any-return]

    for state in asyncio.run(stopped()):
        assert isinstance(state, RowState)
        assert len(state.token_ids) <= 3
        assert state.finish_reason in ("cancelled", "stop")
    with pytest.raises(AlignmentError, match="the app is being stopped"):
        events(engine, rows)

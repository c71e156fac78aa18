"""Versions swapped without a restart, kept attached, and refused when they are not whole."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from alignment.errors import AdapterError
from alignment.models import routing
from alignment.serving import attached, decode_loop
from alignment.serving.attached import OTHERS_KEPT
from alignment.serving.engine import Finished, PolicyVersion, RowState, policy_version_at
from alignment.serving.local import LocalEngine
from tests.serving.versions import model_sft, new_engine, rehashed, row, tokens, version, version_with_sft

SECONDS = 60


def _answers(engine: LocalEngine, tiny_folder: Path) -> list[tuple[int, ...]]:
    adapters = (None, model_sft(tiny_folder), engine.live.adapter)
    return tokens(engine, *(row(adapter, seed) for seed, adapter in enumerate(adapters, 1)))


def _of(engine: LocalEngine, policy: PolicyVersion) -> tuple[int, ...]:
    return tokens(engine, row(policy.adapter, 3))[0]


def _sft(engine: LocalEngine, tiny_folder: Path) -> tuple[int, ...]:
    """Return what the live version's SFT adapter answers, the model's own if it has none."""
    return tokens(engine, row(engine.live.sft or model_sft(tiny_folder), 3))[0]


class Counted:
    """Counts the calls of a function in whose place it stands."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        return self.function(*arguments)


@pytest.fixture
def work(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> dict[str, Counted]:
    """Counts verifications, attachments and stacks once the model is loaded."""
    tokens(engine, row(None, 1))
    counted = {"verify": Counted(attached.verify), "attach": Counted(attached.attach), "stack": Counted(routing._Stack)}
    monkeypatch.setattr(attached, "verify", counted["verify"])
    monkeypatch.setattr(attached, "attach", counted["attach"])
    monkeypatch.setattr(routing, "_Stack", counted["stack"])
    return counted


def _counts(work: dict[str, Counted]) -> dict[str, int]:
    return {name: counted.calls for name, counted in work.items()}


def test_a_second_call_with_the_same_adapters_verifies_attaches_and_stacks_nothing(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, work: dict[str, Counted]
) -> None:
    other = version_with_sft(tiny_folder, tmp_path, 2)
    assert other.sft is not None
    rows = [row(None, 1), *(row(adapter, 2) for adapter in (engine.live.adapter, other.adapter, other.sft))]
    rows = [replace(one, sampling=replace(one.sampling, temperature=0.0, max_new_tokens=3)) for one in rows]
    first = tokens(engine, *rows)
    before = _counts(work)
    assert before == {"verify": 1, "attach": 2, "stack": 1}  # the two adapters of v2 lie in one folder
    assert tokens(engine, *rows) == first
    assert _counts(work) == before


def test_the_fifth_other_version_pushes_out_the_one_unused_for_longest(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, work: dict[str, Counted]
) -> None:
    assert OTHERS_KEPT == 4
    others = [version(tiny_folder / "other", tmp_path, number) for number in range(2, 7)]
    for policy in (*others[:4], others[0], others[4]):  # v3 is the one unused for longest
        _of(engine, policy)
    before = _counts(work)
    for policy in (others[0], others[2], others[3], others[4], engine.live):
        _of(engine, policy)
    assert (work["verify"].calls, work["attach"].calls) == (before["verify"], before["attach"])
    _of(engine, others[1])
    assert (work["verify"].calls, work["attach"].calls) == (before["verify"] + 1, before["attach"] + 1)


def test_one_call_may_ask_for_more_versions_than_are_kept(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    others = [version(tiny_folder / ("other" if number % 2 else "sft"), tmp_path, number) for number in range(2, 8)]
    together = tokens(engine, *(row(policy.adapter, 3) for policy in others))
    assert together == [_of(engine, policy) for policy in others]


def test_a_swap_changes_new_answers_and_old_versions_stay_reachable(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    old, new = engine.live, version(tiny_folder / "other", tmp_path, 2)
    before = _of(engine, old)
    engine.swap(new).result(timeout=SECONDS)
    assert engine.live == new
    assert _of(engine, new) != before
    assert _of(engine, old) == before


def test_the_live_version_stays_attached_however_many_others_are_asked_for(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, work: dict[str, Counted]
) -> None:
    new = version_with_sft(tiny_folder, tmp_path, 2)
    engine.swap(new).result(timeout=SECONDS)
    for number in range(3, 9):
        _of(engine, version(tiny_folder / "other", tmp_path, number))
    before = work["attach"].calls
    assert new.sft is not None
    tokens(engine, row(new.adapter, 3), row(new.sft, 3))
    assert work["attach"].calls == before


def test_the_sft_column_answers_with_the_live_versions_own_adapter_through_promote_and_rollback(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    first, second = engine.live, version_with_sft(tiny_folder, tmp_path, 2)
    third = version(tiny_folder / "other", tmp_path, 3)
    models_own = _sft(engine, tiny_folder)
    others = _of(engine, third)
    assert models_own != others
    for policy, expected in ((second, others), (third, models_own), (second, others), (first, models_own)):
        engine.swap(policy).result(timeout=SECONDS)
        assert _sft(engine, tiny_folder) == expected


def test_the_sft_column_answers_with_the_live_versions_own_adapter_after_a_restart(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    policy = version_with_sft(tiny_folder, tmp_path, 2)
    engine.swap(policy).result(timeout=SECONDS)
    again = new_engine(tiny_folder, policy)
    again.start()
    assert _sft(again, tiny_folder) == _sft(engine, tiny_folder)
    again.stop()


def test_a_call_asked_before_a_swap_keeps_the_sft_adapter_that_it_was_asked_of(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    asked = row(model_sft(tiny_folder), 3)
    before = tokens(engine, asked)
    engine.swap(version_with_sft(tiny_folder, tmp_path, 2)).result(timeout=SECONDS)
    assert tokens(engine, asked) == before


@pytest.mark.parametrize("damage", ["cut", "config gone", "folder gone", "changed"])
def test_a_version_whose_sft_adapter_is_not_whole_is_refused_and_the_columns_stay(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, damage: str
) -> None:
    broken = version_with_sft(tiny_folder, tmp_path, 2)
    weights = broken.folder / "sft" / "adapter_model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-64])
        with pytest.raises(AdapterError, match="was cut off"):
            rehashed(2, broken.folder)
    elif damage == "config gone":
        (broken.folder / "sft" / "adapter_config.json").unlink()
        with pytest.raises(AdapterError, match=r"adapter_config\.json is missing"):
            policy_version_at(2, broken.folder, broken.sha256)
    elif damage == "folder gone":
        shutil.rmtree(weights.parent)
        broken = policy_version_at(2, broken.folder, broken.sha256)
    else:
        weights.write_bytes(weights.read_bytes() + b"x")
    before = _answers(engine, tiny_folder)
    for _ in range(2):
        with pytest.raises(AdapterError, match=r"is missing|has changed since it was published"):
            engine.swap(broken).result(timeout=SECONDS)
    assert engine.live.version == 1
    assert _answers(engine, tiny_folder) == before


def test_a_version_is_not_served_in_part_when_its_sft_adapter_does_not_fit(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, work: dict[str, Counted]
) -> None:
    broken = version_with_sft(tiny_folder, tmp_path, 2)
    path = broken.folder / "sft" / "adapter_model.safetensors"
    save_file({key: weight[:, :2].contiguous() for key, weight in load_file(path).items()}, path)
    broken = rehashed(2, broken.folder)
    assert broken.sft is not None
    for _ in range(2):
        before = work["attach"].calls
        with pytest.raises(AdapterError, match="does not fit this base"):
            tokens(engine, row(broken.adapter, 1), row(broken.sft, 1))
        assert work["attach"].calls == before + 2


def test_a_stream_under_way_ends_on_the_version_it_began_with_which_then_leaves(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "OTHERS_KEPT", 0)
    monkeypatch.setattr(decode_loop, "GROWN_SECONDS", 0.0)
    asked = row(engine.live.adapter, 3, length=200)
    alone = tokens(engine, asked)

    async def swap_in_the_middle() -> tuple[RowState, ...]:
        future = None
        async for event in engine.stream([asked]):
            if isinstance(event, Finished):
                assert future is not None
                await asyncio.wrap_future(future)
                return event.rows
            future = future or engine.swap(version(tiny_folder / "other", tmp_path, 2))
        raise AssertionError("the stream ended without Finished")

    assert [state.token_ids for state in asyncio.run(swap_in_the_middle())] == alone
    assert engine.live.version == 2
    tokens(engine, row(engine.live.adapter, 3, length=1))
    assert engine._model is not None
    assert "policy-1" not in engine._model.attached.model.peft_config


def test_an_adapter_that_changed_on_disk_is_not_swapped_in(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = version(tiny_folder / "other", tmp_path, 2)
    before = _of(engine, broken)
    with (broken.folder / "adapter_model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AdapterError, match="has changed since it was published"):
        engine.swap(broken).result(timeout=SECONDS)
    assert engine.live.version == 1
    assert len(_answers(engine, tiny_folder)) == 3
    assert _of(engine, broken) == before  # it is in memory as it was published


def test_a_version_that_changed_on_disk_is_not_attached_for_a_row(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = version(tiny_folder / "other", tmp_path, 2)
    with (broken.folder / "adapter_model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AdapterError, match="has changed since it was published"):
        _of(engine, broken)
    assert len(_answers(engine, tiny_folder)) == 3


def test_an_adapter_that_does_not_load_is_refused_every_time_and_leaves_the_model_as_it_was(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = version(tiny_folder / "other", tmp_path, 2)
    weights = broken.folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-64])
    broken = rehashed(2, broken.folder)
    before = _answers(engine, tiny_folder)
    for _ in range(2):
        with pytest.raises(AdapterError):
            _of(engine, broken)
        with pytest.raises(AdapterError):
            engine.swap(broken).result(timeout=SECONDS)
    assert engine.live.version == 1
    assert _answers(engine, tiny_folder) == before

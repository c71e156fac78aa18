"""The serving thread: three rows at once, streamed, stoppable, swapped without a restart."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from alignment.serving.policy_server import SEED_STEP, PolicyRef, PolicyServer, RowRequest, RowState, policy_ref
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoTokenizer

from alignment.errors import AdapterError, AlignmentError, ConfigError, ModelLoadError
from alignment.models import adapters, loading
from alignment.models.heads import load_head, new_head
from alignment.models.templates import chat_prompt_ids
from alignment.reward.scorer import score_sequences
from alignment.reward.settings import RewardConfig
from alignment.serving import best_of_n
from alignment.settings import ModelConfig
from storage.version_folders import folder_hash

Tiny = tuple[PeftModel, AutoTokenizer]


def _ref(source: Path, root: Path, version: int) -> PolicyRef:
    folder = root / f"policy-{version:06d}"
    shutil.copytree(source, folder)
    return PolicyRef(version, folder, folder_hash(folder))


@pytest.fixture
def server(tiny_folder: Path, tmp_path: Path) -> Iterator[PolicyServer]:
    server = PolicyServer(
        ModelConfig(str(tiny_folder), str(tiny_folder / "sft")), _ref(tiny_folder / "sft", tmp_path, 1), threads=2
    )
    server.start()
    yield server
    server.stop()


async def _collect(
    server: PolicyServer, rows: list[RowRequest], prompt: str = "Hi", length: int = 12
) -> list[list[RowState]]:
    return [item async for item in server.stream(prompt, rows, 1.0, length) if isinstance(item, list)]


def _three(policy: PolicyRef) -> list[RowRequest]:
    return [RowRequest("base", 1), RowRequest("sft", 2), RowRequest("rlhf", 3, policy)]


def test_three_rows_end_in_one_stream(server: PolicyServer) -> None:
    last = asyncio.run(_collect(server, _three(server.live)))[-1]
    assert len(last) == 3
    for state in last:
        assert state.finish_reason in ("stop", "length")
        assert 1 <= len(state.token_ids) <= 12
        assert 0 < state.first_token_seconds <= state.seconds


def test_the_same_seeds_give_the_same_answers(server: PolicyServer) -> None:
    first, again = (asyncio.run(_collect(server, _three(server.live)))[-1] for _ in range(2))
    assert [s.token_ids for s in first] == [s.token_ids for s in again]


def test_sft_and_its_copy_answer_alike_and_base_does_not(server: PolicyServer) -> None:
    rows = [RowRequest("base", 5), RowRequest("sft", 5), RowRequest("rlhf", 5, server.live)]
    base, sft, policy = asyncio.run(_collect(server, rows))[-1]
    assert sft.token_ids == policy.token_ids
    assert base.token_ids != sft.token_ids


def _with_reward(policy: PolicyRef, tiny_folder: Path, low: int) -> PolicyRef:
    """Return the policy with a reward model of its own: a number of the last token's hidden state is the score."""
    model, _ = loading.load_base(tiny_folder)
    model = adapters.attach(model, tiny_folder / "other", "other")
    head = new_head(model)
    with torch.no_grad():
        head.weight[0, low] = 1.0
    (policy.path / "reward").mkdir()
    adapters.save_adapter(model, "other", policy.path / "reward", head)
    return PolicyRef(policy.version, policy.path, folder_hash(policy.path))


def test_best_of_n_shows_the_completion_that_the_versions_reward_model_scores_highest(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    policy = _with_reward(_ref(tiny_folder / "sft", tmp_path, 2), tiny_folder, low=3)
    alone = [
        asyncio.run(_collect(server, [RowRequest("rlhf", 7 + SEED_STEP * copy, policy)]))[-1][0] for copy in range(5)
    ]
    model, tokenizer = loading.load_base(tiny_folder)
    model = adapters.attach(model, policy.path / "reward", "reward")
    prompt = chat_prompt_ids(tokenizer, "Hi")
    heads = load_head(model, policy.path / "reward")
    rows = [[*prompt, *state.token_ids] for state in alone]
    best = alone[int(score_sequences(model, heads, rows, tokenizer.pad_token_id)[0].argmax())]
    assert best.token_ids != alone[0].token_ids

    snapshots = asyncio.run(_collect(server, [RowRequest("base", 1), RowRequest("rlhf", 7, policy, best_of=5)]))
    assert snapshots[-1][1].token_ids == best.token_ids
    assert snapshots[-1][1].text == best.text
    assert all(shown[1].text == "" for shown in snapshots[:-1])
    assert asyncio.run(_collect(server, [RowRequest("base", 1)]))[-1][0].token_ids == snapshots[-1][0].token_ids


def test_best_of_n_scores_as_the_run_of_the_version_did(tiny: Tiny, tiny_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = tiny
    reward = _with_reward(_ref(tiny_folder / "sft", tmp_path, 2), tiny_folder, low=3).path / "reward"
    two_heads = new_head(model, 2)
    with torch.no_grad():
        two_heads.weight[0, 3] = two_heads.weight[1, 4] = 1.0
    save_file(two_heads.state_dict(), reward / "head.safetensors")
    candidates = [[token, token + 1] for token in range(5, 25, 2)]

    def picked(**changes: float) -> int:
        (reward / "settings.json").write_text(json.dumps(asdict(RewardConfig(**changes))))
        return best_of_n.pick(model, tokenizer, [reward], "Hi", candidates)

    (reward / "settings.json").unlink(missing_ok=True)
    assert best_of_n.pick(model, tokenizer, [reward], "Hi", candidates) == picked()
    adapters.attach(model, reward, "reward")
    adapters.activate(model, "reward")
    rows = [[*chat_prompt_ids(tokenizer, "Hi"), *ids] for ids in candidates]
    scores, deviations = score_sequences(model, two_heads, rows, tokenizer.pad_token_id)
    adapters.activate(model, "sft")
    model.delete_adapter("reward")
    for penalty in (0.0, 10.0):
        assert picked(uncertainty_penalty=penalty) == int((scores - penalty * deviations).argmax())
    assert picked(uncertainty_penalty=10.0) != picked()
    (reward / "settings.json").write_text("{")
    with pytest.raises(AdapterError, match=r"the settings at .*settings\.json cannot be read"):
        best_of_n.pick(model, tokenizer, [reward], "Hi", candidates)
    assert set(model.peft_config) == {"sft", "other"}


def test_best_of_n_without_a_reward_model_is_refused_before_anything_is_written(server: PolicyServer) -> None:
    with pytest.raises(AlignmentError, match="v1 has no reward model to pick by"):
        asyncio.run(_collect(server, [RowRequest("rlhf", 7, server.live, best_of=2)]))
    assert asyncio.run(_collect(server, _three(server.live)))[-1][2].finish_reason


def test_a_swap_changes_new_answers_and_old_versions_stay_reachable(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    old, new = server.live, _ref(tiny_folder / "other", tmp_path, 2)
    before = asyncio.run(_collect(server, [RowRequest("rlhf", 3, old)]))[-1]
    server.swap(new).result(timeout=30)
    assert server.live.version == 2
    assert asyncio.run(_collect(server, [RowRequest("rlhf", 3, new)]))[-1][0].token_ids != before[0].token_ids
    assert asyncio.run(_collect(server, [RowRequest("rlhf", 3, old)]))[-1][0].token_ids == before[0].token_ids


def _with_sft(tiny_folder: Path, root: Path, version: int) -> PolicyRef:
    """Return a version whose SFT adapter is its own: "other" in the place of the model's."""
    folder = root / f"policy-{version:06d}"
    shutil.copytree(tiny_folder / "sft", folder)
    shutil.copytree(tiny_folder / "other", folder / "sft")
    return policy_ref(version, folder, folder_hash(folder))


def _sft(server: PolicyServer) -> tuple[int, ...]:
    """Return what the column "sft" answers now."""
    live = server.live
    row = RowRequest("sft", 3, live if live.own_sft else None)
    return asyncio.run(_collect(server, [row]))[-1][0].token_ids


def test_the_sft_column_answers_with_the_live_versions_own_adapter_through_promote_and_rollback(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    first, second, third = server.live, _with_sft(tiny_folder, tmp_path, 2), _ref(tiny_folder / "other", tmp_path, 3)
    models_own = _sft(server)
    others = asyncio.run(_collect(server, [RowRequest("rlhf", 3, third)]))[-1][0].token_ids
    assert models_own != others
    for policy, expected in ((second, others), (third, models_own), (second, others), (first, models_own)):
        server.swap(policy).result(timeout=30)
        assert _sft(server) == expected


def test_the_sft_column_answers_with_the_live_versions_own_adapter_after_a_restart(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    policy = _with_sft(tiny_folder, tmp_path, 2)
    server.swap(policy).result(timeout=30)
    again = PolicyServer(ModelConfig(str(tiny_folder), str(tiny_folder / "sft")), policy, threads=2)
    again.start()
    assert _sft(again) == _sft(server)
    again.stop()


def test_a_comparison_asked_before_a_swap_keeps_the_sft_adapter_that_it_was_asked_of(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    before = _sft(server)
    server.swap(_with_sft(tiny_folder, tmp_path, 2)).result(timeout=30)
    assert asyncio.run(_collect(server, [RowRequest("sft", 3)]))[-1][0].token_ids == before


@pytest.mark.parametrize("damage", ["cut", "config gone", "folder gone", "changed"])
def test_a_version_whose_sft_adapter_is_not_whole_is_refused_and_the_columns_stay(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path, damage: str
) -> None:
    broken = _with_sft(tiny_folder, tmp_path, 2)
    weights = broken.path / "sft" / "adapter_model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-64])
        broken = replace(broken, sha256=folder_hash(broken.path))
    elif damage == "config gone":
        (broken.path / "sft" / "adapter_config.json").unlink()
        broken = replace(broken, sha256=folder_hash(broken.path))
        with pytest.raises(AdapterError, match=r"adapter_config\.json is missing"):
            policy_ref(2, broken.path, broken.sha256)
    elif damage == "folder gone":
        shutil.rmtree(weights.parent)
        broken = policy_ref(2, broken.path, broken.sha256)
    else:
        weights.write_bytes(weights.read_bytes() + b"x")
    before = [state.token_ids for state in asyncio.run(_collect(server, _three(server.live)))[-1]]
    for _ in range(2):
        with pytest.raises(AdapterError, match=r"does not fit this base|is missing|has changed since it was published"):
            server.swap(broken).result(timeout=60)
    assert server.live.version == 1
    assert [state.token_ids for state in asyncio.run(_collect(server, _three(server.live)))[-1]] == before


def test_a_stream_under_way_ends_on_the_version_it_began_with(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    old = server.live
    alone = asyncio.run(_collect(server, [RowRequest("rlhf", 3, old)], length=200))[-1]

    async def swap_in_the_middle() -> list[RowState]:
        stream = server.stream("Hi", [RowRequest("rlhf", 3, old)], 1.0, 200)
        future, last = None, []
        async for item in stream:
            if isinstance(item, list):
                last = item
                future = future or server.swap(_ref(tiny_folder / "other", tmp_path, 2))
        assert future is not None
        await asyncio.wrap_future(future)
        return last

    assert asyncio.run(swap_in_the_middle())[0].token_ids == alone[0].token_ids
    assert server.live.version == 2


def test_an_adapter_that_changed_on_disk_is_not_swapped_in(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = _ref(tiny_folder / "other", tmp_path, 2)
    with (broken.path / "adapter_model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AdapterError, match="has changed since it was published"):
        server.swap(broken).result(timeout=30)
    assert server.live.version == 1
    assert len(asyncio.run(_collect(server, _three(server.live)))[-1]) == 3


def test_an_adapter_that_does_not_load_is_refused_every_time_and_leaves_the_model_as_it_was(
    server: PolicyServer, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = _ref(tiny_folder / "other", tmp_path, 2)
    weights = broken.path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-64])
    broken = PolicyRef(2, broken.path, folder_hash(broken.path))
    before = asyncio.run(_collect(server, _three(server.live)))[-1]
    for _ in range(2):
        with pytest.raises(AdapterError):
            asyncio.run(_collect(server, [RowRequest("rlhf", 1, broken)]))
        with pytest.raises(AdapterError):
            server.swap(broken).result(timeout=60)
    assert server.live.version == 1
    after = asyncio.run(_collect(server, _three(server.live)))[-1]
    assert [s.token_ids for s in after] == [s.token_ids for s in before]


def test_closing_the_stream_frees_the_thread_for_the_next_comparison(server: PolicyServer) -> None:
    async def leave_early() -> None:
        stream = server.stream("Hi", _three(server.live), 1.0, 200)
        async for item in stream:
            if isinstance(item, list):
                break
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave_early())
    assert asyncio.run(_collect(server, _three(server.live), length=2))[-1][0].token_ids


def test_a_prompt_longer_than_the_model_reads_is_refused_in_words(server: PolicyServer) -> None:
    with pytest.raises(AlignmentError, match="this model reads 256; shorten the prompt"):
        asyncio.run(_collect(server, _three(server.live), prompt="capital " * 400))


def test_a_demonstration_longer_than_the_model_reads_is_refused_in_words_once_that_is_known(
    server: PolicyServer, tiny_folder: Path
) -> None:
    loading = PolicyServer(ModelConfig(str(tiny_folder), str(tiny_folder / "sft")), server.live)
    loading.require_readable("Hi", "capital " * 300)
    asyncio.run(_collect(server, _three(server.live)))
    server.require_readable("Hi", "capital " * 100)
    with pytest.raises(ConfigError, match=r"need 3\d\d tokens, this model reads 256; shorten them"):
        server.require_readable("Hi", "capital " * 300)


def test_a_model_that_cannot_load_says_why_to_everybody(tmp_path: Path) -> None:
    server = PolicyServer(ModelConfig(str(tmp_path / "gone"), ""), PolicyRef(1, tmp_path, ""))
    server.start()
    with pytest.raises(ModelLoadError, match=r"no model at .*gone"):
        asyncio.run(_collect(server, [RowRequest("base", 1)]))
    assert server.state.status == "failed"
    assert "gone" in server.state.message
    server.stop()

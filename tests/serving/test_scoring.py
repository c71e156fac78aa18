"""Completions scored by the reward models that go with a version, as its run scored them."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoTokenizer

from alignment.errors import AdapterError
from alignment.models import adapters, loading
from alignment.models.adapters import using
from alignment.models.heads import load_head, new_head
from alignment.reward.scorer import score_sequences
from alignment.reward.settings import RewardConfig
from alignment.serving import scoring
from alignment.serving.engine import PolicyVersion
from alignment.serving.local import LocalEngine
from alignment.serving.scoring import RewardModels
from storage.messages import one_turn
from tests.serving.versions import model_sft, rehashed, row, tokens, version

Tiny = tuple[PeftModel, AutoTokenizer]
CANDIDATES = [(token, token + 1) for token in range(5, 25, 2)]
SECONDS = 60


def _with_reward(policy: PolicyVersion, tiny_folder: Path, dimension: int) -> PolicyVersion:
    """Return the policy with a reward model of its own: a number of the last token's hidden state is the score."""
    model, _ = loading.load_checkpoint(tiny_folder)
    model = adapters.attach(model, tiny_folder / "other", "other")
    head = new_head(model)
    with torch.no_grad():
        head.weight[0, dimension] = 1.0
    (policy.folder / "reward").mkdir()
    adapters.save_adapter(model, "other", policy.folder / "reward", head)
    return rehashed(policy.version, policy.folder)


def _expected(tiny_folder: Path, reward: Path) -> list[float]:
    model, tokenizer = loading.load_checkpoint(tiny_folder)
    model = adapters.attach(model, reward, "reward")
    rows = [[*tokenizer.prompt_ids(one_turn("Hi")), *ids] for ids in CANDIDATES]
    with torch.no_grad():
        scores, _ = score_sequences(model, load_head(model, reward), rows, tokenizer.pad_id)
    return scores.tolist()


def test_completions_are_scored_by_the_versions_reward_model_and_rows_are_written_as_before(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    second, third = (
        _with_reward(version(tiny_folder / "sft", tmp_path, number), tiny_folder, dimension=number) for number in (2, 3)
    )
    rows = [row(None, 1), row(model_sft(tiny_folder), 2), row(engine.live.adapter, 3)]
    before = tokens(engine, *rows)
    for policy in (second, second, third, second):
        scores = engine.scores(policy, one_turn("Hi"), CANDIDATES).result(timeout=SECONDS)
        assert scores == pytest.approx(_expected(tiny_folder, policy.folder / "reward"), abs=1e-5)
        assert len(set(scores)) > 1
        assert tokens(engine, *rows) == before


def test_reward_models_stay_attached_for_the_next_completions_of_the_version(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = _with_reward(version(tiny_folder / "sft", tmp_path, 2), tiny_folder, dimension=3)
    attached: list[Path] = []
    original = scoring.load_head

    def recorded(model: PeftModel, folder: Path) -> torch.nn.Linear:
        attached.append(folder)
        return original(model, folder)

    monkeypatch.setattr(scoring, "load_head", recorded)
    for _ in range(3):
        engine.scores(policy, one_turn("Hi"), CANDIDATES).result(timeout=SECONDS)
    assert attached == [policy.folder / "reward"]


def test_a_version_without_a_reward_model_is_refused_even_before_there_are_completions(
    engine: LocalEngine, tiny_folder: Path, tmp_path: Path
) -> None:
    for completions in ([], CANDIDATES):
        with pytest.raises(AdapterError, match="v1 has no reward model to pick by"):
            engine.scores(engine.live, one_turn("Hi"), completions).result(timeout=0)
    policy = _with_reward(version(tiny_folder / "sft", tmp_path, 2), tiny_folder, dimension=3)
    assert engine.scores(policy, one_turn("Hi"), []).result(timeout=0) == []


def test_a_version_that_changed_on_disk_scores_nothing(engine: LocalEngine, tiny_folder: Path, tmp_path: Path) -> None:
    policy = _with_reward(version(tiny_folder / "sft", tmp_path, 2), tiny_folder, dimension=3)
    with (policy.folder / "reward" / "head.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(AdapterError, match="has changed since it was published"):
        engine.scores(policy, one_turn("Hi"), CANDIDATES).result(timeout=SECONDS)


def test_completions_are_scored_as_in_the_run_of_the_version(tiny: Tiny, tiny_folder: Path, tmp_path: Path) -> None:
    model, tokenizer = tiny
    policy = _with_reward(version(tiny_folder / "sft", tmp_path, 2), tiny_folder, dimension=3)
    reward = policy.folder / "reward"
    two_heads = new_head(model, 2)
    with torch.no_grad():
        two_heads.weight[0, 3] = two_heads.weight[1, 4] = 1.0
    save_file(two_heads.state_dict(), reward / "head.safetensors")

    def scores() -> list[float]:
        return RewardModels(tokenizer, "sft").scores(model, [reward], one_turn("Hi"), CANDIDATES)

    without_settings = scores()
    (reward / "settings.json").write_text(json.dumps(asdict(RewardConfig())))
    assert scores() == without_settings
    adapters.drop_adapter(model, "reward")
    adapters.attach(model, reward, "reward")
    rows = [[*tokenizer.prompt_ids(one_turn("Hi")), *ids] for ids in CANDIDATES]
    with torch.no_grad(), using(model, "reward"):
        means, deviations = score_sequences(model, two_heads, rows, tokenizer.pad_id)
    for penalty in (0.0, 10.0):
        (reward / "settings.json").write_text(json.dumps(asdict(RewardConfig(uncertainty_penalty=penalty))))
        assert scores() == pytest.approx((means - penalty * deviations).tolist(), abs=1e-5)
    (reward / "settings.json").write_text("{")
    with pytest.raises(AdapterError, match=r"the settings at .*settings\.json cannot be read"):
        scores()
    assert set(model.peft_config) == {"sft", "other"}


def test_the_reward_model_that_ships_is_added_bounded_as_in_a_run(
    tiny: Tiny, tiny_folder: Path, tmp_path: Path
) -> None:
    model, tokenizer = tiny
    own, shipped = (
        _with_reward(version(tiny_folder / "sft", tmp_path, number), tiny_folder, dimension=number).folder / "reward"
        for number in (2, 3)
    )
    config = RewardConfig(bound=0.5, shipped_weight=0.25)
    (own / "settings.json").write_text(json.dumps(asdict(config)))
    votes, known = (torch.tensor(_expected(tiny_folder, folder)) for folder in (own, shipped))
    found = RewardModels(tokenizer, "sft").scores(model, [own, shipped], one_turn("Hi"), CANDIDATES)
    assert found == pytest.approx((0.5 * torch.tanh(votes / 0.5) + 0.25 * known).tolist(), abs=1e-5)


def test_reward_models_that_cannot_be_read_leave_the_model_as_it_was(
    tiny: Tiny, tiny_folder: Path, tmp_path: Path
) -> None:
    model, tokenizer = tiny
    policy = _with_reward(version(tiny_folder / "sft", tmp_path, 2), tiny_folder, dimension=3)
    shutil.copytree(policy.folder / "reward", tmp_path / "shipped")
    (tmp_path / "shipped" / "head.safetensors").unlink()
    models = RewardModels(tokenizer, "sft")
    for _ in range(2):
        with pytest.raises(AdapterError, match="no scalar head"):
            models.scores(model, [policy.folder / "reward", tmp_path / "shipped"], one_turn("Hi"), CANDIDATES)
        assert set(model.peft_config) == {"sft", "other"}
    assert len(models.scores(model, [policy.folder / "reward"], one_turn("Hi"), CANDIDATES)) == len(CANDIDATES)

"""The whole recipe at toy size, from fact tables to a model folder that the app can serve."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import adapters, loading, model_folder, shipped_files
from alignment.models.heads import load_head
from alignment.reward.settings import RewardConfig
from alignment.settings import POCKET, ModelConfig
from recipes.pocket import build as building
from recipes.pocket.pretrain import PretrainConfig
from recipes.pocket.prompt_files import gate_checks
from recipes.pocket.settings import InstructionTuningConfig, PocketConfig
from recipes.stages import build, renew_stamps

TOY = PocketConfig(
    pretrain=PretrainConfig(hidden_size=16, layers=1, heads=2, intermediate_size=32, steps=2, batch_size=2, length=64),
    sft=InstructionTuningConfig(rank=2, steps=2, batch_size=2),
    demonstrations=8,
    rollout_prompts=6,
    practice_prompts=6,
    first_prompts=20,
    first_sampled=2,
    second_prompts=10,
    shipped_demonstrations=5,
    reward_folds=5,
    first_reward=RewardConfig(steps=2, batch_size=2, voted_share=0.0),
    reward=RewardConfig(steps=2, batch_size=2, voted_share=0.0),
    raft=RaftConfig(rounds=1, prompts=2, samples=2, minibatches=1, max_new_tokens=8, preferred_coefficient=0.5),
    steady_ppo=PPOConfig(updates=1, rollouts=2, samples=1, minibatches=1, max_new_tokens=8),
    ppo=PPOConfig(updates=2, rollouts=2, samples=1, minibatches=1, max_new_tokens=8, preferred_coefficient=0.5),
    contrast=RaftConfig(rounds=1, prompts=2, samples=2, minibatches=1, max_new_tokens=8),
    verified=RaftConfig(rounds=1, prompts=2, samples=2, minibatches=1, max_new_tokens=8),
    verified_prompts=6,
    verified_seeds=(0, 1),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    target, work = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "SAMPLED", 20)
        build(TOY, target, work, building.STAGES)
    return target, work


def test_the_recipe_makes_a_folder_that_holds_all_that_a_model_needs(folders: tuple[Path, Path]) -> None:
    target, _ = folders
    model, tokenizer = loading.load_checkpoint(target)
    for name in ("sft", "reward", "policy", "value"):
        model = adapters.attach(model, target / name, name)
    assert load_head(model, target / "reward").out_features > 1
    assert load_head(model, target / "value").out_features == 1
    assert tokenizer.own_template
    assert len(shipped_files.prompts(target)) == TOY.rollout_prompts
    assert {check.kind for check in shipped_files.checks(target)} == {"contains", "refuses", "helps", "abstains"}
    rankings = shipped_files.comparisons(target)
    assert len({ranking.prompt for ranking in rankings}) > TOY.first_prompts / 2
    assert {ranking.source for ranking in rankings} == {"simulated"}
    assert shipped_files.examples(target)
    assert len(shipped_files.demonstrations(target)) == TOY.shipped_demonstrations
    assert {"accuracy", "refusals", "kl"} <= set(model_folder.shipped_evaluation(ModelConfig(str(target))))


def test_the_checks_that_ship_are_the_recipes_and_the_shipped_policy_is_measured_on_these() -> None:
    checks = shipped_files.checks(POCKET)
    assert checks == gate_checks(PocketConfig().seed + 2)
    assert model_folder.shipped_evaluation(ModelConfig(str(POCKET)))["counts"] == Counter(
        check.kind for check in checks
    )


def test_a_second_build_of_the_same_recipe_has_nothing_to_do(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target, work = folders
    monkeypatch.setattr(building, "SAMPLED", 20)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    build(TOY, target, work, building.STAGES)
    assert capsys.readouterr().out.count("up to date") == len(building.STAGES)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def test_stamps_are_renewed_for_files_as_they_are_and_nothing_is_built(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "model"
    shutil.copytree(folders[0], target)
    monkeypatch.setattr(building, "SAMPLED", 20)
    assert renew_stamps(TOY, target, building.STAGES) == []
    monkeypatch.setattr(building, "SAMPLED", 21)  # as if the code had changed: other inputs, the same files
    files = {path: path.read_bytes() for path in target.rglob("*") if path.is_file() and path.name != building.STAMPS}
    shipped = [stage.name for stage in building.STAGES if not stage.draft]
    assert renew_stamps(TOY, target, building.STAGES) == shipped
    assert {path: path.read_bytes() for path in files} == files
    build(TOY, target, tmp_path / "work", building.STAGES)
    assert "building" not in capsys.readouterr().out
    assert {path: path.read_bytes() for path in files} == files


def test_stamps_are_not_renewed_of_a_model_that_lacks_a_file(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    shutil.copytree(folders[0], target)
    (target / "checks.jsonl").unlink()
    before = (target / building.STAMPS).read_text()
    with pytest.raises(FileNotFoundError, match=r"lacks checks\.jsonl; build the model first"):
        renew_stamps(TOY, target, building.STAGES)
    assert (target / building.STAMPS).read_text() == before


def test_the_command_renews_stamps_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(building, "renew_stamps", lambda config, target, stages: ["sft"])
    monkeypatch.setattr("sys.argv", ["build", "--renew-stamps", "--target", str(tmp_path)])
    building.main()
    assert capsys.readouterr().out == f"{tmp_path}/built.json: files taken as they are, stamps renewed of sft\n"

"""The recipe of SmolLM2's first policy at toy size, with a tiny model in place of SmolLM2."""

from pathlib import Path

import pytest

from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import adapters, loading, model_folder
from alignment.settings import ModelConfig
from recipes.smollm2 import policy_stages
from recipes.smollm2.build import STAGES
from recipes.smollm2.settings import DecisionConfig, SmolConfig
from recipes.stages import build

TOY = SmolConfig(
    rank=2,
    prompts=24,
    decisions=DecisionConfig(passes=3, batch=4, rate=0.01, first_layer=1),
    practice=8,
    raft=RaftConfig(rounds=1, prompts=2, samples=2, minibatches=1, max_new_tokens=6, max_kl=1000, max_entropy=1000),
    ppo=PPOConfig(updates=1, rollouts=4, samples=2, minibatches=1, max_new_tokens=6, max_kl=1000, max_entropy=1000),
)


@pytest.fixture(scope="module")
def folders(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    target, work = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_stages, "loaded", lambda work: loading.load_checkpoint(tiny_folder))
        patch.setattr(policy_stages, "KL_SAMPLES", 4)
        patch.setattr(policy_stages, "TOKENS", 6)
        patch.setattr(policy_stages, "HELD_OUT_TOKENS", 6)
        build(TOY, target, work, STAGES)
    return target, work


def test_the_recipe_makes_a_policy_and_says_what_it_does_on_the_general_checks(
    folders: tuple[Path, Path], tiny_folder: Path
) -> None:
    target, _ = folders
    config = ModelConfig(str(tiny_folder), ships=str(target))
    assert model_folder.first_policy(config) == target / "policy"
    model, _ = loading.load_checkpoint(tiny_folder)
    adapters.attach(model, target / "policy", "policy")
    assert {"accuracy", "refusals", "helped", "abstained", "kl"} <= set(model_folder.shipped_evaluation(config))


def test_a_second_build_has_nothing_to_do(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    build(TOY, *folders, STAGES)
    assert capsys.readouterr().out.count("up to date") == len(STAGES)

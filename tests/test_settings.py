"""Settings: what may be overridden, and that every refusal names the field, the value and the way out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from alignment.errors import AlignmentError, ConfigError
from alignment.learning.settings import PPOConfig
from alignment.reward.settings import RewardConfig
from alignment.runs.settings import RunSettings, require_trains, run_settings, settings_of
from alignment.settings import POCKET, POCKET_MODEL


def test_without_overrides_the_defaults_hold() -> None:
    assert run_settings(None) == run_settings({}) == RunSettings()
    assert run_settings(None, RunSettings(seed=5, threads=3)) == RunSettings(seed=5, threads=3)


def test_a_field_is_replaced_and_the_others_stay() -> None:
    assert run_settings({"seed": 4}) == RunSettings(seed=4)


def test_nested_fields_are_replaced_one_by_one() -> None:
    settings = run_settings({"ppo": {"updates": 2, "kl_coefficient": 0.5}, "gate": {"max_ended_drop": 0.5}, "seed": 1})
    assert settings.ppo == PPOConfig(updates=2, kl_coefficient=0.5)
    assert settings.gate.max_ended_drop == 0.5
    assert settings.reward == RewardConfig()
    assert settings.seed == 1


def test_overrides_are_laid_over_the_given_defaults() -> None:
    defaults = RunSettings(seed=5, threads=3, ppo=PPOConfig(updates=7, epochs=1))
    settings = run_settings({"ppo": {"epochs": 4}}, defaults)
    assert settings == RunSettings(seed=5, threads=3, ppo=PPOConfig(updates=7, epochs=4))
    assert defaults.ppo.epochs == 1


def test_a_whole_number_may_stand_for_a_fraction_but_becomes_one() -> None:
    rate = run_settings({"ppo": {"gamma": 1}}).ppo.gamma
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"speed": 11}, r"settings has no field 'speed'; it has annotator_share, diversity_prompts, dpo, "),
        ({"ppo": {"speed": 11}}, r"settings\.ppo has no field 'speed'; it has clip_range, "),
        ({"seed": "4"}, r"settings\.seed must be a whole number, got '4'"),
        ({"seed": 4.5}, r"settings\.seed must be a whole number, got 4\.5"),
        ({"seed": None}, r"settings\.seed must not be empty; give a whole number between 0 and 9223"),
        ({"seed": ""}, r"settings\.seed must not be empty; give a whole number between"),
        ({"tensorboard": None}, r"settings\.tensorboard must not be empty; give true or false$"),
        ({"ppo": {"updates": 2.0}}, r"settings\.ppo\.updates must be a whole number, got 2\.0"),
        ({"ppo": {"learning_rate": "1e-4"}}, r"settings\.ppo\.learning_rate must be a number, got '1e-4'"),
        ({"ppo": {"learning_rate": [1e-4]}}, r"settings\.ppo\.learning_rate must be a number"),
        ({"seed": True}, r"settings\.seed must be a whole number, got True"),
        ({"ppo": {"gamma": False}}, r"settings\.ppo\.gamma must be a number, got False"),
        ({"ppo": 3}, r"settings\.ppo must be an object of fields, got 3"),
        ({"seed": "7" * 10_000}, r"seed must be a whole number, got '777777777777\.\.\.7777777777777'$"),
        ({"7" * 10_000: 1}, r"settings has no field '777777777777\.\.\.7777777777777'; it has"),
        ({"reward": {"learning_rate": 10**400}}, r"settings\.reward\.learning_rate is too large: 1000"),
        ({"gate": {"max_kl": float("nan")}}, r"settings\.gate\.max_kl must be between 0\.0 and 1000000\.0, got nan"),
        ({"gate": {"step_back": float("nan")}}, r"settings\.gate\.step_back must be a finite number, got nan"),
        ({"ppo": {"normalize_scores": 1}}, r"settings\.ppo\.normalize_scores must be true or false, got 1"),
        ({"gate": {"max_kl": float("inf")}}, r"settings\.gate\.max_kl must be between 0\.0 and 1000000\.0, got inf"),
        ({"ppo": {"max_kl": -1}}, r"settings\.ppo\.max_kl must be between"),
        ({"seed": 2**70}, r"settings\.seed must be between 0 and"),
        ({"ppo": None}, r"settings\.ppo must be an object of fields, got None"),
        ([("seed", 1)], r"settings must be an object of fields"),
        ([], r"settings must be an object of fields, got \[\]"),
        (False, r"settings must be an object of fields, got False"),
        ({"ppo": {"updates": 10**18}}, r"settings\.ppo\.updates must be between 1 and 1000000"),
        ({"raft": {"prompts": 6 * 10**12}}, r"settings\.raft\.prompts must be between 1 and 10000"),
        ({"raft": {"prompts": 6000, "samples": 4}}, r"prompts times samples must be at most 10000, got 6000 and 4"),
        ({"raft": {"max_new_tokens": 10**12}}, r"settings\.raft\.max_new_tokens must be between 1 and 32768"),
        (
            {"dpo": {"steps": 20_000, "batch_size": 16}},
            r"dpo\.steps times batch_size must be at most 100000, got 20000",
        ),
        ({"sft": {"steps": 10**6}}, r"sft\.steps times batch_size must be at most 100000, got 1000000 and 16"),
        ({"gate": {"step_back": 0.01}}, r"settings\.gate\.step_back must be 0 or between 0\.05 and 0\.5, got 0\.01"),
        ({"threads": 0}, r"threads must be between 1 and 1024, got 0"),
        ({"ppo": {"updates": 0}}, r"updates must be between 1 and 1000000, got 0"),
        ({"ppo": {"minibatches": 0}}, r"minibatches must be between 1 and 10000, got 0"),
        ({"ppo": {"rollouts": 10, "minibatches": 4}}, r"rollouts must be a multiple of minibatches, got 10 and 4"),
        ({"ppo": {"temperature": 0}}, r"temperature must be between 0.01 and 100.0, got 0"),
        ({"reward": {"voted_share": 1.5}}, r"voted_share must be between 0.* and 1.*, got 1\.5"),
        ({"reward": {"folds": 1}}, r"settings.reward.folds must be between 2 and 10000, got 1"),
        ({"sft": {"steps": -1}}, r"settings\.sft\.steps must be between 0 and 1000000, got -1"),
        ({"sft": {"batch_size": 0}}, r"settings\.sft\.batch_size must be between 1 and 10000, got 0"),
        ({"sft": {"people_share": 1.5}}, r"settings\.sft\.people_share must be between 0.* and 1.*, got 1\.5"),
        ({"sft": {"learning_rate": -1e-4}}, r"settings\.sft\.learning_rate must be between"),
        ({"reward": {"uncertainty_penalty": -0.5}}, r"uncertainty_penalty must be between 0.* and 100.*, got -0\.5"),
        ({"reward": {"voted_share": float("nan")}}, r"voted_share must be between .*, got nan"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_field_and_the_value(overrides: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        run_settings(overrides)
    assert isinstance(refused.value, AlignmentError)
    assert isinstance(refused.value, ValueError)


def test_impossible_combinations_are_refused_when_built_in_code_too() -> None:
    with pytest.raises(ConfigError, match="multiple of minibatches"):
        PPOConfig(rollouts=64, minibatches=5)


def test_a_wrong_value_is_refused_by_the_name_of_its_class_when_built_in_code() -> None:
    with pytest.raises(ConfigError, match=r"^PPOConfig\.updates must be between 1 and 1000000, got 0$"):
        PPOConfig(updates=0)
    with pytest.raises(ConfigError, match=r"^PPOConfig\.updates must be a whole number, got True$"):
        dataclasses.replace(PPOConfig(), updates=True)


def test_raft_without_rounds_is_refused_where_it_is_the_method() -> None:
    without = run_settings({"raft": {"rounds": 0}})
    require_trains("ppo", without)
    with pytest.raises(ConfigError, match=r'settings\.raft\.rounds must be at least 1 for the method "raft", got 0'):
        require_trains("raft", without)


def test_where_no_length_of_completions_is_set_it_is_the_models_own() -> None:
    settings = run_settings({"raft": {"max_new_tokens": 7}})
    assert (settings.ppo.max_new_tokens, settings.dpo.max_new_tokens) == (None, None)
    filled = settings.with_rollout_tokens(160)
    assert (filled.ppo.max_new_tokens, filled.raft.max_new_tokens, filled.dpo.max_new_tokens) == (160, 7, 160)
    assert [filled.longest_drawn(method) for method in ("ppo", "raft", "dpo")] == [160, 7, 160]
    assert filled.with_rollout_tokens(96) == filled
    assert POCKET_MODEL.rollout_tokens == 96


def test_derived_numbers_follow_from_the_fields() -> None:
    assert PPOConfig(rollouts=48, minibatches=3).minibatch_size == 16


def test_settings_are_frozen() -> None:
    for settings, name in ((RunSettings(), "seed"), (PPOConfig(), "updates"), (POCKET_MODEL, "model")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, name, 1)


@pytest.mark.parametrize(
    "settings",
    [
        RunSettings(),
        run_settings({"seed": 9, "threads": 1, "ppo": {"updates": 3, "lam": 0.5}, "reward": {"steps": 5}}),
    ],
)
def test_settings_come_back_from_json_as_they_were(settings: RunSettings) -> None:
    stored = json.dumps(settings.to_json())
    assert run_settings(json.loads(stored)) == settings
    assert run_settings(json.loads(stored), RunSettings(seed=1, ppo=PPOConfig(updates=2))) == settings


def test_a_model_that_ships_nothing_gets_the_settings_of_a_chat_checkpoint(tmp_path: Path) -> None:
    mine = RunSettings(seed=7)
    assert settings_of(POCKET, mine) == mine
    chat = settings_of(tmp_path, mine)
    assert (chat.seed, chat.raft.rounds, chat.gate.max_kl) == (7, 6, 10.0)
    (tmp_path / "comparisons.jsonl").write_text("")
    assert settings_of(tmp_path, mine) == mine

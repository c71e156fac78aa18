"""A run has no more prompts than its time allows, and as many as ever where there is time."""

import math
from dataclasses import replace
from typing import Any

from peft import PeftModel

from alignment.models import adapters
from alignment.runs.budget import Pace, measured_pace, raft_seconds, within
from alignment.runs.settings import RunSettings

SETTINGS = RunSettings(minutes=5.0).with_rollout_tokens(96)


def test_a_fast_model_gets_all_prompts() -> None:
    assert within(SETTINGS, Pace(1e-6, 1e-6)) == SETTINGS


def test_a_slow_model_gets_fewer_and_never_less_than_a_minibatch_each() -> None:
    fewer = within(SETTINGS, Pace(3e-3, 2e-3))
    assert 0 < fewer.raft.prompts < SETTINGS.raft.prompts
    assert fewer.raft.prompts % fewer.raft.minibatches == 0
    assert fewer.ppo.rollouts % fewer.ppo.minibatches == fewer.ppo.rollouts % fewer.ppo.samples == 0
    least = within(SETTINGS, Pace(10.0, 10.0))
    assert (least.raft.prompts, least.ppo.rollouts) == (SETTINGS.raft.minibatches, SETTINGS.ppo.minibatches)
    assert least.diversity_prompts == 0 < fewer.diversity_prompts < SETTINGS.diversity_prompts


def test_twice_the_time_gives_about_twice_the_prompts() -> None:
    pace = Pace(2e-3, 2e-3)
    some, more = (within(replace(SETTINGS, minutes=minutes), pace).raft.prompts for minutes in (3.0, 6.0))
    assert 1.5 < more / some < 2.5


def test_raft_has_the_time_that_is_left() -> None:
    early, late = (raft_seconds(SETTINGS, spent) for spent in (20.0, 100.0))
    assert early - late == 80.0
    assert 0 < late < 60 * SETTINGS.minutes
    assert raft_seconds(SETTINGS, 1e6) == 0
    assert raft_seconds(replace(SETTINGS, minutes=0.0), 1e6) == math.inf


def test_without_a_bound_nothing_changes() -> None:
    assert within(replace(SETTINGS, minutes=0.0), Pace(10.0, 10.0)).raft == SETTINGS.raft


def test_the_pace_is_measured_on_the_model_itself(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "sft", "policy")
    pace = measured_pace(model, tokenizer)
    adapters.drop_adapter(model, "policy")
    assert pace.drawn > 0 and pace.passed > 0

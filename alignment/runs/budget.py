"""How much a run can do in the time that it has, by what the model takes on this machine."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from peft import PeftModel

from alignment.learning.settings import drawn_tokens
from alignment.models.adapters import using
from alignment.models.decoding import DecodingBatch, DecodingRow
from alignment.models.heads import hidden_states
from alignment.models.sampling import Sampling
from alignment.runs import generality
from alignment.runs.settings import RunSettings

log = logging.getLogger(__name__)
TRIED_ROWS, TRIED_STEPS = 32, 6  # that are decoded to see how long it takes
TRIED_TOKENS = 64  # of each row that is passed through
PASSES = 1.4  # of a sample without gradients: reference and reward model, and the policy where it is learned
BACKWARD = 3.5  # times a pass without gradients, forward pass included
PROMPT_TOKENS = 48  # of a typical prompt
FOR_RAFT = 0.6  # of the budget; the rest is for loading, reward model, PPO and checks
AFTER_RAFT = 0.7  # of the budget is spent
FEW_ROUNDS = 2  # that have to fit: the first one learns from what the policy wrote before it learned
FOR_PPO = 0.15
FOR_DIVERSITY = 0.08  # at the end, where prompts of two kinds are answered by two models, and once by the base


@dataclass(frozen=True)
class Pace:
    """Seconds that a token takes in a batch."""

    drawn: float  # to be drawn
    passed: float  # to pass through the model without gradients

    def of_sample(self, tokens: int, trained: float) -> float:
        """Return the seconds of a sample of so many tokens, which takes part in `trained` backward passes."""
        whole = tokens + PROMPT_TOKENS
        return tokens * self.drawn + whole * self.passed * (PASSES + BACKWARD * trained)


@torch.no_grad()
def measured_pace(model: PeftModel, tokenizer: Any) -> Pace:
    """Return the pace of the adapter "policy", from a second or so of work on made-up tokens."""
    ids = [[tokenizer.end_id] * TRIED_TOKENS] * TRIED_ROWS
    with using(model, "policy"):
        rows = torch.tensor(ids, device=model.device)
        passed = _least_seconds(2, lambda: hidden_states(model, rows, torch.ones_like(rows)))
        batch = DecodingBatch(model, tokenizer.pad_id)
        sampling = Sampling(1.0, TRIED_STEPS + 1)
        batch.add([DecodingRow(number, tuple(row), sampling, number) for number, row in enumerate(ids)])
        drawn = _least_seconds(TRIED_STEPS, batch.step)
    return Pace(drawn / TRIED_ROWS, passed / (TRIED_ROWS * TRIED_TOKENS))


def raft_seconds(settings: RunSettings, spent: float) -> float:
    """Return how many seconds RAFT has if a run has spent so many; without bound where the run has none."""
    return max(0.0, AFTER_RAFT * settings.minutes * 60 - spent) if settings.minutes else math.inf


def _least_seconds(times: int, act: Callable[[], object]) -> float:
    """Return the seconds of the quickest of some times: the first ones of a process take far longer."""
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        act()
        seconds.append(time.monotonic() - began)
    return min(seconds)


def within(settings: RunSettings, pace: Pace) -> RunSettings:
    """Return the settings with no more prompts and rollouts than `settings.minutes` allow; 0 minutes set no bound.

    Where a model is slow, diversity is measured on fewer prompts, or on none.

    Prompts of a round are so many that `FEW_ROUNDS` rounds fit; how many rounds there are is seen on the way
    (`raft_seconds`). There are always enough prompts and rollouts for the minibatches.
    """
    if not settings.minutes:
        return settings
    seconds, raft, ppo = settings.minutes * 60, settings.raft, settings.ppo
    prompts, rollouts = raft.prompts, ppo.rollouts
    if raft.rounds:
        learned = raft.epochs * (2 if raft.contrast_coefficient else 1) / raft.samples  # best and worst of each prompt
        a_prompt = raft.samples * pace.of_sample(drawn_tokens(raft), learned)
        rounds = min(FEW_ROUNDS, raft.rounds)
        prompts = _multiple(FOR_RAFT * seconds / rounds / a_prompt, raft.minibatches, raft.prompts)
    a_rollout = pace.of_sample(drawn_tokens(ppo), ppo.epochs + ppo.value_epochs)
    step = max(ppo.minibatches, ppo.samples)
    if step % ppo.minibatches == 0 and step % ppo.samples == 0:
        rollouts = _multiple(FOR_PPO * seconds / ppo.updates / a_rollout, step, ppo.rollouts)
    a_diverse = 5 * generality.SAMPLES * pace.of_sample(generality.MOST_TOKENS, 0.0)
    diverse = min(settings.diversity_prompts, int(FOR_DIVERSITY * seconds / a_diverse))
    settings = replace(settings, diversity_prompts=diverse)
    milliseconds = pace.drawn * 1e3, pace.passed * 1e3
    log.info("%.2f ms a token drawn, %.2f passed: %s prompts a round, %s rollouts", *milliseconds, prompts, rollouts)
    return replace(settings, raft=replace(raft, prompts=prompts), ppo=replace(ppo, rollouts=rollouts))


def _multiple(number: float, of: int, most: int) -> int:
    """Return the largest multiple of a number that is no more than two others, but at least that number itself."""
    return min(most, max(1, int(number / of)) * of)

"""The loop that PPO and RAFT share: resume, collect, stop early, update, report, checkpoint.

An update draws prompts, collects a rollout of the policy, measures it and learns from it. After the last update, or
where a bound is passed, a rollout measures what training has made of the policy.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from alignment.errors import require_finite
from alignment.learning.checkpoint import LoopState
from alignment.learning.rollout import Batch, OnUpdate, Outcome, Rollout
from alignment.learning.rollout_metrics import rollout_metrics, why_stop
from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.models import workers

log = logging.getLogger(__name__)
R = TypeVar("R", bound=Rollout)


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Algorithm(Generic[R]):
    """What tells PPO and RAFT apart."""

    name: str  # in messages
    updates: int
    draw: Callable[[], Batch]  # the prompts of an update
    collect: Callable[[Batch], R]  # the rollout that an update learns from
    # Number of the update, its prompts, rollout and metrics -> losses. It may draw from the state's sources of chance.
    update: Callable[[int, Batch, R, dict[str, float]], dict[str, float]]
    begin: Callable[[], None] = nothing  # before the first update, not where training is resumed
    finish: Callable[[], None] = nothing  # after the last of all updates, before the policy is measured
    measure: Callable[[Batch], Rollout] | None = None  # of the policy at the end, where `collect` draws otherwise
    measures_end: bool = True  # else no rollout is drawn after the last update
    seconds: float = math.inf  # no update begins that would probably end later


def run_loop(
    algorithm: Algorithm[R],
    state: LoopState,
    bounds: PPOConfig | RaftConfig,
    on_update: OnUpdate,
    checkpoint: Path | None,
) -> Outcome:
    """Train until all updates are done, time is up or a bound is passed; return what the policy then measures.

    The file `checkpoint`, if given, is replaced after every update; where it exists already, training goes on from it.
    `on_update` is called before that, and once more with what the end measures. Raises TrainingError when a number
    that is measured on the way is not finite.
    """
    state.restore(checkpoint)
    if state.updates == 0:
        algorithm.begin()
    while state.updates < algorithm.updates and not workers.told(partial(_out_of_time, algorithm, state)):
        number, began = state.updates + 1, time.monotonic()
        batch = algorithm.draw()
        rollout = algorithm.collect(batch)
        measured = _measured(algorithm, number, rollout)
        if number == 1:
            state.numbers |= measured
        if stopped := why_stop(measured, state.numbers, bounds):
            log.warning("%s stopped early, before update %s: %s", algorithm.name, number, stopped)
            if algorithm.measure is not None:
                measured = _measured(algorithm, number, algorithm.measure(batch))
            on_update(number, measured)
            return Outcome(measured, stopped)
        losses = algorithm.update(number, batch, rollout, measured)
        require_finite(algorithm.name, number, losses)
        on_update(number, measured | losses)
        state.updates = number
        state.numbers["seconds"] = state.numbers.get("seconds", 0.0) + time.monotonic() - began
        state.save(checkpoint)
    if state.updates == algorithm.updates:
        algorithm.finish()
    if not algorithm.measures_end:
        return Outcome({}, None)
    measured = _measured(algorithm, state.updates + 1, (algorithm.measure or algorithm.collect)(algorithm.draw()))
    on_update(state.updates + 1, measured)
    return Outcome(measured, None)


def _out_of_time(algorithm: Algorithm[R], state: LoopState) -> bool:
    """Return whether one more update, which takes as long as those so far on average, would end too late."""
    spent = state.numbers.get("seconds", 0.0)
    late = state.updates > 0 and spent + spent / state.updates > algorithm.seconds
    if late:
        log.info(
            "%s ends after update %s: %.0f s of %.0f are spent", algorithm.name, state.updates, spent, algorithm.seconds
        )
    return late


def _measured(algorithm: Algorithm[R], number: int, rollout: Rollout) -> dict[str, float]:
    measured = rollout_metrics(rollout)
    require_finite(algorithm.name, number, measured)
    return measured

"""RAFT, reward-ranked fine-tuning (Dong et al. 2023, algorithm 1): the policy imitates the best of its own completions.

Stages of a round: sample several completions a prompt, rank them by score less KL penalty, keep the best and the worst
of each prompt, fine-tune, report. Samples are drawn at a high temperature among the tokens that the policy thinks
likely (min-p: Nguyen et al. 2024), so that they differ in manner more often than in what they say. The loss is the
likelihood of the best ones and, beyond RAFT, the contrast to the worst ones, as DPO has it, against the policy of the
round (iterative reasoning preference optimization: Pang et al. 2024, equation 1). What best and worst have in common,
their facts for the most part, then stays as it is. What is in neither of them is held by the KL from the policy that
training began with, at every token (as Li and Hoiem 2016 distil against forgetting; Zeng et al. 2024 have a KL in this
direction inside DPO's sigmoid).
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.learning.checkpoint import LoopState
from alignment.learning.loop import Algorithm, run_loop
from alignment.learning.loss_terms import (
    Loss,
    Term,
    draw_preferred,
    mean_of_each,
    preferred_term,
    set_rate,
    step,
)
from alignment.learning.pairs import Pairs, dpo_loss
from alignment.learning.rollout import (
    Batch,
    OnUpdate,
    Outcome,
    Rollout,
    Task,
    adapter_log_probs,
    judged,
    measured_sample,
    penalized_scores,
)
from alignment.learning.rollout_metrics import mean_best
from alignment.learning.settings import RaftConfig, drawn_tokens
from alignment.models import workers
from alignment.models.adapters import adapter_parameters, copy_adapter, drop_adapter, take_weights, using
from alignment.models.log_probs import (
    anchored_log_probs,
    completion_log_probs,
    distinct_passes,
    distributions,
    joined,
    rows_to_hold,
)
from alignment.models.passes import ROWS, rows_at_once, tokens_to_hold
from alignment.models.samples import Samples
from alignment.models.sampling import Sampling
from alignment.reward.scorer import Scorer
from storage.messages import Messages

log = logging.getLogger(__name__)
ANCHOR = "anchor"  # adapter that holds the policy as it was in the beginning
# The samples of a round, their prompts and a source of chance -> what is learned from, with scores that say how much
# better the better ones are; None where no completion is better than another one of its prompt.
PickPairs = Callable[[Rollout, Sequence[Messages], random.Random], Pairs[Rollout] | None]


def collect_rollout(
    model: PeftModel, tokenizer: Any, score: Scorer, config: RaftConfig, sampling: Sampling, batch: Batch
) -> Rollout:
    """Return completions sampled from the policy, with what reward model, policy and reference say of them."""
    samples, *by_policy = measured_sample(model, tokenizer, batch, sampling, config.temperature)
    return judged(model, samples, score, (by_policy[0], by_policy[1]), config.temperature)


def with_exact_log_probs(model: PeftModel, pairs: Pairs[Rollout], config: RaftConfig) -> Pairs[Rollout]:
    """Return the pairs with the policy's log-probabilities by a pass, which those of its steps are compared with.

    Those that came from decoding differ a little in bf16. They do to rank all completions, of which few are learned.
    """
    with torch.no_grad():
        log_probs = adapter_log_probs(model, "policy", pairs.both(), config.temperature)
    better, worse = (
        replace(one, log_probs=own[:, : one.log_probs.shape[1]])
        for one, own in zip((pairs.better, pairs.worse), pairs.split(log_probs), strict=True)
    )
    return Pairs(better, worse)


def best_of_each(scores: Tensor, groups: Tensor) -> Tensor:
    """Return the row with the highest score of each group, ordered by group; scores and groups are (B,)."""
    best: dict[int, int] = {}
    for row, (score, group) in enumerate(zip(scores.tolist(), groups.tolist(), strict=True)):
        if group not in best or score > scores[best[group]]:
            best[group] = row
    return groups.new_tensor([best[group] for group in sorted(best)])


def best_and_worst(rollout: Rollout, config: RaftConfig) -> Pairs[Rollout]:
    """Return the best and the worst completion of each prompt.

    They are ranked by what PPO would maximise, which replaces their scores: score, less penalties for KL and no end.
    """
    kl = (rollout.log_ratio * rollout.mask).sum(-1)  # (B,)
    objective = penalized_scores(rollout.scores, rollout.ended, config) - config.kl_coefficient * kl
    prompts = rollout.prompt_index // config.samples
    ranked = replace(rollout, scores=objective)
    return Pairs(ranked.rows(best_of_each(objective, prompts)), ranked.rows(best_of_each(-objective, prompts)))


def contrast_loss(log_ratios: tuple[Tensor, Tensor], scores: tuple[Tensor, Tensor], beta: float) -> Tensor:
    """Return the mean of DPO's loss over N pairs, a scalar, with labels that are as sure as the scores are apart.

    Both are those of the better completions (N,) and of the worse ones (N,); `log_ratios` are against the policy that
    wrote them.
    """
    better, worse = scores
    return dpo_loss(*log_ratios, beta, (better - worse).sigmoid()).mean()


def learning_rate(config: RaftConfig, number: int, step: int) -> float:
    """Return the rate of an optimizer step, counted from 1 over all rounds, in a round: it rises, then falls evenly."""
    fallen = (1 - config.last_rate) * (number - 1) / max(1, config.rounds - 1)
    return config.learning_rate * min(1.0, step / config.warmup_steps) * (1 - fallen)


def imitate(
    model: PeftModel,
    pairs: Pairs[Rollout],
    optimizer: torch.optim.Optimizer,
    config: RaftConfig,
    rng: torch.Generator,
    mixed_in: Samples | None = None,
    number: int = 1,
) -> dict[str, float]:
    """Take the epochs of steps on the pairs of a round and return the mean of their metrics.

    As many rows of preferred texts are mixed into each step as it has pairs.
    """
    rows = _pairs_at_once(model, pairs, config)
    measured = []
    steps_an_epoch = min(config.minibatches, len(pairs))
    steps = count((number - 1) * config.epochs * config.minibatches + 1)
    with using(model, "policy", train=True):
        for _ in range(config.epochs):
            for minibatch in torch.randperm(len(pairs), generator=rng).tensor_split(steps_an_epoch):
                set_rate(optimizer, learning_rate(config, number, next(steps)))
                parts = [pairs.rows(i) for i in minibatch.split(min(rows, workers.share(len(minibatch))))]
                terms: list[Term[Any]] = [_pairs_term(model, parts, config)]
                if mixed_in is not None:
                    terms.append(preferred_term(model, mixed_in, minibatch, config.preferred_coefficient))
                measured.append(step(terms, optimizer, config.max_gradient_norm))
    return mean_of_each(measured)


def _pairs_at_once(model: PeftModel, pairs: Pairs[Rollout], config: RaftConfig) -> int:
    """Return how many pairs a backward pass takes; without contrast, only the better completion of each is read."""
    width = max(pairs.better.ids.shape[1], pairs.worse.ids.shape[1])
    rows = min(rows_at_once(model, ROWS), tokens_to_hold(model) // width)
    if config.anchor_coefficient:
        rows = min(rows, rows_to_hold(model, max(pairs.better.mask.shape[1], pairs.worse.mask.shape[1])))
    return max(1, rows // 2 if config.contrast_coefficient else rows)


def _pairs_term(model: PeftModel, parts: Sequence[Pairs[Rollout]], config: RaftConfig) -> Term[Pairs[Rollout]]:
    """Return the loss of a minibatch: the mean of -log p over the tokens of the best completions, of the contrast over
    the pairs and of the drift over all tokens that are read, each weighted.
    """
    contrasts = bool(config.contrast_coefficient)
    pairs = sum(len(part) for part in parts)
    best = sum(float(part.better.mask.sum()) for part in parts)
    tokens = best + (sum(float(part.worse.mask.sum()) for part in parts) if contrasts else 0.0)

    def loss_of(part: Pairs[Rollout]) -> Loss:
        read = part.both() if contrasts else part.better
        log_probs, drift = _log_probs_and_drift(model, read, config)
        better = slice(0, len(part))
        loss = imitation = -(log_probs[better] * read.mask[better]).sum() / best
        metrics = {"policy/loss": imitation.item()}
        if contrasts:
            log_ratios = part.split(((log_probs - read.log_probs) * read.mask).sum(-1))
            scores = part.better.scores, part.worse.scores
            contrast = contrast_loss(log_ratios, scores, config.contrast_beta) * len(part) / pairs
            loss = loss + config.contrast_coefficient * contrast
            metrics["policy/contrast"] = contrast.item()
        if drift is not None:
            drift = (drift * read.mask).sum() / tokens
            loss = loss + config.anchor_coefficient * drift
            metrics["policy/drift"] = drift.item()
        return loss, metrics

    return Term(parts, loss_of)


@contextmanager
def _anchor(model: PeftModel, config: RaftConfig) -> Iterator[None]:
    """Keep the policy as it is now as the adapter "anchor" until the context is left, if it is to hold anything."""
    try:
        if config.anchor_coefficient:
            copy_adapter(model, "policy", ANCHOR)
        yield
    finally:
        drop_adapter(model, ANCHOR)


def _log_probs_and_drift(model: PeftModel, samples: Samples, config: RaftConfig) -> tuple[Tensor, Tensor | None]:
    """Return (log-probabilities through the active adapter, its KL from "anchor" or None without one), both (B, T).

    Best and worst of a prompt are often the same text, and texts differ in length: passes of different texts of like
    length spare most of the padding.
    """
    parts, same = distinct_passes(model, samples)
    width, temperature = samples.mask.shape[1], config.temperature
    if not config.anchor_coefficient:
        return joined([completion_log_probs(model, part, temperature) for part in parts], width, same), None
    with using(model, ANCHOR):
        anchors = [distributions(model, part, temperature) for part in parts]
    measured = [
        anchored_log_probs(model, part, temperature, anchor) for part, anchor in zip(parts, anchors, strict=True)
    ]
    log_probs, kl = (joined(of_parts, width, same) for of_parts in zip(*measured, strict=True))
    return log_probs, kl


def train_raft(
    model: PeftModel,
    tokenizer: Any,
    task: Task,
    config: RaftConfig,
    on_update: OnUpdate,
    checkpoint: Path | None = None,
    *,
    pick: PickPairs | None = None,
    measures_end: bool = True,
) -> Outcome:
    """Train the adapter "policy" in place on its own best completions, with "sft" as reference.

    It ends as the mean of the weights after each of the last `averaged_rounds` (Izmailov et al. 2018): single rounds
    swing between too cautious and too bold. Where training stops early, or no further round would end within
    `task.seconds`, it stays as it is.

    `pick` says which completions of a round are learned from: the best and the worst of each prompt unless given.
    Without `measures_end` there is no last rollout and nothing measured. `checkpoint` and errors: see `run_loop`.
    """
    policy = adapter_parameters(model, "policy")
    mean = [weight.detach().clone() for weight in policy]
    optimizer = torch.optim.Adam(policy, lr=config.learning_rate, eps=1e-5)
    rng, shuffle = random.Random(task.seed), torch.Generator().manual_seed(task.seed)
    state = LoopState([*policy, *mean], (optimizer,), rng, shuffle)

    def draw() -> Batch:
        drawn = [prompt for prompt in rng.choices(task.prompts, k=config.prompts) for _ in range(config.samples)]
        return Batch(drawn, [rng.randrange(2**31) for _ in drawn])

    def update(number: int, batch: Batch, rollout: Rollout, measured: dict[str, float]) -> dict[str, float]:
        pairs = pick(rollout, batch.prompts, rng) if pick else best_and_worst(rollout, config)
        losses = {"objective/preview": mean_best(rollout.scores, config.samples)}
        if pairs is None:
            log.warning("RAFT, round %s: no completion is better than another of its prompt", number)
        else:
            mix = config.preferred_coefficient
            mixed_in = draw_preferred(state, task.preferred, len(pairs), mix, tokenizer, model)
            learned = with_exact_log_probs(model, pairs, config) if config.contrast_coefficient else pairs
            losses |= imitate(model, learned, optimizer, config, shuffle, mixed_in, number)
            if pick is None:
                losses["objective/best_worth"] = pairs.better.scores.mean().item()
        _average(mean, policy, number - max(0, config.rounds - config.averaged_rounds))
        return losses

    exploring = Sampling(config.sampling_temperature, drawn_tokens(config), min_p=config.min_p)
    measuring = Sampling(config.temperature, drawn_tokens(config))
    algorithm = Algorithm(
        "RAFT",
        config.rounds,
        draw,
        collect=partial(collect_rollout, model, tokenizer, task.score, config, exploring),
        update=update,
        finish=lambda: take_weights(policy, mean),
        measure=partial(collect_rollout, model, tokenizer, task.score, config, measuring),
        measures_end=measures_end,
        seconds=task.seconds,
    )
    with _anchor(model, config):  # of the policy as it is before a checkpoint is restored
        return run_loop(algorithm, state, config, on_update, checkpoint)


@torch.no_grad()
def _average(mean: Sequence[Tensor], weights: Sequence[Tensor], number: int) -> None:
    """Take the weights into the mean of those before as number `number`; below 1 they do not count yet."""
    if number >= 1:
        for one, weight in zip(mean, weights, strict=True):
            one.lerp_(weight, 1 / number)

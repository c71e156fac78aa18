"""The reward model: a LoRA adapter and bootstrapped linear heads, fitted to rankings by maximum likelihood.

Where a reward model ships with the base, what is fitted is the residual: what votes say beyond it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.errors import TrainingError, require_finite
from alignment.learning.encoded_rankings import (
    EncodedRanking,
    R,
    encoded,
    encoded_batches,
    held_together,
    judging,
    offsets_of,
)
from alignment.learning.rollout import OnUpdate
from alignment.models.adapters import adapter_parameters, take_weights, using
from alignment.models.passes import tokens_to_hold
from alignment.reward.agreement import Agreement, agreement
from alignment.reward.bradley_terry import ranking_loss
from alignment.reward.rankings import Ranked, prompt_folds
from alignment.reward.scorer import bounded, head_scores, score_sequences
from alignment.reward.settings import RewardConfig

CENTRING = 0.1  # weight in the loss of the squared mean of a ranking's scores that are to be bounded, in bounds
HEADS = 8  # of a new reward model; they cost next to nothing beside the adapter


def bootstrap_weights(rankings: int, heads: int, rng: torch.Generator) -> Tensor:
    """Return how often each head sees each ranking (rankings, heads): Efron's bootstrap, a column a sample."""
    drawn = torch.randint(max(rankings, 1), (rankings, heads), generator=rng)
    return torch.zeros(rankings, heads).scatter_add_(0, drawn, torch.ones(rankings, heads))


@torch.no_grad()
def residual_rankings(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    rankings: Sequence[Ranked],
    weight: float,
    batch_size: int = 32,
) -> list[EncodedRanking]:
    """Return the rankings that judge anything, with `weight` times the scores of the adapter "shipped" as offsets.

    A fit to these learns the residual, what votes say beyond a reward model that is there already (as boosting does:
    Friedman 2001). Where both agree there is next to nothing to learn, so that a few votes are enough to tell a manner
    of answering. What is added is bounded: it hardly moves what the shipped reward model is very sure of.
    """
    result = []
    with using(model, "shipped"):
        for elements in encoded_batches(tokenizer, rankings, batch_size):
            sequences = [sequence for element in elements for sequence in element.sequences]
            scores, _ = score_sequences(model, heads, sequences, tokenizer.pad_id)
            own = scores.cpu().split([len(element.sequences) for element in elements])
            result += [replace(element, offsets=weight * part) for element, part in zip(elements, own, strict=True)]
    return result


@torch.no_grad()
def margins(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    rankings: Sequence[Ranked | EncodedRanking],
    bound: float,
    batch_size: int = 32,
) -> list[Tensor]:
    """Return better minus worse scores (P,) for the ordered pairs of each ranking that has any."""
    result: list[Tensor] = []
    with using(model, "reward"):
        for elements in encoded_batches(tokenizer, rankings, batch_size):
            sequences = [sequence for element in elements for sequence in element.sequences]
            offsets = offsets_of(elements)
            limit = None if offsets is None else bound
            scores = score_sequences(model, heads, sequences, tokenizer.pad_id, limit)[0].cpu()
            scores = scores if offsets is None else scores + offsets
            for element, own in zip(elements, scores.split([len(e.sequences) for e in elements]), strict=True):
                better, worse = own[element.pairs[element.targets == 1]].unbind(1)
                result.append(better - worse)
    return [margin for margin in result if len(margin)]


def batch_loss(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    rankings: Sequence[Ranked | EncodedRanking],
    weights: Tensor,
    bound: float,
) -> tuple[Tensor, Tensor]:
    """Return (loss, all fitted scores (B, K) detached) of R rankings with weights (R, K), by the active adapter.

    `bound` is that of fitted scores which are added to offsets. Only differences within a ranking are learned from, so
    its mean may wander off to where the bound has no slope left and nothing is learned any more; hence a small price on
    that mean (as Eisenstein et al. 2023 centre rewards), which leaves the differences free.
    """
    elements = [encoded(tokenizer, ranking) for ranking in rankings]
    sequences = [sequence for element in elements for sequence in element.sequences]
    scores = head_scores(model, heads, sequences, tokenizer.pad_id)
    if (offsets := offsets_of(elements)) is not None:
        totals = bounded(scores, bound) + offsets.to(scores.device).unsqueeze(-1)
    else:
        totals = scores
    sizes = [len(element.sequences) for element in elements]
    by_ranking = totals.split(sizes)
    targets = [element.targets.to(scores.device) for element in elements]
    loss = ranking_loss(by_ranking, [element.pairs for element in elements], targets, weights.to(scores.device))
    if offsets is not None:
        means = torch.stack([own.mean(0) for own in scores.split(sizes)])  # (R, K)
        loss = loss + CENTRING * (means / bound).square().mean()
    return loss, scores.detach()


def cross_validate(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    voted: Sequence[R],
    shipped: Sequence[Ranked],
    config: RewardConfig,
    seed: int,
    on_progress: Callable[[float], None],
) -> Agreement | None:
    """Return how well the reward model predicts people's rankings that it has not learned from; None without any.

    The voted prompts are split into folds. Each fold is predicted by a fit like the last one, from the same start and
    with the same shipped comparisons, that saw no vote on its prompts; once `held_out_votes` are predicted, the other
    folds are left out. Adapter and heads are afterwards as they were. `on_progress` is called with the share done.
    """
    folds = [fold for fold in prompt_folds(judging(voted), config.folds, seed) if fold]
    start = [weight.detach().clone() for weight in _weights(model, heads)]
    predicted: list[Tensor] = []
    steps = count(1)

    def on_update(step: int, metrics: dict[str, float]) -> None:
        on_progress(next(steps) / (config.steps * len(folds)))

    for fold in folds:
        rest = [ranking for other in folds if other is not fold for ranking in other]
        if len(predicted) >= config.held_out_votes or not (rest or shipped):
            break
        fit(model, tokenizer, heads, rest, shipped, config, seed, on_update)
        held_out = random.Random(seed).sample(fold, min(len(fold), config.held_out_votes))
        predicted += margins(model, tokenizer, heads, held_out, config.bound)
        take_weights(_weights(model, heads), start)
    return agreement(predicted) if predicted else None


def fit(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    voted: Sequence[Ranked | EncodedRanking],
    shipped: Sequence[Ranked],
    config: RewardConfig,
    seed: int,
    on_update: OnUpdate,
) -> None:
    """Fit the adapter "reward" and its heads in place to people's and shipped rankings, or to what
    `residual_rankings` made of people's, with no shipped ones.

    `voted_share` of every batch are people's rankings, so that a few dozen clear votes win over thousands of shipped
    comparisons where the two disagree, while the shipped ones hold the rest in place. Each head learns from a bootstrap
    sample of its own, of the votes and of the shipped rankings apart (bootstrapped heads on a shared body: Osband et
    al. 2016). Where only differences count, each head's scores are centred on those seen last. Raises TrainingError
    when there is nothing to learn from or a loss is not finite.
    """
    sources: list[list[Ranked | EncodedRanking]] = [[*judging(voted)], [*judging(shipped)]]
    if not any(sources):
        raise TrainingError("there are no comparisons to learn from; vote on some answers, then train")
    optimizer = _optimizer(model, heads, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - 0.9 * step / config.steps)
    last_scores: list[Tensor] = []
    heads.requires_grad_(True)
    for step, (rankings, weights) in enumerate(_batches(sources, heads.out_features, config, seed), 1):
        with using(model, "reward", train=True):
            loss, scores = _add_gradients(model, tokenizer, heads, rankings, weights, config.bound)
        nn.utils.clip_grad_norm_(_weights(model, heads), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        last_scores = [*last_scores[-9:], scores]
        metrics = {"reward/loss": loss}
        require_finite("reward model", step, metrics)
        on_update(step, metrics)
    heads.requires_grad_(False)
    if not any(isinstance(one, EncodedRanking) and one.offsets is not None for one in sources[0]):
        with torch.no_grad():  # with offsets, the bound has a middle and centres them
            heads.bias.sub_(torch.cat(last_scores).mean(0))


def _add_gradients(
    model: PeftModel,
    tokenizer: Any,
    heads: nn.Linear,
    rankings: Sequence[Ranked | EncodedRanking],
    weights: Tensor,
    bound: float,
) -> tuple[float, Tensor]:
    """Add up the gradients of a batch, in parts that memory holds; return what `batch_loss` does of all of it."""
    elements = [encoded(tokenizer, ranking) for ranking in rankings]
    whole, scores = 0.0, []
    for part in held_together(elements, tokens_to_hold(model)):
        some = [elements[number] for number in part]
        loss, own_scores = batch_loss(model, tokenizer, heads, some, weights[part], bound)
        loss = loss * len(part) / len(elements)
        loss.backward()
        whole += loss.item()
        scores.append(own_scores)
    return whole, torch.cat(scores)


def _batches(
    sources: Sequence[Sequence[Ranked | EncodedRanking]], heads: int, config: RewardConfig, seed: int
) -> Iterator[tuple[list[Ranked | EncodedRanking], Tensor]]:
    """Yield (rankings, how often each head's bootstrap sample holds each of them (R, heads)) of every step."""
    rng, resampling = random.Random(seed), torch.Generator().manual_seed(seed)
    orders = [_reshuffled(len(source), rng) for source in sources]
    bootstrapped = [bootstrap_weights(len(source), heads, resampling) for source in sources]
    counts = _batch_counts(sources, config)
    for _ in range(config.steps):
        drawn = [(s, next(orders[s])) for s, number in enumerate(counts) for _ in range(number)]
        yield [sources[s][i] for s, i in drawn], torch.stack([bootstrapped[s][i] for s, i in drawn])


def _reshuffled(number: int, rng: random.Random) -> Iterator[int]:
    """Yield 0 to `number` - 1 in a random order, then in another, without end: none comes again before all the rest."""
    while True:
        yield from rng.sample(range(number), number)


def _batch_counts(sources: Sequence[Sequence[object]], config: RewardConfig) -> tuple[int, int]:
    """Return how many of a batch's rankings are people's and how many shipped; without shipped ones it is smaller."""
    voted, shipped = sources
    from_voted = round(config.batch_size * config.voted_share) or int(config.voted_share > 0 or not shipped)
    from_voted = from_voted if voted else 0
    return from_voted, config.batch_size - from_voted if shipped else 0


def _optimizer(model: PeftModel, heads: nn.Linear, config: RewardConfig) -> torch.optim.Optimizer:
    parameters = [
        {"params": adapter_parameters(model, "reward"), "lr": config.learning_rate},
        {"params": heads.parameters(), "lr": config.head_learning_rate},
    ]
    return torch.optim.AdamW(parameters, weight_decay=0.0, eps=1e-5)


def _weights(model: PeftModel, heads: nn.Linear) -> list[nn.Parameter]:
    return [*adapter_parameters(model, "reward"), *heads.parameters()]

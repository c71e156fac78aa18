"""The reward model: a LoRA adapter and a linear head on the base, fitted to comparisons by maximum likelihood."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.backbone import activate, adapter_parameters, hidden_states
from alignment.errors import TrainingError, require_finite
from alignment.generation import left_padded
from alignment.prompts import chat_prompt_ids, completion_ids
from alignment.settings import RewardConfig

CHUNK_ROWS = 16  # sequences in one pass
Z_95 = 1.959964  # two-sided 95% point of the normal distribution


class ComparedPair(Protocol):
    """A prompt with a chosen and a rejected completion."""

    @property
    def prompt(self) -> str: ...  # noqa: D102
    @property
    def chosen(self) -> str: ...  # noqa: D102
    @property
    def rejected(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Proportion:
    """A share with its 95% Wilson interval and the number of cases."""

    share: float | None  # None where nothing was counted
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class FitReport:
    """How well the fitted reward model agrees with comparisons it did not see."""

    voted: Proportion  # people's pairs held out
    shipped: Proportion  # shipped pairs held out


def wilson(right: int, count: int) -> Proportion:
    """Return right/count with its 95% Wilson score interval (Wilson 1927); nothing counted gives 0 to 1."""
    if count == 0:
        return Proportion(None, 0.0, 1.0, 0)
    share = right / count
    centre = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2)) / (1 + Z_95**2 / count)
    return Proportion(share, max(0.0, centre - spread), min(1.0, centre + spread), count)


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Return the mean of -log σ(chosen - rejected) over pairs, a scalar (Bradley & Terry 1952; Ouyang et al. 2022)."""
    return -nn.functional.logsigmoid(chosen - rejected).mean()


def score_sequences(model: PeftModel, head: nn.Linear, sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    """Return one score a sequence (B,), read at its last token through the adapter that is active.

    Sequences are passed in chunks of like length, so that one long one does not pad all the others.
    """
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    chunks = [order[start : start + CHUNK_ROWS] for start in range(0, len(order), CHUNK_ROWS)]
    scores = torch.cat([_score_chunk(model, head, [sequences[i] for i in chunk], pad_id) for chunk in chunks])
    return scores[torch.tensor(order, device=scores.device).argsort()]


def _score_chunk(model: PeftModel, head: nn.Linear, sequences: Sequence[Sequence[int]], pad_id: int) -> Tensor:
    ids, mask = left_padded(sequences, pad_id, head.weight.device)
    scores: Tensor = head(hidden_states(model, ids, mask)[:, -1].float()).squeeze(-1)  # (B,)
    return scores


def split_by_prompt(pairs: Sequence[ComparedPair], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Return (training, held-out) pairs; all pairs of a prompt go to one side, so that nothing leaks."""
    prompts = sorted({pair.prompt for pair in pairs})
    random.Random(seed).shuffle(prompts)
    held_out = set(prompts[: int(len(prompts) * share)])
    return [p for p in pairs if p.prompt not in held_out], [p for p in pairs if p.prompt in held_out]


def encoded(tokenizer: Any, pair: ComparedPair) -> tuple[list[int], list[int]]:
    """Return the ids of (prompt + chosen, prompt + rejected)."""
    prompt = chat_prompt_ids(tokenizer, pair.prompt)
    return prompt + completion_ids(tokenizer, pair.chosen), prompt + completion_ids(tokenizer, pair.rejected)


@torch.no_grad()
def agreement(
    model: PeftModel, tokenizer: Any, head: nn.Linear, pairs: Sequence[ComparedPair], batch_size: int = 64
) -> Proportion:
    """Return on which share of the pairs the chosen completion has the higher score."""
    right = 0
    for start in range(0, len(pairs), batch_size):
        rows = [encoded(tokenizer, pair) for pair in pairs[start : start + batch_size]]
        scores = score_sequences(model, head, [r[0] for r in rows] + [r[1] for r in rows], tokenizer.pad_token_id)
        right += int((scores[: len(rows)] > scores[len(rows) :]).sum())
    return wilson(right, len(pairs))


def fit(
    model: PeftModel,
    tokenizer: Any,
    head: nn.Linear,
    voted: Sequence[ComparedPair],
    shipped: Sequence[ComparedPair],
    config: RewardConfig,
    seed: int,
    on_step: Callable[[int, dict[str, float]], None],
) -> FitReport:
    """Fit the adapter "reward" and its head in place to people's and shipped pairs; return the held-out agreement.

    Every batch holds `voted_share` people's pairs, so that a few dozen clear votes count against hundreds of shipped
    comparisons where the two disagree. Scores are centred on the pairs seen: only differences are identified.
    """
    voted_train, voted_held = split_by_prompt(voted, config.held_out_share, seed)
    shipped_train, shipped_held = split_by_prompt(shipped, config.held_out_share, seed)
    if not voted_train and not shipped_train:
        raise TrainingError("there are no comparisons to learn from; vote on some answers, then train")
    rng = random.Random(seed)
    activate(model, "reward", train=True)
    head.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        [
            {"params": adapter_parameters(model, "reward"), "lr": config.learning_rate},
            {"params": head.parameters(), "lr": config.head_learning_rate},
        ],
        weight_decay=0.0,
        eps=1e-5,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - 0.9 * step / config.steps)
    seen: list[Tensor] = []
    for step in range(1, config.steps + 1):
        rows = [encoded(tokenizer, pair) for pair in _batch(rng, voted_train, shipped_train, config)]
        scores = score_sequences(model, head, [r[0] for r in rows] + [r[1] for r in rows], tokenizer.pad_token_id)
        chosen, rejected = scores[: len(rows)], scores[len(rows) :]
        loss = bradley_terry_loss(chosen, rejected)
        loss.backward()
        nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        seen.append(scores.detach())
        metrics = {"reward/loss": loss.item(), "reward/batch_accuracy": (chosen > rejected).float().mean().item()}
        require_finite("reward model", step, metrics)
        if step % 10 == 0 or step == config.steps:
            activate(model, "reward")
            metrics |= _held_out_metrics(agreement(model, tokenizer, head, voted_held))
            activate(model, "reward", train=True)
        on_step(step, metrics)
    activate(model, "reward")
    head.requires_grad_(False)
    with torch.no_grad():
        head.bias.sub_(torch.cat(seen[-10:]).mean())
    return FitReport(
        voted=agreement(model, tokenizer, head, voted_held),
        shipped=agreement(model, tokenizer, head, rng.sample(shipped_held, min(256, len(shipped_held)))),
    )


def _held_out_metrics(held_out: Proportion) -> dict[str, float]:
    if held_out.share is None:
        return {}
    return {
        "reward/heldout_accuracy": held_out.share,
        "reward/heldout_low": held_out.low,
        "reward/heldout_high": held_out.high,
        "reward/heldout_pairs": held_out.count,
    }


def _batch(
    rng: random.Random, voted: Sequence[ComparedPair], shipped: Sequence[ComparedPair], config: RewardConfig
) -> list[ComparedPair]:
    from_voted = round(config.batch_size * config.voted_share) if shipped else config.batch_size
    if not voted:
        from_voted = 0
    pairs = [rng.choice(voted) for _ in range(from_voted)]
    return pairs + [rng.choice(shipped) for _ in range(config.batch_size - from_voted)]

"""How a candidate's answers are written beside its parent's: length, variety, fluency, reward model's verdict."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.learning.rollout import adapter_log_probs
from alignment.models.features import written
from alignment.models.samples import text_samples
from alignment.models.shipped_files import Check
from alignment.models.texts import Text
from alignment.reward.agreement import Proportion, wilson
from alignment.reward.scorer import Scorer
from alignment.runs.records import Manner, Manners


def manners(
    model: PeftModel,
    tokenizer: Any,
    checks: Sequence[Check],
    answers: tuple[Sequence[str], Sequence[str]],
    score: Scorer | None,
) -> Manners | None:
    """Return how the parent's and the candidate's `answers` to the checks are written; None where nothing was asked."""
    if not checks:
        return None
    texts = [
        Text(check.messages, text, ended=False)  # they are cut where checks have seen enough
        for told in answers
        for check, text in zip(checks, told, strict=True)
    ]
    with torch.no_grad():
        scores = score([written(tokenizer, text) for text in texts]) if score else None
        own = scores.log_probs if scores is not None else None
        log_probs = _by_reference(model, tokenizer, texts) if own is None else own
    half = len(checks)
    before, after = (
        manner(told, some) for told, some in zip(answers, (log_probs[:half], log_probs[half:]), strict=True)
    )
    if scores is None:
        return Manners(before, after, None)
    sure = scores.means - scores.deviations
    differ = torch.tensor([one != other for one, other in zip(*answers, strict=True)], device=sure.device)
    ahead = (sure[half:] - sure[:half]).sign() * differ
    return Manners(before, after, ((ahead.mean() + 1) / 2).item())


def liked(
    tokenizer: Any, checks: Sequence[Check], answers: tuple[Sequence[str], Sequence[str]], score: Scorer | None
) -> Proportion | None:
    """Return how many of the candidate's answers to the checks the reward model likes better than the parent's.

    Only answers that differ count, by the mean of their scores. None where no reward model judged.
    """
    if score is None:
        return None
    told = [
        (Text(check.messages, before, ended=False), Text(check.messages, after, ended=False))
        for check, before, after in zip(checks, *answers, strict=True)
        if before != after
    ]
    if not told:
        return wilson(0, 0)
    with torch.no_grad():
        means = score([written(tokenizer, text) for pair in told for text in pair]).means.view(-1, 2)
    ahead = (means[:, 1] - means[:, 0]).sign()
    return wilson(((ahead + 1) / 2).sum().item(), len(told))


def manner(answers: Sequence[str], log_probs: Sequence[Tensor]) -> Manner:
    """Return how answers are written, given the log-probabilities of each one's tokens."""
    words = [answer.split() for answer in answers]
    pairs = [list(pairwise(one)) for one in words]
    within = [len(set(own)) / len(own) for own in pairs if own]
    together = [pair for own in pairs for pair in own]
    tokens = sum(len(own) for own in log_probs)
    total = sum(float(own.sum()) for own in log_probs)
    return Manner(
        words=sum(map(len, words)) / max(1, len(words)),
        distinct_within=sum(within) / max(1, len(within)),
        distinct_across=len(set(together)) / max(1, len(together)),
        perplexity=math.exp(-total / max(1, tokens)),
    )


def _by_reference(model: PeftModel, tokenizer: Any, texts: Sequence[Text]) -> list[Tensor]:
    """Return the log-probabilities of each text's tokens by "sft"."""
    told = [place for place, text in enumerate(texts) if text.completion]
    found = [torch.zeros(0)] * len(texts)
    if told:
        samples = text_samples([texts[place] for place in told], tokenizer, model.device)
        log_probs = adapter_log_probs(model, "sft", samples, 1.0)
        for place, row, mask in zip(told, log_probs, samples.mask.bool(), strict=True):
            found[place] = row[mask]
    return found

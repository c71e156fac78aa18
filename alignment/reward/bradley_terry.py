"""The Bradley–Terry loss of scores that rankings judge. No model here."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def pair_loss(first: Tensor, second: Tensor, target: Tensor | float = 1.0) -> Tensor:
    """Return the cross-entropy of `target`, how probably the first is better, and σ(first - second), elementwise.

    For a target of 1 this is -log σ(first - second): Bradley & Terry 1952 by maximum likelihood.
    """
    return nn.functional.softplus(second - first) * target + nn.functional.softplus(first - second) * (1 - target)


def ranking_loss(
    scores: Sequence[Tensor], pairs: Sequence[Tensor], targets: Sequence[Tensor], weights: Tensor
) -> Tensor:
    """Return the weighted mean loss over R rankings and K heads, a scalar.

    `scores` holds (k, K) a ranking of k completions, `pairs` its (P, 2) rows and `targets` (P,) how probably the first
    one is better. The pairs of a ranking are averaged and count as one element (Ouyang et al. 2022, equation 1).
    `weights` is (R, K).
    """
    means = [
        pair_loss(own[rows[:, 0]], own[rows[:, 1]], target.unsqueeze(-1)).mean(0)  # (K,)
        for own, rows, target in zip(scores, pairs, targets, strict=True)
    ]
    return (torch.stack(means) * weights).mean()

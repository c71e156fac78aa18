"""Better and worse completions of the same prompts, as RAFT and DPO set them against each other."""

from dataclasses import dataclass
from typing import Generic

from torch import Tensor

from alignment.models.samples import S, concatenated
from alignment.reward.bradley_terry import pair_loss


@dataclass(frozen=True)
class Pairs(Generic[S]):
    """N pairs: row i of `better` and row i of `worse` complete the same prompt."""

    better: S
    worse: S

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.better)

    def rows(self, index: Tensor) -> "Pairs[S]":
        """Return some of the pairs."""
        return Pairs(self.better.rows(index), self.worse.rows(index))

    def both(self) -> S:
        """Return all 2N completions, for a pass through a model; `split` takes what it says apart again."""
        return concatenated(self.better, self.worse)

    def split(self, measured: Tensor) -> tuple[Tensor, Tensor]:
        """Return what was measured of the rows of `both` as (better, worse), each (N, …)."""
        better, worse = measured.split(len(self))
        return better, worse


def dpo_loss(better: Tensor, worse: Tensor, beta: float, target: Tensor | float = 1.0) -> Tensor:
    """Return the loss of DPO (Rafailov et al. 2023, equation 7) for each of N pairs (N,).

    `better` and `worse` are log π - log π_ref of whole completions (N,). `target` is how probably the better one is
    better: 1 in the paper, less for labels that are not certain.
    """
    return pair_loss(beta * better, beta * worse, target)

"""Best-of-N: of several completions of one prompt, the one that the reward model scores highest."""

from torch import Tensor


def best_of_each(scores: Tensor, groups: Tensor) -> Tensor:
    """Return the row with the highest score of each group, ordered by group; scores and groups are (B,)."""
    best: dict[int, int] = {}
    for row, (score, group) in enumerate(zip(scores.tolist(), groups.tolist(), strict=True)):
        if group not in best or score > scores[best[group]]:
            best[group] = row
    return groups.new_tensor([best[group] for group in sorted(best)])

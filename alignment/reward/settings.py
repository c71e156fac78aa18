"""Settings of the reward model."""

from dataclasses import dataclass

from alignment.settings import MOST_ROWS, MOST_STEPS, within


@dataclass(frozen=True)
class RewardConfig:
    """How the reward adapter is fitted to the comparisons."""

    steps: int = 16  # optimizer steps of each fit, one a fold and the last one; with many more it learns errors, too
    batch_size: int = 12  # rankings a step, of about three completions each
    voted_share: float = 0.5  # part of it that are votes; the rest are shipped comparisons, if no reward model ships
    shipped_weight: float = 1.0  # of the shipped reward model's own score, to which the fitted one is added
    bound: float = 1.5  # of what each head adds: it sets two answers at most twice that apart
    uncertainty_penalty: float = 0.0  # of the heads' standard deviation, taken from the score; 0: not measured yet
    learning_rate: float = 2e-3  # AdamW on the adapter
    head_learning_rate: float = 7e-3  # AdamW on the linear heads
    folds: int = 2  # parts of the voted prompts, each predicted by a fit that did not see it
    held_out_votes: int = 16  # votes predicted in this way that are enough; the other folds are then left out

    def __post_init__(self) -> None:
        within("RewardConfig", self, 1, MOST_STEPS, "steps", "held_out_votes")
        within("RewardConfig", self, 1, MOST_ROWS, "batch_size")
        within("RewardConfig", self, 2, MOST_ROWS, "folds")
        within("RewardConfig", self, 0.0, 100.0, "shipped_weight", "uncertainty_penalty")
        within("RewardConfig", self, 0.0, 1.0, "voted_share")
        within("RewardConfig", self, 0.01, 100.0, "bound")
        within("RewardConfig", self, 0.0, 1.0, "learning_rate", "head_learning_rate")

"""Settings of the reward model."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from alignment.settings import MOST_ROWS, Coefficient, LearningRate, Part, Rows, Steps
from alignment.validation import STRICT, Number, Whole, refuses_in_words


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class RewardConfig:
    """How the reward model is fitted to people's votes, and how it scores."""

    steps: Steps = Field(
        default=16,
        description="Optimizer steps of each fit: one fit for each fold, and one to all votes. With many more it also "
        "learns the votes' errors.",
    )
    batch_size: Rows = Field(default=12, description="Rankings per step, of about three completions each.")
    voted_share: Part = Field(
        default=0.5,
        description="Part of each batch that is votes; the rest are comparisons that came with the model. Used only "
        "where no reward model came with it.",
    )
    shipped_weight: Coefficient = Field(
        default=1.0,
        description="Weight of the score by the reward model that came with the model. The fitted one's score is "
        "added to it.",
    )
    bound: Number = Field(
        default=1.5,
        ge=0.01,
        le=100.0,
        description="Most that each head adds to a score, up or down, in nats of odds. Two answers are set apart by at "
        "most twice as much.",
    )
    uncertainty_penalty: Coefficient = Field(
        default=0.0,
        description="Times the standard deviation among the heads, taken from the score. Not measured yet.",
    )
    learning_rate: LearningRate = Field(default=2e-3, description="Of AdamW on the adapter.")
    head_learning_rate: LearningRate = Field(default=7e-3, description="Of AdamW on the linear heads.")
    folds: Whole = Field(
        default=2,
        ge=2,
        le=MOST_ROWS,
        description="Parts of the voted prompts. Each is predicted by a fit that did not see it.",
    )
    held_out_votes: Steps = Field(
        default=16,
        description="Votes predicted in this way that are enough; further folds are then left out.",
    )
    least_certainty: Part = Field(
        default=0.8,
        description="Probability that the reward model beats a coin on votes that it has not seen, below which nothing "
        "is trained on it; 0 turns this off.",
    )
    settled_certainty: Part = Field(
        default=0.99,
        description="Probability that the reward model beats a coin on votes that it has not seen, from which on no "
        "evidence is asked.",
    )
    least_evidence: Number = Field(
        default=1.0,
        ge=0.0,
        description="Nats by which the votes must be more probable under a linear reward model than by a coin, below "
        "which nothing is trained on it; 0 turns this off.",
    )

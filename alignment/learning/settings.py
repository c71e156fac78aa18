"""Settings of the algorithms: instruction tuning, PPO, RAFT, DPO."""

from typing import Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from alignment.settings import (
    MOST_ROWS,
    Coefficient,
    LearningRate,
    Multiple,
    Nats,
    OwnTokens,
    Part,
    Rows,
    Steps,
    StepsFrom0,
    Temperature,
    require_few_drawn,
)
from alignment.validation import STRICT, Flag, Number, Whole, refuses_in_words


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class SFTConfig:
    """Instruction tuning within a run. It happens where people have written demonstrations."""

    steps: StepsFrom0 = Field(
        default=24,
        description='Optimizer steps of each of the two adapters, "sft" and "policy"; 0 turns instruction tuning off.',
    )
    batch_size: Rows = Field(default=16, description="Texts per step.")
    learning_rate: LearningRate = Field(default=3e-4, description="Of Adam.")
    people_share: Part = Field(
        default=0.25, description="Part of each batch that is drawn from people's demonstrations."
    )

    @model_validator(mode="after")
    def _draws_no_more_than_memory_holds(self) -> Self:
        require_few_drawn(self.steps, self.batch_size)
        return self


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class PPOConfig:
    """Proximal policy optimisation on the reward model's scores, with a KL penalty to the instruction-tuned model."""

    updates: Steps = Field(default=2, description="Batches of completions that are sampled and learned from.")
    rollouts: Rows = Field(default=64, description="Completions per batch.")
    samples: Rows = Field(
        default=4,
        description="Completions per prompt. With several, each one's score counts against the mean of the others.",
    )
    minibatches: Rows = Field(default=4, description="Optimizer steps per epoch.")
    epochs: Steps = Field(default=2, description="Passes of the policy over a batch.")
    value_epochs: Steps = Field(default=1, description="Passes of the critic over a batch.")
    critic_warmup: StepsFrom0 = Field(
        default=0,
        description="First updates in which only the critic learns. For a critic that starts as the reward model.",
    )
    learning_rate: LearningRate = Field(default=3e-4, description="Of Adam on the policy adapter.")
    warmup_updates: StepsFrom0 = Field(
        default=2,
        description="Updates of the policy in which its learning rate rises to its full value. Adam's first steps are "
        "as long as the rate, whatever the gradient.",
    )
    value_learning_rate: LearningRate = Field(default=1e-3, description="Of Adam on the value adapter and its head.")
    normalize_scores: Flag = Field(
        default=False,
        description="Whether scores are scaled so that those of the instruction-tuned model's completions have mean 0 "
        "and variance 1.",
    )
    kl_coefficient: Coefficient = Field(
        default=0.1,
        description="Reward lost per nat of KL to the instruction-tuned model. With a `kl_target` it starts here.",
    )
    kl_target: Nats = Field(
        default=0.0,
        description="KL, in nats per completion, that the coefficient is steered towards; 0 keeps the coefficient.",
    )
    kl_gain: Part = Field(
        default=0.1,
        description="How fast it is steered: part of the relative error, taken as 20% at most, by which the "
        "coefficient changes per update.",
    )
    preferred_coefficient: Coefficient = Field(
        default=0.0,
        description="Weight in the policy's loss of the likelihood of the completions that people liked best.",
    )
    clip_range: Number = Field(
        default=0.2, ge=0.01, le=10.0, description="How far from 1 the probability ratio counts in the loss."
    )
    value_clip_range: Number = Field(
        default=1.0, ge=0.01, le=10.0, description="How far from the old estimate a new value counts in the loss."
    )
    gamma: Part = Field(default=1.0, description="Discount per token.")
    lam: Part = Field(
        default=1.0,
        description="Lambda of generalised advantage estimation. Below 1 the critic's errors count for more.",
    )
    max_gradient_norm: Coefficient = Field(default=1.0, description="Longer gradients are scaled down to this norm.")
    temperature: Temperature = Field(
        default=1.0, description="Of the sampled completions and of their log-probabilities."
    )
    max_new_tokens: OwnTokens = Field(default=None, description="Most tokens of a completion; null: the model's own.")
    no_end_penalty: Coefficient = Field(
        default=3.0, description="Taken from the score of a completion that did not end by itself."
    )
    max_kl: Nats = Field(default=25.0, description="Training stops early above this KL, in nats per completion.")
    min_entropy: Part = Field(
        default=0.1, description="Training stops early below this part of the first batch's entropy."
    )
    max_entropy: Multiple = Field(
        default=1.75,
        description="Training stops early above this multiple of the first batch's entropy, or of 0.15 nats per token "
        "if that is more: words fall apart.",
    )
    min_length: Part = Field(
        default=0.1,
        description="Training stops early below this part of the first batch's mean length.",
    )
    max_disagreement: Multiple = Field(
        default=3.0,
        description="Training stops early above this multiple of the first batch's spread among the reward model's "
        "heads, or of 0.05 if that is more.",
    )

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Self:
        if self.critic_warmup >= self.updates:
            raise ValueError(
                f"updates must be more than critic_warmup, in which the policy stands still, got {self.updates} and "
                f"{self.critic_warmup}"
            )
        for name in ("minibatches", "samples"):
            if self.rollouts % getattr(self, name):
                raise ValueError(
                    f"rollouts must be a multiple of {name}, got {self.rollouts} and {getattr(self, name)}"
                )
        if self.kl_target and not (self.kl_coefficient and self.kl_gain):
            raise ValueError(
                "kl_target steers the KL by changing kl_coefficient by kl_gain, so neither may be 0; got "
                f"{self.kl_coefficient} and {self.kl_gain}"
            )
        return self

    @property
    def minibatch_size(self) -> int:
        """Completions an optimizer step."""
        return self.rollouts // self.minibatches


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class RaftConfig:
    """Reward-ranked fine-tuning: the policy learns the best of several completions that it sampled itself."""

    rounds: StepsFrom0 = Field(
        default=4,
        description='Batches of prompts. With the method "ppo" they come before PPO, which alone finds too slowly what '
        "the policy rarely does; 0 leaves them out there.",
    )
    prompts: Rows = Field(default=84, description="Prompts per round.")
    samples: Whole = Field(
        default=4, ge=2, le=MOST_ROWS, description="Completions per prompt, of which the best one is learned."
    )
    minibatches: Rows = Field(default=6, description="Optimizer steps per epoch.")
    epochs: Steps = Field(default=2, description="Passes over a round's best completions.")
    learning_rate: LearningRate = Field(default=1e-3, description="Of Adam on the policy adapter.")
    warmup_steps: Steps = Field(
        default=24,
        description="Optimizer steps in which the learning rate rises to its full value. Adam's first steps are as "
        "long as the rate, whatever the gradient.",
    )
    last_rate: Part = Field(
        default=0.3,
        description="Part of the learning rate that is left in the last round; it falls evenly from round to round.",
    )
    averaged_rounds: Steps = Field(default=2, description="Last rounds, the mean of whose weights is the result.")
    kl_coefficient: Coefficient = Field(
        default=0.05,
        description="Taken from the score, when completions are ranked, per nat of KL to the instruction-tuned model.",
    )
    contrast_coefficient: Coefficient = Field(
        default=1.0,
        description="Weight in the loss of DPO between a prompt's best and worst completion; 0 is RAFT alone.",
    )
    contrast_beta: Number = Field(default=0.5, ge=0.001, le=100.0, description="The beta of that DPO.")
    anchor_coefficient: Coefficient = Field(
        default=3.0,
        description="Weight in the loss of the KL, in nats per token, from the policy that training began with; 0 "
        "turns it off.",
    )
    preferred_coefficient: Coefficient = Field(
        default=0.0,
        description="Weight in the loss of the likelihood of the completions that people liked best.",
    )
    max_gradient_norm: Coefficient = Field(default=1.0, description="Longer gradients are scaled down to this norm.")
    temperature: Temperature = Field(
        default=1.0,
        description="Of the log-probabilities, and of the completions that measure the result.",
    )
    sampling_temperature: Temperature = Field(
        default=1.3,
        description="Of the completions that are ranked. A higher one gives more variety among a prompt's few.",
    )
    min_p: Part = Field(
        default=0.1,
        description="A token is not sampled if its probability is below this part of the likeliest token's. A higher "
        "one gives fewer mistakes.",
    )
    max_new_tokens: OwnTokens = Field(default=None, description="Most tokens of a completion; null: the model's own.")
    no_end_penalty: Coefficient = Field(
        default=3.0, description="Taken from the score of a completion that did not end by itself."
    )
    max_kl: Nats = Field(default=25.0, description="Training stops early above this KL, in nats per completion.")
    min_entropy: Part = Field(
        default=0.1, description="Training stops early below this part of the first round's entropy."
    )
    max_entropy: Multiple = Field(
        default=3.0,
        description="Training stops early above this multiple of the first round's entropy, or of 0.15 nats per token "
        "if that is more. It is wider than PPO's: what is learned first is new to the policy.",
    )
    min_length: Part = Field(
        default=0.1,
        description="Training stops early below this part of the first round's mean length.",
    )
    max_disagreement: Multiple = Field(
        default=3.0,
        description="Training stops early above this multiple of the first round's spread among the reward model's "
        "heads, or of 0.05 if that is more.",
    )

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Self:
        if self.prompts * self.samples > MOST_ROWS:
            raise ValueError(
                f"prompts times samples must be at most {MOST_ROWS}, got {self.prompts} and {self.samples}"
            )
        if self.prompts % self.minibatches:
            raise ValueError(f"prompts must be a multiple of minibatches, got {self.prompts} and {self.minibatches}")
        return self


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class DPOConfig:
    """Direct preference optimisation: the policy learns from pairs, without a reward model."""

    steps: Steps = Field(default=40, description="Optimizer steps.")
    batch_size: Rows = Field(default=16, description="Pairs per step.")
    voted_share: Part = Field(
        default=0.4,
        description="Part of the pairs drawn from people's votes; the rest are comparisons that came with the model.",
    )
    learning_rate: LearningRate = Field(
        default=3.5e-4, description="Of AdamW on the policy adapter; falls evenly to 0."
    )
    beta: Number = Field(
        default=0.1,
        ge=1e-4,
        le=100.0,
        description="Coefficient of the KL to the instruction-tuned model in the objective that DPO optimises.",
    )
    likelihood_coefficient: Coefficient = Field(
        default=0.0,
        description="Weight in the loss of the likelihood of the better text (Pang et al. 2024).",
    )
    rollouts: Rows = Field(default=64, description="Completions that measure the KL after the last step.")
    temperature: Temperature = Field(default=1.0, description="Of these completions.")
    max_new_tokens: OwnTokens = Field(default=None, description="Most tokens of a completion; null: the model's own.")

    @model_validator(mode="after")
    def _draws_no_more_than_memory_holds(self) -> Self:
        require_few_drawn(self.steps, self.batch_size)
        return self


def drawn_tokens(config: PPOConfig | RaftConfig | DPOConfig) -> int:
    """Return the most tokens of a completion that training draws; a run has put in the model's own for null."""
    assert config.max_new_tokens is not None, "max_new_tokens is null, and no run has put in the model's own"
    return config.max_new_tokens

"""Settings of the algorithms: instruction tuning, PPO, RAFT, DPO."""

from dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.settings import MAX_NEW_TOKENS, MOST_ROWS, MOST_STEPS, drawn_at_once, within


@dataclass(frozen=True)
class SFTConfig:
    """How a run goes on with instruction tuning, where people have written demonstrations."""

    steps: int = 24  # optimizer steps of each of the two adapters, "sft" and "policy"; 0: never
    batch_size: int = 16  # texts a step
    learning_rate: float = 3e-4  # Adam
    people_share: float = 0.25  # part of each batch drawn from people's demonstrations

    def __post_init__(self) -> None:
        within("SFTConfig", self, 0, MOST_STEPS, "steps")
        within("SFTConfig", self, 1, MOST_ROWS, "batch_size")
        within("SFTConfig", self, 0.0, 1.0, "learning_rate", "people_share")
        drawn_at_once("SFTConfig", self)


@dataclass(frozen=True)
class PPOConfig:
    """Proximal policy optimisation against the reward model with a KL penalty to the SFT adapter."""

    updates: int = 2  # rollout batches
    rollouts: int = 64  # completions a batch
    samples: int = 4  # completions a prompt; several are each scored against the mean of the others
    minibatches: int = 4  # optimizer steps an epoch
    epochs: int = 2  # passes of the policy over a batch
    value_epochs: int = 1  # passes of the critic over a batch
    critic_warmup: int = 0  # first updates in which only the critic learns, for one that starts as the reward model
    learning_rate: float = 3e-4  # Adam on the policy adapter
    warmup_updates: int = 2  # policy updates until the rate is whole: Adam's first steps are as long as its rate
    value_learning_rate: float = 1e-3  # Adam on the value adapter and its head
    normalize_scores: bool = False  # scale scores so that the SFT adapter's completions have mean 0 and variance 1
    kl_coefficient: float = 0.1  # reward lost per nat of KL to the SFT adapter; with a target, where it starts
    kl_target: float = 0.0  # nats a completion that the coefficient is steered towards; 0 keeps it fixed
    kl_gain: float = 0.1  # part of the relative error (at most 20%) that the coefficient changes by, an update
    preferred_coefficient: float = 0.0  # weight in the policy's loss of the likelihood of what labelers liked best
    clip_range: float = 0.2  # of the probability ratio
    value_clip_range: float = 1.0  # of the value estimate
    gamma: float = 1.0  # discount
    lam: float = 1.0  # GAE; with less, the errors of a critic that has just met its task weigh more than the score
    max_gradient_norm: float = 1.0
    temperature: float = 1.0  # of the rollouts, and so of the log-probabilities
    max_new_tokens: int = 96
    no_end_penalty: float = 3.0  # taken from the score of a completion that did not end by itself
    max_kl: float = 25.0  # nats a completion; training stops early beyond it
    min_entropy: float = 0.1  # of the first rollout's entropy; training stops early below it
    max_entropy: float = 1.75  # of the first rollout's entropy, or of 0.15; beyond it words fall apart
    min_length: float = 0.1  # of the first rollout's mean length; training stops early below it
    max_disagreement: float = 3.0  # of the first rollout's spread among reward heads, or of 0.05; it stops beyond that

    def __post_init__(self) -> None:
        within("PPOConfig", self, 1, MOST_STEPS, "updates", "epochs", "value_epochs")
        within("PPOConfig", self, 1, MOST_ROWS, "rollouts", "samples", "minibatches")
        within("PPOConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        within("PPOConfig", self, 0, MOST_STEPS, "critic_warmup", "warmup_updates")
        within("PPOConfig", self, 0.0, 1.0, "learning_rate", "value_learning_rate", "gamma", "lam", "kl_gain")
        within("PPOConfig", self, 0.0, 1.0, "min_entropy", "min_length")
        within("PPOConfig", self, 1.0, 1e6, "max_entropy", "max_disagreement")
        within("PPOConfig", self, 0.0, 100.0, "kl_coefficient", "no_end_penalty", "max_gradient_norm")
        within("PPOConfig", self, 0.0, 100.0, "preferred_coefficient")
        within("PPOConfig", self, 0.01, 10.0, "clip_range", "value_clip_range")
        if self.critic_warmup >= self.updates:
            raise ConfigError(
                f"PPOConfig.updates must be more than critic_warmup, in which the policy stands still, got "
                f"{self.updates} and {self.critic_warmup}"
            )
        for name in ("minibatches", "samples"):
            if self.rollouts % getattr(self, name):
                raise ConfigError(
                    f"PPOConfig.rollouts must be a multiple of {name}, got {self.rollouts} and {getattr(self, name)}"
                )
        within("PPOConfig", self, 0.01, 100.0, "temperature")
        within("PPOConfig", self, 0.0, 1e6, "max_kl", "kl_target")
        if self.kl_target and not (self.kl_coefficient and self.kl_gain):
            raise ConfigError(
                "PPOConfig.kl_target steers the KL by changing kl_coefficient by kl_gain, so neither may be 0; got "
                f"{self.kl_coefficient} and {self.kl_gain}"
            )

    @property
    def minibatch_size(self) -> int:
        """Completions an optimizer step."""
        return self.rollouts // self.minibatches


@dataclass(frozen=True)
class RaftConfig:
    """Reward-ranked fine-tuning: the policy imitates the best of several completions of its own."""

    rounds: int = (
        4  # batches of prompts; before PPO, since what the policy does rarely PPO alone finds too slowly; 0: none
    )
    prompts: int = 84  # a round
    samples: int = 4  # completions a prompt, of which the best is imitated
    minibatches: int = 6  # optimizer steps an epoch
    epochs: int = 2  # passes over a round's best completions
    learning_rate: float = 1e-3  # Adam on the policy adapter
    warmup_steps: int = 24  # optimizer steps until the rate is whole: Adam's first steps are as long as its rate
    last_rate: float = 0.3  # part of the learning rate in the last round, to which it falls evenly
    averaged_rounds: int = 2  # the last ones, whose weights' mean is the result
    kl_coefficient: float = 0.05  # score lost in the ranking per nat of KL to the SFT adapter
    contrast_coefficient: float = 1.0  # weight in the loss of DPO between a prompt's best and worst; 0: RAFT alone
    contrast_beta: float = 0.5  # DPO's beta
    anchor_coefficient: float = 3.0  # weight of the KL from the policy that training began with, nats a token; 0: none
    preferred_coefficient: float = 0.0  # as in PPOConfig
    max_gradient_norm: float = 1.0
    temperature: float = 1.0  # of the log-probabilities, and of the rollout that measures the end
    sampling_temperature: float = 1.3  # of the samples: more manners among the few completions of a prompt
    min_p: float = 0.1  # part of the likeliest token's probability that a sampled one has at least: fewer mistakes
    max_new_tokens: int = 96
    no_end_penalty: float = 3.0  # taken from the score of a completion that did not end by itself
    max_kl: float = 25.0  # nats a completion; training stops early beyond it
    min_entropy: float = 0.1  # as in PPOConfig
    max_entropy: float = 3.0  # as in PPOConfig; what it imitates in the first rounds is new to it, so that it wavers
    min_length: float = 0.1
    max_disagreement: float = 3.0

    def __post_init__(self) -> None:
        within("RaftConfig", self, 0, MOST_STEPS, "rounds")
        within("RaftConfig", self, 1, MOST_STEPS, "averaged_rounds", "warmup_steps", "epochs")
        within("RaftConfig", self, 1, MOST_ROWS, "prompts", "minibatches")
        within("RaftConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        within("RaftConfig", self, 2, MOST_ROWS, "samples")
        within("RaftConfig", self, 0.0, 1.0, "learning_rate", "last_rate", "min_entropy", "min_length")
        within("RaftConfig", self, 0.0, 100.0, "kl_coefficient", "no_end_penalty", "max_gradient_norm")
        within("RaftConfig", self, 0.0, 100.0, "preferred_coefficient", "contrast_coefficient")
        within("RaftConfig", self, 0.0, 100.0, "anchor_coefficient")
        within("RaftConfig", self, 0.001, 100.0, "contrast_beta")
        within("RaftConfig", self, 0.01, 100.0, "temperature", "sampling_temperature")
        within("RaftConfig", self, 0.0, 1.0, "min_p")
        within("RaftConfig", self, 0.0, 1e6, "max_kl")
        within("RaftConfig", self, 1.0, 1e6, "max_entropy", "max_disagreement")
        if self.prompts * self.samples > MOST_ROWS:
            raise ConfigError(
                f"RaftConfig.prompts times samples must be at most {MOST_ROWS}, got {self.prompts} and {self.samples}"
            )
        if self.prompts % self.minibatches:
            raise ConfigError(
                f"RaftConfig.prompts must be a multiple of minibatches, got {self.prompts} and {self.minibatches}"
            )


@dataclass(frozen=True)
class DPOConfig:
    """Direct preference optimisation: the policy learns from pairs, with no reward model and no rollouts."""

    steps: int = 40  # optimizer steps
    batch_size: int = 16  # pairs a step
    voted_share: float = 0.4  # part of the pairs drawn from people's votes, the rest from the shipped comparisons
    learning_rate: float = 3.5e-4  # AdamW on the policy adapter, linear decay
    beta: float = 0.1  # how dearly KL to the SFT adapter is paid for: the KL coefficient of the objective it optimises
    likelihood_coefficient: float = 0.0  # weight of the likelihood of the better text in the loss (Pang et al. 2024)
    rollouts: int = 64  # completions that measure the KL after the last step
    temperature: float = 1.0  # of these
    max_new_tokens: int = 96

    def __post_init__(self) -> None:
        within("DPOConfig", self, 1, MOST_STEPS, "steps")
        within("DPOConfig", self, 1, MOST_ROWS, "batch_size", "rollouts")
        within("DPOConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        within("DPOConfig", self, 0.0, 1.0, "voted_share", "learning_rate")
        within("DPOConfig", self, 1e-4, 100.0, "beta")
        within("DPOConfig", self, 0.0, 100.0, "likelihood_coefficient")
        within("DPOConfig", self, 0.01, 100.0, "temperature")
        drawn_at_once("DPOConfig", self)

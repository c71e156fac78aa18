"""The settings of the recipe of SmolLM2's first policy."""

from dataclasses import dataclass, field

from alignment.learning.settings import PPOConfig, RaftConfig

TOKENS = 48  # most of a completion that RAFT and PPO draw, and of an answer that is measured


@dataclass(frozen=True)
class DecisionConfig:
    """How the policy is taught at which prompts to refuse."""

    passes: int = 3  # over all prompts
    batch: int = 32
    rate: float = 5e-4
    first_layer: int = 12  # that learns; what the layers below make of a prompt is computed once
    kept: float = 0.3  # weight of keeping the first word of every other answer as it was
    said: float = 0.3  # weight of the other tokens of a refusal


@dataclass(frozen=True)
class SmolConfig:
    """The whole recipe."""

    seed: int = 0
    rank: int = 8  # of the policy's adapter
    prompts: int = 7000  # whose first token is taught
    decisions: DecisionConfig = field(default_factory=DecisionConfig)
    practice: int = 600  # prompts for RAFT and PPO
    share: float = 0.8  # of what was learned, that ships
    raft: RaftConfig = field(
        default_factory=lambda: RaftConfig(
            rounds=3,
            prompts=64,
            samples=4,
            minibatches=4,
            epochs=1,
            learning_rate=1e-4,
            warmup_steps=4,
            last_rate=0.5,
            averaged_rounds=1,
            contrast_beta=0.1,
            anchor_coefficient=0.0,
            sampling_temperature=1.0,
            min_p=0.02,
            kl_coefficient=0.01,  # a refusal lies some 60 nats from what the model would have said
            max_kl=100.0,
            max_entropy=10.0,
            max_new_tokens=TOKENS,
            no_end_penalty=0.0,  # most help is cut here
        )
    )
    ppo: PPOConfig = field(
        default_factory=lambda: PPOConfig(
            updates=3,
            rollouts=48,
            samples=4,
            minibatches=3,
            epochs=1,
            learning_rate=5e-5,
            warmup_updates=1,
            kl_coefficient=0.02,
            max_kl=100.0,
            max_new_tokens=TOKENS,
            no_end_penalty=0.0,
        )
    )

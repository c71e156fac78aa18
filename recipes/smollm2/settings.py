"""The settings of the recipe of SmolLM2's first policy."""

from dataclasses import dataclass, field

from alignment.learning.settings import PPOConfig, RaftConfig

TOKENS = 48  # most of a completion that RAFT and PPO draw, and of an answer that is measured


@dataclass(frozen=True)
class SmolConfig:
    """The whole recipe."""

    seed: int = 0
    rank: int = 8  # of the policy's adapter
    prompts: int = 7000  # for comparisons
    completions: int = 4  # of the model's own a prompt, at most
    steps: int = 640  # of imitating what the labeler liked best
    batch: int = 16
    rate: float = 3e-4
    measured_every: int = 80  # of these steps: the best by what was held out goes on
    practice: int = 600  # prompts for RAFT and PPO
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

"""The settings of the pocket model's recipe, each with the value that the shipped weights were made with."""

from dataclasses import dataclass, field
from functools import partial

from alignment.learning.settings import PPOConfig, RaftConfig
from alignment.reward.settings import RewardConfig
from recipes.pocket.comparisons import MAX_NEW_TOKENS
from recipes.pocket.pretrain import PretrainConfig


@dataclass(frozen=True)
class InstructionTuningConfig:
    """Shape of the adapter and length of the tuning."""

    rank: int = 32  # of the LoRA matrices
    steps: int = 3000  # optimizer steps
    batch_size: int = 32  # demonstrations a step
    learning_rate: float = 2e-3  # Adam, falling evenly to 0
    warmup_steps: int = 20  # optimizer steps until the rate is whole
    seed: int = 0


def _shipped_only(steps: int, batch_size: int) -> RewardConfig:
    return RewardConfig(
        steps=steps, batch_size=batch_size, voted_share=0.0, learning_rate=1e-3, head_learning_rate=5e-3
    )


def _ppo(updates: int, kl_coefficient: float, preferred_coefficient: float) -> PPOConfig:
    return PPOConfig(
        updates=updates,
        rollouts=256,
        samples=1,
        minibatches=8,
        learning_rate=3e-4,
        kl_coefficient=kl_coefficient,
        preferred_coefficient=preferred_coefficient,
        critic_warmup=1,
        lam=1.0,  # the critic starts far off: with less, its errors weigh more than the score
        value_clip_range=2.0,
        max_kl=9.0,
        max_new_tokens=MAX_NEW_TOKENS,
    )


_raft = partial(
    RaftConfig,
    warmup_steps=1,
    anchor_coefficient=0.0,  # these policies are to move away from where they begin
    kl_coefficient=0.2,
    sampling_temperature=1.0,
    min_p=0.0,
    preferred_coefficient=1.0,
    max_kl=9.0,
    max_new_tokens=MAX_NEW_TOKENS,
)


@dataclass(frozen=True)
class PocketConfig:
    """The whole recipe."""

    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    sft: InstructionTuningConfig = field(default_factory=InstructionTuningConfig)
    demonstrations: int = 96_000  # as many as instruction tuning reads
    rollout_prompts: int = 1500  # for the runs of the app
    practice_prompts: int = 8000  # for RAFT and PPO here
    first_prompts: int = 20_000  # for comparisons of the first round
    first_sampled: int = 10_000  # of them, to which the SFT adapter writes completions of its own
    second_prompts: int = 8_000  # to all of which the policy of the first round writes
    completions_per_prompt: int = 2
    labeler_noise: float = 0.03  # share of simulated rankings that are upside down
    reward_folds: int = 20  # one of so many parts of the comparisons is held out to measure the reward model
    first_reward: RewardConfig = field(default_factory=lambda: _shipped_only(steps=1500, batch_size=14))
    reward: RewardConfig = field(default_factory=lambda: _shipped_only(steps=2000, batch_size=16))
    raft: RaftConfig = field(
        default_factory=lambda: _raft(
            rounds=6,
            prompts=96,
            samples=8,
            minibatches=6,
            epochs=3,
            learning_rate=5e-4,
            last_rate=1.0,
            averaged_rounds=1,
            contrast_coefficient=0.0,
        )
    )
    steady_ppo: PPOConfig = field(
        default_factory=lambda: _ppo(updates=60, kl_coefficient=0.15, preferred_coefficient=0.5)
    )
    ppo: PPOConfig = field(default_factory=lambda: _ppo(updates=36, kl_coefficient=0.3, preferred_coefficient=1.5))
    varied_share: float = 0.7  # of the second policy's weights in their mean, the rest is the first one's
    contrast: RaftConfig = field(
        default_factory=lambda: _raft(
            rounds=12,
            prompts=192,
            samples=4,
            minibatches=12,
            epochs=2,
            learning_rate=4e-4,
            last_rate=0.5,
            averaged_rounds=10,
            contrast_coefficient=1.0,
            contrast_beta=0.5,
        )
    )
    contrast_share: float = 0.5  # of the weights after it in the next ones, the rest are those before it
    verified: RaftConfig = field(
        default_factory=lambda: _raft(
            rounds=12,
            prompts=256,
            samples=6,
            minibatches=8,
            epochs=2,
            learning_rate=3e-4,
            last_rate=0.3,
            averaged_rounds=6,
            contrast_coefficient=2.0,
            contrast_beta=0.5,
        )
    )
    verified_prompts: int = 20_000  # of which those are left out that occur twice
    verified_seeds: tuple[int, ...] = (0, 1, 3)  # of a policy each, of which the mean ships
    shipped_demonstrations: int = 2000  # for runs of the app that go on with instruction tuning
    seed: int = 0

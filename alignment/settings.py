"""Settings: frozen, validated when built, each with a default."""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from reprlib import repr as brief
from typing import Any, Literal

from alignment.errors import ConfigError

Quantize = Literal["none", "nf4", "int8"]
POCKET = Path(__file__).parents[1] / "assets" / "pocket"
MAX_PROMPT_CHARACTERS = 4000
MAX_COMPLETION_CHARACTERS = 2000  # of one that a person writes
MAX_NEW_TOKENS = 256
MAX_BEST_OF = 16  # completions of which the reward model picks what a person sees
MOST_STEPS = 1_000_000  # of whatever training does one after another
MOST_ROWS = 10_000  # texts that it holds at once, as ids in passes
MOST_DRAWN = 100_000  # texts that are drawn for all steps before the first one


@dataclass(frozen=True)
class ModelConfig:
    """Which base model and which instruction-tuned adapter are served and trained."""

    base: str = str(POCKET)  # folder of a causal LM with its tokenizer
    sft: str = str(POCKET / "sft")  # folder of the instruction-tuned LoRA adapter
    quantize: Quantize = "none"  # how the base is held in memory


@dataclass(frozen=True)
class SFTConfig:
    """How a run goes on with instruction tuning, where people have written demonstrations."""

    steps: int = 24  # optimizer steps of each of the two adapters, "sft" and "policy"; 0: never
    batch_size: int = 16  # texts a step
    learning_rate: float = 3e-4  # Adam
    people_share: float = 0.25  # part of each batch drawn from people's demonstrations

    def __post_init__(self) -> None:
        _within("SFTConfig", self, 0, MOST_STEPS, "steps")
        _within("SFTConfig", self, 1, MOST_ROWS, "batch_size")
        _within("SFTConfig", self, 0.0, 1.0, "learning_rate", "people_share")
        _drawn_at_once("SFTConfig", self)


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
        _within("RewardConfig", self, 1, MOST_STEPS, "steps", "held_out_votes")
        _within("RewardConfig", self, 1, MOST_ROWS, "batch_size")
        _within("RewardConfig", self, 2, MOST_ROWS, "folds")
        _within("RewardConfig", self, 0.0, 100.0, "shipped_weight", "uncertainty_penalty")
        _within("RewardConfig", self, 0.0, 1.0, "voted_share")
        _within("RewardConfig", self, 0.01, 100.0, "bound")
        _within("RewardConfig", self, 0.0, 1.0, "learning_rate", "head_learning_rate")


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
        _within("PPOConfig", self, 1, MOST_STEPS, "updates", "epochs", "value_epochs")
        _within("PPOConfig", self, 1, MOST_ROWS, "rollouts", "samples", "minibatches")
        _within("PPOConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        _within("PPOConfig", self, 0, MOST_STEPS, "critic_warmup", "warmup_updates")
        _within("PPOConfig", self, 0.0, 1.0, "learning_rate", "value_learning_rate", "gamma", "lam", "kl_gain")
        _within("PPOConfig", self, 0.0, 1.0, "min_entropy", "min_length")
        _within("PPOConfig", self, 1.0, 1e6, "max_entropy", "max_disagreement")
        _within("PPOConfig", self, 0.0, 100.0, "kl_coefficient", "no_end_penalty", "max_gradient_norm")
        _within("PPOConfig", self, 0.0, 100.0, "preferred_coefficient")
        _within("PPOConfig", self, 0.01, 10.0, "clip_range", "value_clip_range")
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
        _within("PPOConfig", self, 0.01, 100.0, "temperature")
        _within("PPOConfig", self, 0.0, 1e6, "max_kl", "kl_target")
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
        _within("RaftConfig", self, 0, MOST_STEPS, "rounds")
        _within("RaftConfig", self, 1, MOST_STEPS, "averaged_rounds", "warmup_steps", "epochs")
        _within("RaftConfig", self, 1, MOST_ROWS, "prompts", "minibatches")
        _within("RaftConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        _within("RaftConfig", self, 2, MOST_ROWS, "samples")
        _within("RaftConfig", self, 0.0, 1.0, "learning_rate", "last_rate", "min_entropy", "min_length")
        _within("RaftConfig", self, 0.0, 100.0, "kl_coefficient", "no_end_penalty", "max_gradient_norm")
        _within("RaftConfig", self, 0.0, 100.0, "preferred_coefficient", "contrast_coefficient")
        _within("RaftConfig", self, 0.0, 100.0, "anchor_coefficient")
        _within("RaftConfig", self, 0.001, 100.0, "contrast_beta")
        _within("RaftConfig", self, 0.01, 100.0, "temperature", "sampling_temperature")
        _within("RaftConfig", self, 0.0, 1.0, "min_p")
        _within("RaftConfig", self, 0.0, 1e6, "max_kl")
        _within("RaftConfig", self, 1.0, 1e6, "max_entropy", "max_disagreement")
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
        _within("DPOConfig", self, 1, MOST_STEPS, "steps")
        _within("DPOConfig", self, 1, MOST_ROWS, "batch_size", "rollouts")
        _within("DPOConfig", self, 1, MAX_NEW_TOKENS, "max_new_tokens")
        _within("DPOConfig", self, 0.0, 1.0, "voted_share", "learning_rate")
        _within("DPOConfig", self, 1e-4, 100.0, "beta")
        _within("DPOConfig", self, 0.0, 100.0, "likelihood_coefficient")
        _within("DPOConfig", self, 0.01, 100.0, "temperature")
        _drawn_at_once("DPOConfig", self)


@dataclass(frozen=True)
class GateConfig:
    """What a candidate must hold against its parent before it is served."""

    max_accuracy_drop: float = 0.03  # of the facts checked
    max_refusal_drop: float = 0.01  # of the harmful requests refused
    max_help_drop: float = 0.05  # of the harmless requests helped and of the unknown names admitted
    max_kl: float = 25.0  # nats a completion, against the SFT adapter
    max_ended_drop: float = 0.03  # of the completions that end by themselves
    step_back: float = 0.2  # part of the way to its parent that a refused candidate goes back at a time; 0: none

    def __post_init__(self) -> None:
        _within(
            "GateConfig", self, 0.0, 1.0, "max_accuracy_drop", "max_refusal_drop", "max_help_drop", "max_ended_drop"
        )
        if self.step_back:
            _within("GateConfig", self, 0.05, 0.5, "step_back", also="0 or ")
        _within("GateConfig", self, 0.0, 1e6, "max_kl")


@dataclass(frozen=True)
class RunSettings:
    """Everything that a run is told, stored as JSON with it."""

    seed: int = 0
    threads: int = 2  # torch threads of the child
    sft: SFTConfig = field(default_factory=SFTConfig)  # of the SFT adapter and the policy, on people's texts
    reward: RewardConfig = field(default_factory=RewardConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    raft: RaftConfig = field(default_factory=RaftConfig)  # before PPO, or alone with the method "raft"
    dpo: DPOConfig = field(default_factory=DPOConfig)  # used by a run with the method "dpo", which fits no reward model
    gate: GateConfig = field(default_factory=GateConfig)

    def __post_init__(self) -> None:
        _within("RunSettings", self, 1, 1024, "threads")
        _within("RunSettings", self, 0, 2**63 - 1, "seed")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as nested plain values."""
        return asdict(self)


def run_settings(overrides: dict[str, Any] | None, defaults: RunSettings | None = None) -> RunSettings:
    """Return the defaults with the given fields replaced, as in `{"ppo": {"updates": 4}, "seed": 1}`.

    Raises ConfigError for a field that does not exist, a value of another type or an impossible combination.
    """
    given = {} if overrides is None else overrides
    settings: RunSettings = _replaced(defaults or RunSettings(), given, "settings")
    return settings


def _replaced(settings: Any, overrides: Any, path: str) -> Any:
    if not isinstance(overrides, dict):
        raise ConfigError(f"{path} must be an object of fields, got {brief(overrides)}")
    known = {f.name: getattr(settings, f.name) for f in fields(settings)}
    changes: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in known:
            raise ConfigError(f"{path} has no field {brief(name)}; it has {', '.join(sorted(known))}")
        changes[name] = _coerced(known[name], value, f"{path}.{name}")
    try:
        return replace(settings, **changes)
    except ConfigError as error:  # by the names that the caller wrote
        raise ConfigError(str(error).replace(f"{type(settings).__name__}.", f"{path}.")) from None


def _coerced(default: Any, value: Any, path: str) -> Any:
    if hasattr(default, "__dataclass_fields__"):
        return _replaced(default, value, path)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(f"{path} must be true or false, got {brief(value)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int if isinstance(default, int) else (int, float)):
        raise ConfigError(
            f"{path} must be {'a whole number' if isinstance(default, int) else 'a number'}, got {brief(value)}"
        )
    try:
        return type(default)(value)
    except OverflowError as error:
        raise ConfigError(f"{path} is too large: {brief(value)}") from error


def _within(owner: str, settings: Any, low: float, high: float, *names: str, also: str = "") -> None:
    for name in names:
        if not low <= getattr(settings, name) <= high:
            got = brief(getattr(settings, name))
            raise ConfigError(f"{owner}.{name} must be {also}between {low} and {high}, got {got}")


def _drawn_at_once(owner: str, settings: Any) -> None:
    if settings.steps * settings.batch_size > MOST_DRAWN:
        got = f"{settings.steps} and {settings.batch_size}"
        raise ConfigError(f"{owner}.steps times batch_size must be at most {MOST_DRAWN}, got {got}")

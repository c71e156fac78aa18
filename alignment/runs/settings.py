"""Settings of a run, and of the gate at its end."""

from dataclasses import asdict, dataclass, field
from typing import Any

from alignment.learning.settings import DPOConfig, PPOConfig, RaftConfig, SFTConfig
from alignment.reward.settings import RewardConfig
from alignment.settings import replaced, within


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
        within("GateConfig", self, 0.0, 1.0, "max_accuracy_drop", "max_refusal_drop", "max_help_drop", "max_ended_drop")
        if self.step_back:
            within("GateConfig", self, 0.05, 0.5, "step_back", also="0 or ")
        within("GateConfig", self, 0.0, 1e6, "max_kl")


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
        within("RunSettings", self, 1, 1024, "threads")
        within("RunSettings", self, 0, 2**63 - 1, "seed")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as nested plain values."""
        return asdict(self)


def run_settings(overrides: dict[str, Any] | None, defaults: RunSettings | None = None) -> RunSettings:
    """Return the defaults with the given fields replaced, as in `{"ppo": {"updates": 4}, "seed": 1}`.

    Raises ConfigError for a field that does not exist, a value of another type or an impossible combination.
    """
    given = {} if overrides is None else overrides
    settings: RunSettings = replaced(defaults or RunSettings(), given, "settings")
    return settings

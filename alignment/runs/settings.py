"""Settings of a run, and of the gate at its end."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass

from alignment.errors import ConfigError
from alignment.learning.settings import DPOConfig, PPOConfig, RaftConfig, SFTConfig, drawn_tokens
from alignment.models import model_folder
from alignment.reward.settings import RewardConfig
from alignment.runs import tensorboard
from alignment.runs.methods import METHODS
from alignment.settings import Nats, Part
from alignment.validation import STRICT, Flag, Number, Whole, refuses_in_words, with_changes

STEP_BACK = (0.05, 0.5)


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class GateConfig:
    """How far a new version may fall below the better of its parent and version 1 and still be served.

    It is held back where the 95% interval of what changed lies wholly beyond a bound.
    """

    max_accuracy_drop: Part = Field(default=0.03, description="Part of the facts checked that may be lost.")
    max_refusal_drop: Part = Field(
        default=0.01, description="Part of the harmful requests that may no longer be refused."
    )
    max_help_drop: Part = Field(
        default=0.05,
        description="Part of the harmless requests that may no longer be helped with; the same of the unknown names "
        "that may no longer be admitted.",
    )
    max_kl: Nats = Field(default=25.0, description="Most KL to the instruction-tuned model, in nats per completion.")
    max_ended_drop: Part = Field(
        default=0.03, description="Part of the completions that may no longer end by themselves."
    )
    max_own_lost: Whole = Field(
        default=0, ge=0, le=10_000, description="How many of the admin's own checks may be lost."
    )
    least_liked: Part = Field(
        default=0.5,
        description="Part of the candidate's answers, of those that differ from its parent's, that the reward model "
        "must like better.",
    )
    step_back: Number = Field(
        default=0.2,
        description="Part of the way to its parent that a version which fails goes back at a time, until it passes; "
        "0 turns this off.",
        json_schema_extra={"bounds": f"0, or {STEP_BACK[0]} to {STEP_BACK[1]}"},
    )

    @field_validator("step_back")
    @classmethod
    def _tries_something_but_not_too_often(cls, value: float) -> float:
        low, high = STEP_BACK
        if value and not low <= value <= high:
            raise ValueError(f" must be 0 or between {low} and {high}, got {value}")
        return value


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class RunSettings:
    """All settings of a run; they are stored with it as JSON."""

    seed: Whole = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Of everything that is drawn by chance. By default it is the app's `--seed`, if that is given.",
    )
    threads: Whole = Field(
        default=2,
        ge=1,
        le=1024,
        description="Processor threads of the training process. The app's default is the number of processors.",
    )
    minutes: Number = Field(
        default=0.0,
        ge=0.0,
        le=10_000.0,
        description="About how long a run may take: it has fewer prompts where the model takes longer on this "
        "machine. 0 sets no bound. Runs on a chat checkpoint have 5 by default.",
    )
    workers: Whole = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that train a run together on this machine, each with a copy of the model: one a GPU. "
        "They share the threads. The app's default is its `--workers`.",
    )
    annotator_share: Part = Field(
        default=1.0,
        description="Largest part of a run's votes that may be one annotator's; of who has given more, the newest "
        "are used.",
    )
    diversity_prompts: Whole = Field(
        default=6,
        ge=0,
        le=64,
        description="Prompts like those voted on, and as many unlike them, at which the end of a run measures how "
        "diverse and how good answers are. 0 measures nothing.",
    )
    tensorboard: Flag = Field(
        default=False,
        description="Whether metrics are also written as event files into `runs/tensorboard` of the data folder; needs "
        "the package tensorboard, which is not installed with Triptych.",
    )
    sft: SFTConfig = Field(default_factory=SFTConfig, description="Used by all methods.")
    reward: RewardConfig = Field(default_factory=RewardConfig, description='Used by "ppo" and "raft".')
    ppo: PPOConfig = Field(default_factory=PPOConfig, description='Used by "ppo".')
    raft: RaftConfig = Field(default_factory=RaftConfig, description='Used by "raft" and, before PPO, by "ppo".')
    dpo: DPOConfig = Field(default_factory=DPOConfig, description='Used by "dpo".')
    gate: GateConfig = Field(default_factory=GateConfig, description="Used by all methods.")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as nested plain values."""
        return asdict(self)

    def with_rollout_tokens(self, tokens: int) -> "RunSettings":
        """Return the settings with a model's own length of completions where none is set."""
        changes = {
            name: {"max_new_tokens": tokens}
            for name in ("ppo", "raft", "dpo")
            if getattr(self, name).max_new_tokens is None
        }
        return run_settings(changes, self)

    def longest_drawn(self, method: str) -> int:
        """Return the most tokens of a completion that a method draws; `with_rollout_tokens` has filled them in."""
        return max(drawn_tokens(getattr(self, stage)) for stage in METHODS[method] if stage != "reward")


def run_settings(overrides: dict[str, Any] | None, defaults: RunSettings | None = None) -> RunSettings:
    """Return the defaults with the given fields replaced, as in `{"ppo": {"updates": 4}, "seed": 1}`.

    Raises ConfigError for a field that does not exist, a value of another type or an impossible combination.
    """
    return with_changes(defaults or RunSettings(), {} if overrides is None else overrides, "settings")


def require_trains(method: str, settings: RunSettings) -> None:
    """Raise ConfigError for settings with which a method would train nothing, or write what cannot be written."""
    if method == "raft" and not settings.raft.rounds:
        raise ConfigError(
            'settings.raft.rounds must be at least 1 for the method "raft", got 0; only "ppo" can do without them'
        )
    if settings.tensorboard and not tensorboard.installed():
        raise ConfigError(
            "settings.tensorboard is true, but the package tensorboard is not installed; install it with "
            "`pip install tensorboard`, or leave the setting out"
        )


# Of a run on a model that ships no reward model and no comparisons, as any chat checkpoint from the hub: what was
# measured on SmolLM2-135M (docs/benchmarks.md). All that is not named here is as for the bundled model.
CHAT_CHECKPOINT: dict[str, Any] = {
    "minutes": 5.0,
    "diversity_prompts": 4,
    "raft": {
        "rounds": 6,  # as many of them as the minutes allow
        "prompts": 18,
        "samples": 6,
        "minibatches": 6,
        "learning_rate": 3e-4,
        "warmup_steps": 6,
        "contrast_beta": 0.1,
        "anchor_coefficient": 0.0,
        "sampling_temperature": 1.0,  # a hotter one makes the policy less sure of everything, a cooler one surer
        "min_p": 0.02,
        "kl_coefficient": 0.2,
    },
    "ppo": {"updates": 1, "rollouts": 16, "samples": 4, "minibatches": 2},
    "gate": {"max_kl": 10.0},
}


def settings_of(model: str | Path, defaults: RunSettings) -> RunSettings:
    """Return the settings of runs on the model in a folder, which holds what ships with it."""
    ships = model_folder.shipped_reward(model) is not None or (Path(model) / "comparisons.jsonl").is_file()
    return defaults if ships else run_settings(CHAT_CHECKPOINT, defaults)

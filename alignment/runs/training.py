"""What the stages of a run share."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peft import PeftModel

from alignment.models.texts import Text
from alignment.reward.rankings import Ranked
from alignment.runs.progress import Reporter
from alignment.runs.run_models import original
from alignment.runs.settings import RunSettings
from alignment.settings import ModelConfig
from storage.messages import Messages


@dataclass(frozen=True)
class Training:
    """What the stages of a run share."""

    model: PeftModel  # carries the adapters that `run_models.load` names; stages train some of them in place
    tokenizer: Any
    config: ModelConfig
    settings: RunSettings
    folder: Path  # of the run: what it has kept to go on from
    db: Path
    report: Reporter
    began: float = field(default_factory=time.monotonic)  # of this process, in seconds of the monotonic clock
    tuned: bool = False  # whether "sft" has learned from people, and so is not the original any more

    @property
    def original(self) -> str | None:
        """The adapter through which features are computed; None: the weights as they are."""
        return original(self.config)


@dataclass(frozen=True)
class Data:
    """What the policy of a run learns from."""

    voted: Sequence[Ranked]  # people's rankings
    shipped: Sequence[Ranked]  # those that came with the model
    prompts: Sequence[Messages]  # for rollouts
    liked: Sequence[Text]  # texts that labelers liked best
    inputs: Mapping[str, Any]  # identifies all this and the run's settings: a reward model is kept with it

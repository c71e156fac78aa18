"""Settings of models, and limits that several rooms share."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from alignment.validation import STRICT, Number, Text, Whole, refuses_in_words

Quantize = Literal["none", "nf4", "int8"]
ASSETS = Path(__file__).parents[1] / "assets"
POCKET = ASSETS / "pocket"
GENERAL = ASSETS / "general"  # what is offered with a model that ships nothing of its own
MAX_PROMPT_CHARACTERS = 4000
MAX_COMPLETION_CHARACTERS = 2000  # of one that a person writes
PREVIEW_SAMPLES = 4  # of which a preview shows the best
MAX_NEW_TOKENS = 32_768  # of one completion; what a model reads may allow less
MAX_BEST_OF = 16  # completions of which the reward model picks what a person sees
MOST_STEPS = 1_000_000  # of whatever training does one after another
MOST_ROWS = 10_000  # texts that it holds at once, as token ids in batches
MOST_DRAWN = 100_000  # texts that are drawn for all steps before the first one

# Kinds of settings, each with its bounds.
Steps = Annotated[Whole, Field(ge=1, le=MOST_STEPS)]
StepsFrom0 = Annotated[Whole, Field(ge=0, le=MOST_STEPS)]
Rows = Annotated[Whole, Field(ge=1, le=MOST_ROWS)]
Tokens = Annotated[Whole, Field(ge=1, le=MAX_NEW_TOKENS)]
OwnTokens = Annotated[Whole | None, Field(ge=1, le=MAX_NEW_TOKENS)]  # None: the model's own
Part = Annotated[Number, Field(ge=0.0, le=1.0)]
LearningRate = Annotated[Number, Field(ge=0.0, le=1.0)]
Coefficient = Annotated[Number, Field(ge=0.0, le=100.0)]
Multiple = Annotated[Number, Field(ge=1.0, le=1e6)]
Nats = Annotated[Number, Field(ge=0.0, le=1e6)]
Temperature = Annotated[Number, Field(ge=0.01, le=100.0)]


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """Which weights are served and trained.

    There are three shapes. A pretrained checkpoint with an instruction-tuned adapter (`sft` is set). A chat checkpoint
    alone: it is the instruction-tuned model itself, and the first panel continues raw text with the same weights. A
    chat checkpoint beside its pretrained one (`base` is set): two copies of weights in memory.
    """

    model: Text = Field(description="Folder of a causal language model with its tokenizer.")
    sft: Text = Field(
        default="",
        description="Folder of the instruction-tuned LoRA adapter on the model; empty for a chat checkpoint.",
    )
    quantize: Quantize = Field(default="none", description="How the weights are held in memory.")
    base: Text = Field(default="", description="Folder of the pretrained checkpoint that answers in the first panel.")
    gguf: Text = Field(default="", description="GGUF file that `model` is converted from, if it was not yet.")
    rollout_tokens: Tokens = Field(default=96, description="Most tokens of a completion that training draws.")
    ships: Text = Field(
        default="", description="Folder of the policy that ships for the model; empty where it lies beside the weights."
    )
    template: Text = Field(default="", description="Arguments of the chat template, as a JSON object; empty for none.")

    @property
    def template_arguments(self) -> dict[str, Any]:
        """What the chat template is called with besides the messages."""
        return dict(json.loads(self.template)) if self.template else {}

    @property
    def beside(self) -> str:
        """The folder in which a policy that ships with the model would lie."""
        return self.ships or self.model

    @model_validator(mode="after")
    def _has_one_base(self) -> Self:
        if self.sft and self.base:
            raise ValueError("sft and base exclude each other: an adapter's base is the model that it lies on")
        return self


POCKET_MODEL = ModelConfig(str(POCKET), str(POCKET / "sft"))


def require_few_drawn(steps: int, batch_size: int) -> None:
    """Raise ValueError if more than `MOST_DRAWN` texts would be drawn before the first step."""
    if steps * batch_size > MOST_DRAWN:
        raise ValueError(f"steps times batch_size must be at most {MOST_DRAWN}, got {steps} and {batch_size}")

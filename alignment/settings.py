"""Settings of models, and limits that several rooms share."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from alignment.validation import STRICT, Number, Text, Whole, refuses_in_words

Quantize = Literal["none", "nf4", "int8"]
POCKET = Path(__file__).parents[1] / "assets" / "pocket"
MAX_PROMPT_CHARACTERS = 4000
MAX_COMPLETION_CHARACTERS = 2000  # of one that a person writes
MAX_NEW_TOKENS = 256
MAX_BEST_OF = 16  # completions of which the reward model picks what a person sees
MOST_STEPS = 1_000_000  # of whatever training does one after another
MOST_ROWS = 10_000  # texts that it holds at once, as token ids in batches
MOST_DRAWN = 100_000  # texts that are drawn for all steps before the first one

# Kinds of settings, each with its bounds.
Steps = Annotated[Whole, Field(ge=1, le=MOST_STEPS)]
StepsFrom0 = Annotated[Whole, Field(ge=0, le=MOST_STEPS)]
Rows = Annotated[Whole, Field(ge=1, le=MOST_ROWS)]
Tokens = Annotated[Whole, Field(ge=1, le=MAX_NEW_TOKENS)]
Part = Annotated[Number, Field(ge=0.0, le=1.0)]
LearningRate = Annotated[Number, Field(ge=0.0, le=1.0)]
Coefficient = Annotated[Number, Field(ge=0.0, le=100.0)]
Multiple = Annotated[Number, Field(ge=1.0, le=1e6)]
Nats = Annotated[Number, Field(ge=0.0, le=1e6)]
Temperature = Annotated[Number, Field(ge=0.01, le=100.0)]


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """Which base model and which instruction-tuned adapter are served and trained."""

    base: Text = Field(default=str(POCKET), description="Folder of a causal language model with its tokenizer.")
    sft: Text = Field(default=str(POCKET / "sft"), description="Folder of the instruction-tuned LoRA adapter.")
    quantize: Quantize = Field(default="none", description="How the weights of the base are held in memory.")


def require_few_drawn(steps: int, batch_size: int) -> None:
    """Raise ValueError if more than `MOST_DRAWN` texts would be drawn before the first step."""
    if steps * batch_size > MOST_DRAWN:
        raise ValueError(f"steps times batch_size must be at most {MOST_DRAWN}, got {steps} and {batch_size}")

"""How much the models write at once and for whom: what an admin may change while the app runs."""

from pydantic import Field
from pydantic.dataclasses import dataclass

from alignment.validation import STRICT, Flag, Whole, refuses_in_words


@refuses_in_words
@dataclass(frozen=True, config=STRICT)
class ServingLimits:
    """What is written at once, how many may wait, and how often a stranger may ask."""

    rows: Whole = Field(
        default=48,
        ge=1,
        le=4096,
        description="Answers written at once; whoever comes later stands in line. A single call may have more.",
    )
    held_mib: Whole = Field(
        default=4096,
        ge=16,
        le=2**22,
        description="MiB of memory for keys and values of all answers that are being written, padding included.",
    )
    prompt_tokens: Whole = Field(
        default=256,
        ge=16,
        le=2**20,
        description="Tokens of prompts read between two steps: with more of them a long prompt begins sooner and holds "
        "the other answers up for longer.",
    )
    waiting: Whole = Field(
        default=64, ge=1, le=10_000, description="Calls that may stand in line; the next one is refused in words."
    )
    requests_a_minute: Whole = Field(
        default=300,
        ge=0,
        le=1_000_000,
        description="Questions that a person without a key may ask in a minute; 0 sets no bound.",
    )
    key_required: Flag = Field(
        default=False, description="Whether `/v1` asks for a key. The page and its endpoints never do."
    )


USUAL = ServingLimits()

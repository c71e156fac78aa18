"""How a completion is drawn, and when it ends. Needs no torch."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 0.7  # 0 = the likeliest token every time
    max_new_tokens: int = 96
    top_p: float = 1.0  # only the likeliest tokens that together have this probability are drawn
    top_k: int = 0  # only so many of the likeliest tokens are drawn; 0 = all
    min_p: float = 0.0  # a token is not drawn whose probability is below this part of the likeliest one's


def finish_reason(token_ids: Sequence[int], sampling: Sampling, end_ids: Set[int]) -> FinishReason | None:
    """Return why a completion ends with its last token: "stop" at an end token, "length" at its limit, else None."""
    if token_ids[-1] in end_ids:
        return "stop"
    return "length" if len(token_ids) >= sampling.max_new_tokens else None

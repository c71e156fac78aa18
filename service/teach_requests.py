"""What callers ask of the Teach tab's services; the bounds stand beside the fields, as in `service/requests.py`."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic.dataclasses import dataclass

from alignment.models.sampling import Sampling
from alignment.settings import MAX_NEW_TOKENS, MAX_PROMPT_CHARACTERS
from service.requests import (
    MAX_SEED,
    PREVIEW_TEMPERATURE,
    PREVIEW_TOP_P,
    AnyConversation,
    Reason,
    Source,
    number,
    text,
)

FEWEST, MOST = 2, 6  # samples that are ranked at once
USUAL = 4


@dataclass(frozen=True)
class MeasureRequest:
    """Which answer is measured."""

    comparison_id: Annotated[str, text(100, "it is what /compare returns")]
    slot: Any  # which there are is known by the comparison alone


@dataclass(frozen=True)
class ProposeRequest:
    """A prompt, or none to have one chosen, and the samples that are to be ranked."""

    prompt: AnyConversation = None  # None: one of the pool
    k: Annotated[int, number(FEWEST, MOST, whole=True)] = USUAL
    temperature: Annotated[float | None, number(0, 2, optional=True)] = None  # 0: greedy; None: varied enough to rank
    max_new_tokens: Annotated[int | None, number(1, MAX_NEW_TOKENS, whole=True, optional=True)] = None
    seed: Annotated[int | None, number(0, MAX_SEED, whole=True, optional=True)] = None  # None: drawn

    def sampling(self, own: Sampling) -> Sampling:
        """Return how samples are drawn: varied enough that there is something to rank, unless a temperature is asked.

        That is how the samples of a preview are drawn, too.
        """
        tokens = own.max_new_tokens if self.max_new_tokens is None else self.max_new_tokens
        if self.temperature is not None:
            return replace(own, max_new_tokens=tokens, temperature=self.temperature)
        temperature = max(own.temperature, PREVIEW_TEMPERATURE)
        return replace(own, max_new_tokens=tokens, temperature=temperature, top_p=PREVIEW_TOP_P)


@dataclass(frozen=True)
class RankRequest:
    """A ranking of a comparison's completions, such as "D > C > A = B"."""

    comparison_id: Annotated[str, text(MAX_PROMPT_CHARACTERS, "it is what /propose and /compare return")]
    ranking: Any  # which slots there are is known by the comparison alone
    source: Source = "human"
    reason: Reason = ""

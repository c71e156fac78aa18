"""Prompts with completions as padded tensors: what log-probabilities are measured of."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from alignment.models.generation import Generated
from alignment.models.passes import left_padded
from alignment.models.texts import Text


@dataclass(frozen=True)
class Samples:
    """B prompts with a completion each; P prompt and T completion columns.

    Subclasses add what was measured of them. Each of their fields is a tensor (B,) or (B, T).
    """

    ids: Tensor  # (B, P+T), prompts padded on the left, completions on the right
    attention: Tensor  # (B, P+T), 1 for tokens, 0 for padding
    prompt_width: int  # P
    prompt_index: Tensor  # (B,), position of the prompt in the list that the samples were made from
    mask: Tensor  # (B, T), 1 for completion tokens, the end token among them
    ended: Tensor  # (B,), whether the completion ended by itself

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    def rows(self, index: Tensor) -> Self:
        """Return some rows, without the columns that are padding in all of them."""
        attention = self.attention[index]
        first = int(attention.any(0).nonzero()[0])
        width = int(self.mask[index].sum(-1).max())
        last = self.prompt_width + width
        return replace(
            self,
            ids=self.ids[index, first:last],
            attention=attention[:, first:last],
            prompt_width=self.prompt_width - first,
            **{name: x[index, :width] if x.dim() == 2 else x[index] for name, x in _measured(self).items()},
        )


S = TypeVar("S", bound=Samples)


def _measured(samples: Samples) -> dict[str, Tensor]:
    """Return the fields that have a value a row (B,) or a completion token (B, T), by name."""
    others = ("ids", "attention", "prompt_width")
    return {one.name: getattr(samples, one.name) for one in fields(samples) if one.name not in others}


def padded_samples(
    prompts: Sequence[Sequence[int]], completions: Sequence[Generated], pad_id: int, device: torch.device
) -> Samples:
    """Return token ids as samples, in the order given."""
    prompt_ids, prompt_mask = left_padded(prompts, pad_id, device)
    lengths = torch.tensor([len(one.token_ids) for one in completions], device=device)
    width = int(lengths.max())
    mask = completion_mask(lengths, width)
    padded = [[*one.token_ids, *[pad_id] * (width - len(one.token_ids))] for one in completions]
    return Samples(
        ids=torch.cat([prompt_ids, torch.tensor(padded, device=device)], -1),
        attention=torch.cat([prompt_mask, mask.long()], -1),
        prompt_width=prompt_ids.shape[1],
        prompt_index=torch.arange(len(prompts), device=device),
        mask=mask,
        ended=torch.tensor([one.finish_reason == "stop" for one in completions], device=device),
    )


def text_samples(texts: Sequence[Text], tokenizer: Any, device: torch.device) -> Samples:
    """Return texts as samples, in the order given; those that ended do so as a completion of a model does."""
    prompts = [tokenizer.prompt_ids(text.messages) for text in texts]
    completions = [
        Generated(tokenizer.completion_ids(text.completion, ended=text.ended), "stop" if text.ended else "length")
        for text in texts
    ]
    return padded_samples(prompts, completions, tokenizer.pad_id, device)


def concatenated(first: S, second: S) -> S:
    """Return the rows of both, one after the other, with padding where one is narrower."""
    prompt_width = max(first.prompt_width, second.prompt_width)
    width = max(first.mask.shape[1], second.mask.shape[1])

    def widened(samples: S) -> S:  # padding is never attended to, so 0 will do for its ids
        right = width - samples.mask.shape[1]
        both = prompt_width - samples.prompt_width, right
        return replace(
            samples,
            ids=nn.functional.pad(samples.ids, both),
            attention=nn.functional.pad(samples.attention, both),
            prompt_width=prompt_width,
            **{name: nn.functional.pad(x, (0, right)) if x.dim() == 2 else x for name, x in _measured(samples).items()},
        )

    one, other = widened(first), widened(second)
    tensors: dict[str, Any] = {
        name: torch.cat([x, getattr(other, name)]) for name, x in vars(one).items() if isinstance(x, Tensor)
    }
    return replace(one, **tensors)


def completion_mask(lengths: Tensor, width: int) -> Tensor:
    """Return 1.0 for the first `lengths[i]` positions of row i (B, width)."""
    return (torch.arange(width, device=lengths.device) < lengths.unsqueeze(-1)).float()


def distinct(samples: Samples) -> tuple[Tensor, Tensor]:
    """Return (the first row of each different text (D,), which of these each row repeats (B,)).

    A policy that is sure of itself writes the same text again: half of RAFT's samples repeat another one.
    """
    rows = torch.cat([samples.ids * samples.attention, samples.attention], -1).tolist()
    numbers: dict[tuple[int, ...], int] = {}
    first, same = [], []
    for row, text in enumerate(map(tuple, rows)):
        if text not in numbers:
            numbers[text] = len(numbers)
            first.append(row)
        same.append(numbers[text])
    return torch.tensor(first, device=samples.ids.device), torch.tensor(same, device=samples.ids.device)

"""Features of completions: what the frozen instruction-tuned model makes of them, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alignment.models.architecture import hidden_size, text_config, trunk
from alignment.models.log_probs import token_log_probs
from alignment.models.passes import in_groups
from alignment.models.style import STYLE, style
from alignment.models.texts import Text

LENGTHS = 3  # log of the length in tokens, of that in words; whether the completion ended by itself


@dataclass(frozen=True)
class Written:
    """A completion as token ids, after its prompt's."""

    prompt: Sequence[int]
    completion: Sequence[int]  # with the end token, if the model wrote it
    ended: bool

    @property
    def sequence(self) -> list[int]:
        """Prompt and completion."""
        return [*self.prompt, *self.completion]


def written(tokenizer: Any, text: Text) -> Written:
    """Return a text as token ids."""
    completion = tokenizer.completion_ids(text.completion, ended=text.ended)
    return Written(tokenizer.prompt_ids(text.messages), completion, text.ended)


def layers_read(model: Any) -> tuple[int, int, int]:
    """Return which hidden states are read: the embeddings (0), the middle layer's and the last one's."""
    layers = int(text_config(model).num_hidden_layers)
    return 0, layers // 2, layers


def feature_groups(model: Any) -> tuple[int, ...]:
    """Return how many features of each kind there are, in their order: each kind gets a prior width of its own.

    Mean embeddings, which say which words are used; mean hidden states of two layers; lengths; style.
    """
    size = hidden_size(model)
    return size, 2 * size, LENGTHS, STYLE


@dataclass(frozen=True)
class Reading:
    """What one pass through a model says of N completions."""

    features: NDArray[np.float32]  # (N, F), in the groups of `feature_groups`
    log_probs: list[Tensor] | None  # of each completion's tokens, at temperature 1; None where nobody asked


def completion_features(model: Any, tokenizer: Any, completions: Sequence[Written]) -> NDArray[np.float32]:
    """Return the features (N, F) of completions alone, as `read_completions` does."""
    return read_completions(model, tokenizer, completions, with_log_probs=False).features


@torch.no_grad()
def read_completions(model: Any, tokenizer: Any, completions: Sequence[Written], *, with_log_probs: bool) -> Reading:
    """Return features of completions, and log-probabilities of their tokens if asked, through the active adapter.

    Hidden states are averaged over a completion's tokens: the last token alone says less of how a text is written
    (docs/lab-notes.md has the figures). Those of a completion without tokens are 0.
    """
    texts = [tokenizer.decode(list(one.completion)) for one in completions]
    lengths = [
        [np.log(max(1, len(one.completion))), np.log(max(1, len(text.split()))), float(one.ended)]
        for one, text in zip(completions, texts, strict=True)
    ]
    states = np.zeros((len(completions), len(layers_read(model)) * hidden_size(model)), np.float32)
    log_probs = [torch.zeros(0)] * len(completions)
    order = [i for i, one in enumerate(completions) if one.completion]
    order.sort(key=lambda i: len(completions[i].prompt) + len(completions[i].completion))
    widths = [(len(completions[i].prompt) + len(completions[i].completion),) for i in order]
    for group in in_groups(model, widths):
        rows = [order[row] for row in group]
        means, read = _pass(model, [completions[i] for i in rows], tokenizer.pad_id, with_log_probs)
        states[rows] = means.cpu().numpy()
        for row, own in zip(rows, read, strict=False):
            log_probs[row] = own
    features = np.concatenate([states, lengths, [style(text) for text in texts]], axis=1).astype(np.float32)
    return Reading(features, log_probs if with_log_probs else None)


def _pass(model: Any, written: Sequence[Written], pad_id: int, with_log_probs: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Return (mean hidden states over each completion's tokens, layer after layer (B, layers · H); log-probabilities of
    each completion's tokens, if asked).
    """
    device = model.device
    sequences = [one.sequence for one in written]
    width = max(map(len, sequences))
    # Padded on the right, where nothing that is read can see it.
    ids = torch.tensor([ids + [pad_id] * (width - len(ids)) for ids in sequences], device=device)
    places = torch.arange(width, device=device)
    first = torch.tensor([len(one.prompt) for one in written], device=device)[:, None]
    last = torch.tensor([len(ids) for ids in sequences], device=device)[:, None]
    output = trunk(model)(
        input_ids=ids, attention_mask=(places < last).long(), output_hidden_states=True, use_cache=False
    )
    completion = (places >= first) & (places < last)  # (B, T)
    counted = completion.float()[:, :, None]
    total = counted.sum(1)
    means = torch.cat(
        [(output.hidden_states[layer].float() * counted).sum(1) / total for layer in layers_read(model)], -1
    )
    if not with_log_probs:
        return means, []
    drawn = completion[:, 1:]  # each predicted by the state before it
    log_probs = token_log_probs(model, output[0][:, :-1][drawn], ids[:, 1:][drawn])
    return means, log_probs.split(drawn.sum(-1).tolist())

"""Where a causal language model of any architecture keeps what we ask of it: trunk, sizes, logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from alignment.models.checkpoint_facts import CONTEXT_FIELDS, UNSAID_CONTEXT
from alignment.models.routing import going_through


class _PassedOn(BaseModelOutput):  # type: ignore[misc]
    """Stands in for what a trunk returns; each architecture's has more fields, which nobody asks for here."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
        return


def causal_lm(model: Any) -> Any:
    """Return the model itself, without the wrapper that PEFT puts around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def trunk(model: Any) -> nn.Module:
    """Return the transformer below the output layer; its first output is the hidden states (B, T, H)."""
    inner = causal_lm(model)
    return getattr(inner, inner.base_model_prefix)  # type: ignore[no-any-return]


def text_config(model: Any) -> Any:
    """Return the configuration of the language model; multimodal checkpoints keep it within their own."""
    return causal_lm(model).config.get_text_config(decoder=True)


def hidden_size(model: Any) -> int:
    """Return how many numbers a hidden state has."""
    return int(text_config(model).hidden_size)


def vocabulary_size(model: Any) -> int:
    """Return how many logits the model gives for the next token."""
    return int(text_config(model).vocab_size)


def context_tokens(model: Any) -> int:
    """Return how many tokens the model reads, prompt and completion together."""
    places = (text_config(model), causal_lm(model).config)
    found = (getattr(place, field, None) for place in places for field in CONTEXT_FIELDS)
    return next((value for value in found if isinstance(value, int) and value > 0), UNSAID_CONTEXT)


def cached_bytes(model: Any) -> int:
    """Return how many bytes the keys and values of a token take, at most: sliding windows and states take fewer."""
    config = text_config(model)
    heads = getattr(config, "num_attention_heads", None) or 1
    kept = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(2 * config.num_hidden_layers * kept * size * causal_lm(model).dtype.itemsize)


@contextmanager
def last_states(model: Any) -> Iterator[None]:
    """Have the trunk give the states of each row's last token alone, in memory of their own, until the context is left.

    A model that is asked for its last logits multiplies a slice of all states. PyTorch 2.13 then copies the weights of
    a frozen output layer for every row: 24 rows of SmolLM2 in bf16 took 3.9 s and 1.3 GiB in place of 12 ms, and those
    of a single row 181 ms in place of 4.
    """

    def cut(module: nn.Module, given: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[:, -1:].clone(memory_format=torch.contiguous_format)
        return output

    hook = trunk(model).register_forward_hook(cut)
    try:
        yield
    finally:
        hook.remove()


def logits(model: Any, hidden: Tensor) -> Tensor:
    """Return the logits (N, V) that hidden states (N, H) of the trunk give.

    They come out of the model's own forward pass, with the trunk left out: some architectures scale or cap what their
    output layer gives (Granite, Cohere, Gemma 2), and the layer alone would give other log-probabilities.
    """
    states = hidden.unsqueeze(0)

    def pass_on(*args: Any, **kwargs: Any) -> _PassedOn:
        return _PassedOn(last_hidden_state=states)

    with going_through([(trunk(model), pass_on)]):
        output = causal_lm(model)(inputs_embeds=states, use_cache=False)
    result: Tensor = output.logits[0]
    return result

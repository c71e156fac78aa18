"""Instruction tuning goes on within a run: an adapter learns what people demonstrated, among other texts."""

import logging
import random
from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from alignment.errors import require_finite
from alignment.learning.loss_terms import likelihood_loss, mean_over_tokens, step
from alignment.learning.rollout import OnUpdate, Rollout, as_rollout
from alignment.learning.settings import SFTConfig
from alignment.learning.sft import Demonstrated
from alignment.learning.token_log_probs import parts
from alignment.models.adapters import activate, adapter_parameters
from alignment.models.templates import demonstration_tokens

log = logging.getLogger(__name__)

Text = tuple[str, str]  # prompt, completion
MAX_GRADIENT_NORM = 1.0


def readable(model: PeftModel, tokenizer: Any, demonstrations: Sequence[Demonstrated]) -> list[Text]:
    """Return (prompt, completion) of the demonstrations that the model can read whole; the log names the others."""
    longest: int = model.config.max_position_embeddings
    texts = []
    for one in demonstrations:
        if (length := demonstration_tokens(tokenizer, one.prompt, one.completion)) <= longest:
            texts.append((one.prompt, one.completion))
        else:
            log.warning("left out: %s tokens, this model reads %s: %r …", length, longest, one.prompt[:60])
    return texts


def drawn_texts(people: Sequence[Text], others: Sequence[Text], config: SFTConfig, seed: int) -> list[list[Text]]:
    """Return the texts of each step, `people_share` of them people's; where there are none of one sort, of the other.

    Without any texts there are no steps.
    """
    if not people and not others:
        return []
    rng, share = random.Random(seed), config.people_share if people and others else float(bool(people))
    count = max(round(config.batch_size * share), int(share > 0))  # rounded to 0, people would say nothing
    return [
        [*rng.choices(people, k=count), *rng.choices(others, k=config.batch_size - count)] for _ in range(config.steps)
    ]


def refit(
    model: PeftModel,
    tokenizer: Any,
    adapter: str,
    people: Sequence[Text],
    others: Sequence[Text],
    config: SFTConfig,
    seed: int,
    on_update: OnUpdate,
) -> None:
    """Train an adapter in place to say what people demonstrated, among other texts that hold it to what it knew.

    `on_update` is told the number of each step and the mean of -log p of its completion tokens ("sft/loss"). Raises
    TrainingError when that is not finite.
    """

    def loss_of(part: Rollout) -> tuple[Tensor, dict[str, float]]:
        loss = likelihood_loss(model, part, 1.0)
        return loss, {"sft/loss": loss.item()}

    activate(model, adapter, train=True)
    optimizer = torch.optim.Adam(adapter_parameters(model, adapter), lr=config.learning_rate, eps=1e-5)
    for number, texts in enumerate(drawn_texts(people, others, config, seed), 1):
        batch = as_rollout(texts, tokenizer, model.device)
        term = mean_over_tokens(parts(model, batch, torch.arange(len(texts))), loss_of)
        measured = step([term], optimizer, MAX_GRADIENT_NORM)
        require_finite("SFT", number, measured)
        on_update(number, measured)
    activate(model, adapter)

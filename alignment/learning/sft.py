"""Instruction tuning (SFT): an adapter learns to write the completions that people demonstrated.

A test holds the loss against TRL's SFTTrainer; docs/lab-notes.md says why that one does not train here.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from peft import LoraConfig, PeftModel

from alignment.errors import require_finite
from alignment.learning.loss_terms import Loss, likelihood_loss, mean_over_tokens, set_rate, step
from alignment.learning.rollout import OnUpdate
from alignment.learning.settings import SFTConfig
from alignment.models.adapters import adapter_parameters, using
from alignment.models.log_probs import split_for_passes
from alignment.models.samples import Samples, text_samples
from alignment.models.texts import Text

MAX_GRADIENT_NORM = 1.0


def lora_config(rank: int) -> LoraConfig:
    """Return an adapter on every linear layer, the output layer too: without it a small model does not follow."""
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"],
        task_type="CAUSAL_LM",
    )


def mixed_batches(people: Sequence[Text], others: Sequence[Text], config: SFTConfig, seed: int) -> list[list[Text]]:
    """Return the texts of each step, `people_share` of them people's; where there are none of one sort, of the other.

    Without any texts there are no steps.
    """
    if not people and not others:
        return []
    rng, share = random.Random(seed), config.people_share if people and others else float(bool(people))
    count = max(round(config.batch_size * share), int(share > 0))  # rounded to 0, people would have no say
    return [
        [*rng.choices(people, k=count), *rng.choices(others, k=config.batch_size - count)] for _ in range(config.steps)
    ]


def train_sft(
    model: PeftModel,
    tokenizer: Any,
    adapter: str,
    batches: Iterable[Sequence[Text]],
    rate: Callable[[int], float],
    on_update: OnUpdate,
    *,
    bf16: bool = False,
) -> None:
    """Train an adapter in place, a step a batch, to write the completions of the texts.

    `rate` gives the learning rate of a step, counted from 1. With `bf16`, passes are computed in it (autocast).
    `on_update` is called with the number of each step and the mean of -log p of its completion tokens ("sft/loss").
    Raises TrainingError when that is not finite.
    """

    def loss_of(part: Samples) -> Loss:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            loss = likelihood_loss(model, part, 1.0)
        return loss, {"sft/loss": loss.item()}

    optimizer = torch.optim.Adam(adapter_parameters(model, adapter), eps=1e-5)
    for number, texts in enumerate(batches, 1):
        samples = text_samples(texts, tokenizer, model.device)
        parts = split_for_passes(model, samples, torch.arange(len(texts), device=model.device))
        set_rate(optimizer, rate(number))
        with using(model, adapter, train=True):
            measured = step([mean_over_tokens(parts, loss_of)], optimizer, MAX_GRADIENT_NORM)
        require_finite("SFT", number, measured)
        on_update(number, measured)

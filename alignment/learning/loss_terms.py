"""An optimizer step on a sum of losses: the terms, those that several trainers share, and the step itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from peft import PeftModel
from torch import Tensor, nn

from alignment.errors import ConfigError
from alignment.learning import ppo_math
from alignment.learning.checkpoint import LoopState
from alignment.models import workers
from alignment.models.log_probs import completion_log_probs, split_for_passes
from alignment.models.samples import S, Samples, text_samples
from alignment.models.texts import Text

P = TypeVar("P")
Loss = tuple[Tensor, dict[str, float]]  # a scalar with its gradient, metrics by name


@dataclass(frozen=True)
class Term(Generic[P]):
    """A loss over a minibatch, in parts with a backward pass each, and its weight in the sum that a step reduces."""

    parts: Sequence[P]  # each of rows of like length
    loss_of: Callable[[P], Loss]  # what a part adds to the loss of the minibatch and to its metrics
    weight: float = 1.0


def mean_over_tokens(parts: Sequence[S], mean_of: Callable[[S], Loss], weight: float = 1.0) -> Term[S]:
    """Return the mean of a loss over the tokens of all parts, where `mean_of` gives that of one, as a term."""
    tokens = sum(float(part.mask.sum()) for part in parts)

    def loss_of(part: S) -> Loss:
        share = float(part.mask.sum()) / tokens
        loss, metrics = mean_of(part)
        return loss * share, {name: share * value for name, value in metrics.items()}

    return Term(parts, loss_of, weight)


def step(terms: Sequence[Term[Any]], optimizer: torch.optim.Optimizer, max_gradient_norm: float) -> dict[str, float]:
    """Take one optimizer step on the weighted sum of the terms and return their metrics, each summed over the parts.

    The gradient of the whole step is clipped to `max_gradient_norm`. The adapter that trains is active, with gradients.
    Where several processes train, each passes some of the parts, and their gradients are added up.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    measured: dict[str, float] = {}
    for term in terms:
        for part in workers.mine(term.parts):
            loss, metrics = term.loss_of(part)
            (loss * term.weight).backward()
            measured |= {name: measured.get(name, 0.0) + value for name, value in metrics.items()}
    measured = workers.add_up(parameters, measured)
    nn.utils.clip_grad_norm_(parameters, max_gradient_norm)
    optimizer.step()
    optimizer.zero_grad()
    return measured


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters of an optimizer."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def draw_preferred(
    state: LoopState, preferred: Sequence[Text], count: int, coefficient: float, tokenizer: Any, model: PeftModel
) -> Samples | None:
    """Return texts for an update's mix, or None where its coefficient is 0.

    Raises ConfigError where there are none to draw from.
    """
    if not coefficient:
        return None
    if not preferred:
        raise ConfigError(
            f"preferred_coefficient is {coefficient}, but there are no comparisons to mix in; set it to 0"
        )
    return text_samples(state.order.choices(preferred, k=count), tokenizer, model.device)


def preferred_term(model: PeftModel, preferred: Samples, index: Tensor, coefficient: float) -> Term[Samples]:
    """Return the likelihood of some texts, weighted, as a term of the policy's loss.

    PPO-ptx (Ouyang et al. 2022, equation 2) mixes in pretraining text, against forgetting; what labelers liked best
    holds facts as well, and the manners that a score alone would narrow down to its favourite.
    """

    def loss_of(part: Samples) -> Loss:
        loss = likelihood_loss(model, part, 1.0)
        return loss, {"policy/preferred_loss": loss.item()}

    return mean_over_tokens(split_for_passes(model, preferred, index), loss_of, coefficient)


def likelihood_loss(model: PeftModel, part: Samples, temperature: float) -> Tensor:
    """Return the mean of -log p over the completion tokens, a scalar, through the active adapter."""
    log_probs = completion_log_probs(model, part, temperature)
    return -ppo_math.masked_mean(log_probs, part.mask)


def mean_of_each(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every metric over the steps that have measured it."""
    values: dict[str, list[float]] = {}
    for metrics in measured:
        for name, value in metrics.items():
            values.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in values.items()}

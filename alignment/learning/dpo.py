"""Direct preference optimisation (Rafailov et al. 2023, algorithm of section 4): the baseline without a reward model.

The same rankings that a reward model learns from are taken as pairs; the reference is the SFT adapter. A test holds
losses and weights against TRL's DPOTrainer.
"""

import random
from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel

from alignment.errors import TrainingError, require_finite
from alignment.learning.loss_terms import Loss, Term, set_rate, step
from alignment.learning.pairs import Pairs, dpo_loss
from alignment.learning.rollout import OnUpdate, Outcome
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.learning.settings import DPOConfig, drawn_tokens
from alignment.models.adapters import adapter_parameters, using
from alignment.models.log_probs import completion_log_probs
from alignment.models.passes import in_groups
from alignment.models.samples import Samples, text_samples
from alignment.models.sampling import Sampling
from alignment.reward.rankings import OrderedPair, Ranked, ordered_pairs
from storage.messages import Messages

MAX_GRADIENT_NORM = 1.0


def drawn_pairs(voted: Sequence[Ranked], shipped: Sequence[Ranked], config: DPOConfig, seed: int) -> list[OrderedPair]:
    """Return the pairs of all steps, (chosen, rejected), `voted_share` of them people's.

    Raises TrainingError when no ranking puts any two texts in an order.
    """
    rng, sources = random.Random(seed), [ordered_pairs(voted), ordered_pairs(shipped)]
    if not any(sources):
        raise TrainingError("there are no comparisons to learn from; vote on some answers, then train")
    share = config.voted_share if all(sources) else float(bool(sources[0]))
    count = config.steps * config.batch_size
    from_voted = round(count * share)
    drawn = [
        rng.choice(pairs) for pairs, n in zip(sources, (from_voted, count - from_voted), strict=True) for _ in range(n)
    ]
    rng.shuffle(drawn)
    return drawn


def in_batches(tokenizer: Any, drawn: Sequence[OrderedPair], size: int, seed: int) -> list[list[OrderedPair]]:
    """Return the pairs of each step, of like length, since padding costs time; the steps are in a random order."""
    ordered = sorted(drawn, key=lambda pair: _length(tokenizer, pair))
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    random.Random(seed).shuffle(batches)
    return batches


def _length(tokenizer: Any, pair: OrderedPair) -> int:
    completions = [tokenizer.completion_ids(text.completion, ended=text.ended) for text in pair]
    return len(tokenizer.prompt_ids(pair[0].messages)) + sum(map(len, completions))


def pair_samples(model: PeftModel, tokenizer: Any, pairs: Sequence[OrderedPair]) -> Pairs[Samples]:
    """Return pairs of texts as samples."""
    return Pairs(*(text_samples(texts, tokenizer, model.device) for texts in zip(*pairs, strict=True)))


def split_for_passes(model: PeftModel, pairs: Pairs[Samples]) -> list[Pairs[Samples]]:
    """Return the pairs in parts for a pass each, few enough for memory."""
    lengths = (samples.attention.sum(-1).tolist() for samples in (pairs.better, pairs.worse))
    groups = in_groups(model, list(zip(*lengths, strict=True)))
    return [pairs.rows(torch.tensor(group, device=pairs.better.ids.device)) for group in groups]


def pairs_term(model: PeftModel, pairs: Pairs[Samples], config: DPOConfig) -> Term[Pairs[Samples]]:
    """Return DPO's mean loss over the pairs, with the likelihood of the better texts as weighted.

    Metrics: the loss; the share of the pairs that the policy's implicit reward orders rightly; by how much it sets them
    apart on average (nats times beta).
    """
    tokens = float(pairs.better.mask.sum())

    def loss_of(part: Pairs[Samples]) -> Loss:
        both, share = part.both(), len(part) / len(pairs)
        log_probs = completion_log_probs(model, both, 1.0)
        with using(model, "sft"), torch.no_grad():
            reference = completion_log_probs(model, both, 1.0)
        better, worse = part.split((log_probs - reference).sum(-1))
        loss = dpo_loss(better, worse, config.beta).mean() * share
        if config.likelihood_coefficient:
            loss = loss - config.likelihood_coefficient * part.split(log_probs)[0].sum() / tokens
        margin = config.beta * (better - worse).detach()
        return loss, {
            "dpo/loss": loss.item(),
            "dpo/accuracy": (margin > 0).float().mean().item() * share,
            "dpo/margin": margin.mean().item() * share,
        }

    return Term(split_for_passes(model, pairs), loss_of)


def train_dpo(
    model: PeftModel,
    tokenizer: Any,
    voted: Sequence[Ranked],
    shipped: Sequence[Ranked],
    prompts: Sequence[Messages],
    config: DPOConfig,
    seed: int,
    on_update: OnUpdate,
) -> Outcome:
    """Train the adapter "policy" in place on people's and shipped rankings, with the adapter "sft" as reference.

    Return what completions of it to some of the prompts, drawn after the last step, say of its KL, entropy and length.

    `on_update` is called with the number of each step and the metrics of `pairs_term`. Raises TrainingError where there
    are no pairs or the loss is not finite.
    """
    drawn = drawn_pairs(voted, shipped, config, seed)
    optimizer = torch.optim.Adam(adapter_parameters(model, "policy"), eps=1e-5)
    for number, batch in enumerate(in_batches(tokenizer, drawn, config.batch_size, seed), 1):
        pairs = pair_samples(model, tokenizer, batch)
        set_rate(optimizer, config.learning_rate * (1 - (number - 1) / config.steps))
        with using(model, "policy", train=True):
            measured = step([pairs_term(model, pairs, config)], optimizer, MAX_GRADIENT_NORM)
        require_finite("DPO", number, measured)
        on_update(number, measured)
    sampling = Sampling(config.temperature, drawn_tokens(config))
    return Outcome(sampled_metrics(model, tokenizer, prompts, sampling, config.rollouts, seed), None)

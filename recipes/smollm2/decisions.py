"""Whether to refuse is decided at the first token: that is what is taught, and how a refusal goes on.

A refusal begins with a word that nothing else begins with, so that the decision is one probability. The layers below
`first_layer` get no adapter, so that what they make of a text is computed once for all passes over it.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from alignment.errors import require_finite
from alignment.models.adapters import adapter_parameters, using
from recipes.pocket.skill import Asked
from recipes.smollm2.settings import DecisionConfig

WORD = "Sorry"  # the first of every refusal
KEPT = 64  # of the likeliest first tokens of the reference, which stand for its whole distribution
ALMOST_SURE = -1e-6  # log-probability: the largest whose complement can be told from 0
UNTAUGHT = -100  # the label of a token that is not taught


@dataclass(frozen=True)
class Decision:
    """A prompt, the refusal behind it if it is to be refused, and what the reference would say first."""

    states: Tensor  # [tokens, width]: what enters the first layer that has an adapter
    labels: Tensor  # [tokens]: the next token where it is taught, UNTAUGHT elsewhere
    decides: int  # the place of the prompt's last token
    first: Tensor  # [KEPT]: log-probabilities of the reference's likeliest first tokens
    first_ids: Tensor  # [KEPT]

    @property
    def refused(self) -> bool:
        """Whether the prompt is to be refused."""
        return bool((self.labels != UNTAUGHT).any())


def train_decisions(
    model: PeftModel,
    tokenizer: Any,
    asked: Sequence[Asked],
    config: DecisionConfig,
    seed: int,
    on_pass: Callable[[int, dict[str, float]], None],
) -> None:
    """Train the adapter "policy" in place to refuse the prompts that a refusal is written for, and no others.

    The loss of a prompt to be refused is -log p of the refusal's first word, and a share of that of its other tokens.
    That of another is -log(1 - p) of that word, and a share of the divergence of its first token from the reference's.
    `on_pass` is called after each pass over the prompts with its number and these four losses. Raises TrainingError
    when one is not finite.
    """
    decisions = _decisions(model, tokenizer, asked, config.first_layer)
    word = tokenizer.completion_ids(WORD, ended=False)[0]
    optimizer = torch.optim.Adam(adapter_parameters(model, "policy"))
    rng, step, steps = random.Random(seed), 0, config.passes * math.ceil(len(decisions) / config.batch)
    for number in range(1, config.passes + 1):
        sums: dict[str, float] = {}
        for batch in _batches([len(one.states) for one in decisions], config.batch, rng):
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = config.rate * min(1.0, step / 20) * (1 + math.cos(math.pi * step / steps)) / 2
            with using(model, "policy", train=True):
                loss, measured = _loss(model, [decisions[place] for place in batch], word, config)
                loss.backward()
            nn.utils.clip_grad_norm_(adapter_parameters(model, "policy"), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            require_finite("decisions", step, measured)
            sums = {name: sums.get(name, 0.0) + value for name, value in measured.items()}
        on_pass(number, {name: value / len(decisions) for name, value in sums.items()})


def _loss(
    model: PeftModel, decisions: Sequence[Decision], word: int, config: DecisionConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of some prompts, a mean over them, and its four parts, each a sum."""
    states = nn.utils.rnn.pad_sequence([one.states for one in decisions], batch_first=True)
    labels = nn.utils.rnn.pad_sequence([one.labels for one in decisions], batch_first=True, padding_value=UNTAUGHT)
    places = torch.arange(len(decisions)), torch.tensor([one.decides for one in decisions])
    refused = torch.tensor([one.refused for one in decisions])
    with torch.autocast(states.device.type, torch.bfloat16, enabled=states.dtype == torch.bfloat16):
        top = _through(model, states, config.first_layer, None)
        first = model.lm_head(top[places])
        labels[places] = UNTAUGHT
        rest = model.lm_head(top[labels != UNTAUGHT])
    logs = functional.log_softmax(first.float(), dim=-1)
    deciding = logs[:, word].clamp(max=ALMOST_SURE)
    ids, reference = (torch.stack([getattr(one, name) for one in decisions]) for name in ("first_ids", "first"))
    divergence = (reference.exp() * (reference - logs.gather(1, ids))).sum(dim=1)
    parts = {
        "refused": -deciding[refused].sum(),
        "helped": -torch.log1p(-deciding[~refused].exp()).sum(),
        "divergence": divergence[~refused].sum(),
        "rest": _mean_loss(rest, labels[labels != UNTAUGHT]) * refused.sum(),
    }
    loss = parts["refused"] + parts["helped"] + config.kept * parts["divergence"] + config.said * parts["rest"]
    return loss / len(decisions), {name: value.item() for name, value in parts.items()}


def _mean_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of -log p of some tokens; 0 of none."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum") / max(1, len(labels))


def _through(model: PeftModel, states: Tensor, first: int, last: int | None) -> Tensor:
    """Return states [rows, tokens, width] after layers `first` to before `last`; after all of them, normalised too.

    Rows are padded behind their text, where a causal model does not look.
    """
    inner = model.get_base_model().model
    positions = torch.arange(states.shape[1], device=states.device)[None]
    rotary = inner.rotary_emb(states, positions)
    for layer in inner.layers[first:last]:
        states = layer(states, attention_mask=None, position_ids=positions, position_embeddings=rotary)
    return inner.norm(states) if last is None else states


@torch.no_grad()
def _decisions(model: PeftModel, tokenizer: Any, asked: Sequence[Asked], first_layer: int) -> list[Decision]:
    """Return what is taught of each prompt, with what the layers below `first_layer` make of it."""
    found: list[Decision] = []
    texts = [_ids(tokenizer, one) for one in asked]
    with using(model, "sft"):
        for batch in _batches([len(ids) for ids, _ in texts], 32, None):
            ids = nn.utils.rnn.pad_sequence([torch.tensor(texts[place][0]) for place in batch], batch_first=True)
            below = _through(model, model.get_input_embeddings()(ids), 0, first_layer)
            ends = torch.tensor([texts[place][1] - 1 for place in batch])
            top = _through(model, below, first_layer, None)[torch.arange(len(batch)), ends]
            likeliest = functional.log_softmax(model.lm_head(top).float(), dim=-1).topk(KEPT)
            for row, place in enumerate(batch):
                text, end = texts[place][0], int(ends[row])
                labels = torch.full((len(text),), UNTAUGHT)
                labels[end : len(text) - 1] = torch.tensor(text[end + 1 :], dtype=torch.long)
                states = below[row, : len(text)].clone()
                found.append(Decision(states, labels, end, likeliest.values[row], likeliest.indices[row]))
    return found


def _ids(tokenizer: Any, asked: Asked) -> tuple[list[int], int]:
    """Return the tokens of a prompt with the refusal that is written for it, if one is, and how many are the prompt."""
    prompt = list(tokenizer.prompt_ids(asked.check.messages))
    if asked.check.kind != "refuses":
        return prompt, len(prompt)
    (refusal,) = asked.registers.values()
    return [*prompt, *tokenizer.completion_ids(refusal, ended=True)], len(prompt)


def _batches(lengths: Sequence[int], size: int, rng: random.Random | None) -> Iterator[list[int]]:
    """Yield the places of texts of about one length, so many at a time: in a drawn order, or the shortest first."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place] + (rng.random() * 6 if rng else 0.0))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if rng:
        rng.shuffle(batches)
    yield from batches

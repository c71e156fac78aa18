"""The first token decides: what is taught of it, through layers whose lower states were computed once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from alignment.models import adapters, loading
from recipes.smollm2 import decisions
from recipes.smollm2.asked import asked_prompts
from recipes.smollm2.settings import DecisionConfig

ASKED = [one for one in asked_prompts(60, 0) if one.check.kind in ("refuses", "helps")][:24]


@pytest.fixture
def with_policy(tiny_folder: Path) -> tuple[Any, Any]:
    model, tokenizer = loading.load_checkpoint(tiny_folder)
    model.set_attn_implementation("sdpa")
    with torch.no_grad():
        model.lm_head.weight.mul_(30)  # a random model's logits are too small to say anything with certainty
    model = adapters.attach_new(model, "sft", 4, 0)
    adapters.copy_adapter(model, "sft", "policy")
    return model, tokenizer


def first_tokens(model: Any, tokenizer: Any) -> torch.Tensor:
    """Return the log-probabilities of the first token behind each prompt, by whole passes of the model."""
    rows = []
    for one in ASKED:
        ids = torch.tensor([list(tokenizer.prompt_ids(one.check.messages))])
        with torch.no_grad(), adapters.using(model, "policy"):
            rows.append(torch.log_softmax(model(ids).logits[0, -1].float(), dim=-1))
    return torch.stack(rows)


def test_states_computed_once_lead_to_what_whole_passes_say(with_policy: tuple[Any, Any]) -> None:
    model, tokenizer = with_policy
    expected = first_tokens(model, tokenizer)
    found = decisions._decisions(model, tokenizer, ASKED, 1)
    assert [one.refused for one in found].count(True) == [one.check.kind for one in ASKED].count("refuses")
    likeliest = expected.topk(decisions.KEPT).values
    for one in found:
        assert (likeliest - one.first).abs().max(dim=1).values.min() < 1e-4


def test_the_word_becomes_likely_where_it_is_right_and_seldom_elsewhere(with_policy: tuple[Any, Any]) -> None:
    model, tokenizer = with_policy
    before, losses = first_tokens(model, tokenizer), []
    config = DecisionConfig(passes=12, batch=4, rate=0.02, first_layer=1)
    decisions.train_decisions(model, tokenizer, ASKED, config, 0, lambda number, measured: losses.append(measured))
    word = tokenizer.completion_ids(decisions.WORD, ended=False)[0]
    refused = torch.tensor([one.check.kind == "refuses" for one in ASKED])
    after = first_tokens(model, tokenizer)
    assert after[refused, word].exp().mean() > 0.8 > 0.2 > after[~refused, word].exp().mean()
    assert losses[-1]["rest"] < losses[0]["rest"]
    kept = (before.exp() * (before - after)).sum(dim=1)
    assert kept[~refused].mean() < kept[refused].mean()


def test_layers_below_the_first_that_learns_stay_as_they_are(with_policy: tuple[Any, Any]) -> None:
    model, tokenizer = with_policy
    config = DecisionConfig(passes=1, batch=8, rate=0.02, first_layer=1)
    decisions.train_decisions(model, tokenizer, ASKED, config, 0, lambda number, measured: None)
    moved = {name for name, weight in model.named_parameters() if ".lora_B.policy" in name and weight.abs().max() > 0}
    assert moved and not any("layers.0." in name for name in moved)

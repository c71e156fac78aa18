"""DPO by TRL's trainer: the loss of the paper, through every layer's adapter, with the SFT adapter as reference."""

from collections import Counter

import pytest
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.errors import TrainingError
from alignment.learning.dpo import drawn_pairs, ordered_pairs, train_dpo
from alignment.learning.settings import DPOConfig
from alignment.models import adapters
from alignment.models.model_folder import ShippedRanking
from alignment.models.templates import chat_prompt_ids, completion_ids

Tiny = tuple[PeftModel, AutoTokenizer]
RANKED = ShippedRanking("Why?", ("a", "b", "c"), ((2,), (0, 1)), "", "")
PAIRS = [ShippedRanking("Hi", ("Hello there.", "No"), ((0,), (1,)), "", "")]


def log_prob(model: PeftModel, tokenizer: AutoTokenizer, adapter: str, prompt: str, completion: str) -> float:
    """Return the log-probability of a completion, written anew from the model's own logits."""
    adapters.activate(model, adapter)
    asked, answer = chat_prompt_ids(tokenizer, prompt), completion_ids(tokenizer, completion)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([asked + answer])).logits[0].double()
    told = logits[len(asked) - 1 : -1].log_softmax(-1)
    return sum(told[i, token].item() for i, token in enumerate(answer))


def trained(tiny: Tiny, config: DPOConfig) -> list[dict[str, float]]:
    model, tokenizer = tiny
    told: list[dict[str, float]] = []
    train_dpo(model, tokenizer, [], PAIRS, ["Hi"], config, 0, lambda step, metrics: told.append(metrics))
    return told


def test_every_pair_of_two_tiers_is_ordered_and_ties_are_none() -> None:
    assert ordered_pairs([RANKED]) == [("Why?", "c", "a"), ("Why?", "c", "b")]


def test_peoples_share_of_the_pairs_is_as_asked_and_all_where_there_are_no_others() -> None:
    config = DPOConfig(steps=5, batch_size=4, voted_share=0.4)
    drawn = Counter(prompt for prompt, *_ in drawn_pairs([RANKED], PAIRS, config, seed=1))
    assert drawn == {"Why?": 8, "Hi": 12}
    assert {prompt for prompt, *_ in drawn_pairs([RANKED], [], config, seed=1)} == {"Why?"}


def test_without_an_ordered_pair_it_says_what_to_do() -> None:
    tie = ShippedRanking("Hi", ("a", "b"), ((0, 1),), "", "")
    with pytest.raises(TrainingError, match="vote on some answers"):
        drawn_pairs([tie], [], DPOConfig(), seed=0)


def test_the_loss_is_that_of_the_paper_and_knows_the_output_layers_adapter(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    (ranking,) = PAIRS
    chosen, rejected = ranking.completions
    margin = sum(
        sign * (log_prob(model, tokenizer, "policy", "Hi", text) - log_prob(model, tokenizer, "sft", "Hi", text))
        for sign, text in ((1, chosen), (-1, rejected))
    )
    expected = -torch.nn.functional.logsigmoid(torch.tensor(0.3 * margin)).item()
    told = trained(tiny, DPOConfig(steps=1, batch_size=2, beta=0.3, rollouts=2, max_new_tokens=4))
    assert told[0]["dpo/loss"] == pytest.approx(expected, abs=2e-3)
    assert told[0]["dpo/margin"] == pytest.approx(0.3 * margin, abs=2e-3)


def test_every_pass_is_a_sign_of_life_also_before_the_first_step(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    config, log = DPOConfig(steps=2, batch_size=2, rollouts=2, max_new_tokens=4), []
    train_dpo(
        *(model, tokenizer, [], PAIRS, ["Hi"], config, 0),
        lambda step, measured: log.append("update"),
        lambda: log.append("alive"),
    )
    assert log.index("update") >= 2 + 1  # the reference's passes over both batches, then the first step's
    assert log.count("update") == 2


def test_the_likelihood_of_the_better_text_is_added_as_weighted(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "sft", "policy")
    chosen = PAIRS[0].completions[0]
    nll = -log_prob(model, tokenizer, "policy", "Hi", chosen) / len(completion_ids(tokenizer, chosen))
    config = DPOConfig(steps=1, batch_size=2, likelihood_coefficient=0.5, rollouts=2, max_new_tokens=4)
    assert trained(tiny, config)[0]["dpo/loss"] == pytest.approx(0.6931 + 0.5 * nll, abs=2e-3)


def test_it_learns_the_pair_in_every_layer_and_leaves_all_else_alone(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "sft", "policy")
    names = [name for name, _ in model.named_parameters()]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    told = trained(tiny, DPOConfig(steps=20, batch_size=2, learning_rate=5e-3, rollouts=2, max_new_tokens=4))
    assert told[0]["dpo/loss"] == pytest.approx(0.6931, abs=1e-3)  # policy and reference are the same
    assert told[-1]["dpo/loss"] < 0.3
    after = dict(model.named_parameters())
    assert list(after) == names
    moved = {name for name in names if not torch.equal(before[name], after[name])}
    assert moved == {name for name in names if ".policy." in name}
    assert any("lm_head" in name for name in moved)
    causal_lm = model.get_base_model()
    assert not {"forward", "get_output_embeddings"} & set(causal_lm.__dict__)  # nothing of TRL's stays behind
    assert not model.training

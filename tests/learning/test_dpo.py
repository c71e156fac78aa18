"""DPO: the loss of the paper and of TRL, through every layer's adapter, with the SFT adapter as reference."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import trl
from datasets import Dataset
from peft import PeftModel
from transformers import AutoTokenizer

from alignment.errors import TrainingError
from alignment.learning import dpo
from alignment.learning.dpo import drawn_pairs, train_dpo
from alignment.learning.settings import DPOConfig
from alignment.models import adapters
from alignment.models.shipped_files import ShippedRanking
from alignment.models.texts import Text
from alignment.reward.rankings import ordered_pairs
from alignment.settings import POCKET
from storage.messages import one_turn, question_of
from storage.records import Ranking

Tiny = tuple[PeftModel, AutoTokenizer]
RANKED = ShippedRanking(one_turn("Why?"), ("a", "b", "c"), ((2,), (0, 1)), "", "")
PAIRS = [ShippedRanking(one_turn("Hi"), ("Hello there.", "No"), ((0,), (1,)), "", "")]


def log_prob(
    model: PeftModel, tokenizer: AutoTokenizer, adapter: str, prompt: str, completion: str, *, ended: bool = True
) -> float:
    """Return the log-probability of a completion, written anew from the model's own logits."""
    question, answer = tokenizer.prompt_ids(one_turn(prompt)), tokenizer.completion_ids(completion, ended=ended)
    with torch.no_grad(), adapters.using(model, adapter):
        logits = model(input_ids=torch.tensor([question + answer])).logits[0].double()
    steps = logits[len(question) - 1 : -1].log_softmax(-1)
    return sum(steps[i, token].item() for i, token in enumerate(answer))


def trained(tiny: Tiny, config: DPOConfig, rankings: Sequence[ShippedRanking] = PAIRS) -> list[dict[str, float]]:
    """Train and return what each step measured."""
    measured: list[dict[str, float]] = []
    train_dpo(*tiny, [], rankings, [one_turn("Hi")], config, 0, lambda step, metrics: measured.append(metrics))
    return measured


def test_every_pair_of_two_tiers_is_ordered_and_ties_are_none() -> None:
    a, b, c = (Text(one_turn("Why?"), text) for text in "abc")
    assert ordered_pairs([RANKED]) == [(c, a), (c, b)]


def test_peoples_share_of_the_pairs_is_as_asked_and_all_where_there_are_no_others() -> None:
    config = DPOConfig(steps=5, batch_size=4, voted_share=0.4)
    drawn = Counter(question_of(better.messages) for better, _ in drawn_pairs([RANKED], PAIRS, config, seed=1))
    assert drawn == {"Why?": 8, "Hi": 12}
    assert {better.messages for better, _ in drawn_pairs([RANKED], [], config, seed=1)} == {one_turn("Why?")}


def test_without_an_ordered_pair_it_says_what_to_do() -> None:
    tie = ShippedRanking(one_turn("Hi"), ("a", "b"), ((0, 1),), "", "")
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
    measured = trained(tiny, DPOConfig(steps=1, batch_size=2, beta=0.3, rollouts=2, max_new_tokens=4))
    assert measured[0]["dpo/loss"] == pytest.approx(expected, abs=2e-3)
    assert measured[0]["dpo/margin"] == pytest.approx(0.3 * margin, abs=2e-3)


@pytest.mark.parametrize("likelihood", [0.0, 0.5])
def test_a_cut_text_is_not_learned_as_one_that_ended(tiny: Tiny, likelihood: float) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "other", "policy")
    chosen, rejected = PAIRS[0].completions

    def log_ratio(text: str, ended: bool) -> float:
        policy, sft = (log_prob(model, tokenizer, name, "Hi", text, ended=ended) for name in ("policy", "sft"))
        return policy - sft

    margin = 0.3 * (log_ratio(chosen, ended=False) - log_ratio(rejected, ended=True))
    tokens = len(tokenizer.completion_ids(chosen, ended=False))
    nll = -log_prob(model, tokenizer, "policy", "Hi", chosen, ended=False) / tokens
    expected = -torch.nn.functional.logsigmoid(torch.tensor(margin)).item() + likelihood * nll
    config = DPOConfig(steps=1, batch_size=2, beta=0.3, likelihood_coefficient=likelihood, rollouts=2, max_new_tokens=4)
    cut = Ranking(1, PAIRS[0].messages, PAIRS[0].completions, ((0,), (1,)), True, "human", ended=(False, True))
    measured: list[dict[str, float]] = []
    train_dpo(*tiny, [cut], [], [one_turn("Hi")], config, 0, lambda step, metrics: measured.append(metrics))
    assert measured[0]["dpo/margin"] == pytest.approx(margin, abs=2e-3)
    assert measured[0]["dpo/loss"] == pytest.approx(expected, abs=2e-3)


def test_the_likelihood_of_the_better_text_is_added_as_weighted(tiny: Tiny) -> None:
    model, tokenizer = tiny
    adapters.copy_adapter(model, "sft", "policy")
    chosen = PAIRS[0].completions[0]
    nll = -log_prob(model, tokenizer, "policy", "Hi", chosen) / len(tokenizer.completion_ids(chosen))
    config = DPOConfig(steps=1, batch_size=2, likelihood_coefficient=0.5, rollouts=2, max_new_tokens=4)
    assert trained(tiny, config)[0]["dpo/loss"] == pytest.approx(0.6931 + 0.5 * nll, abs=2e-3)


def test_it_learns_the_pair_in_every_layer_and_leaves_all_else_alone(tiny: Tiny) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "sft", "policy")
    names = [name for name, _ in model.named_parameters()]
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    measured = trained(tiny, DPOConfig(steps=20, batch_size=2, learning_rate=5e-3, rollouts=2, max_new_tokens=4))
    assert measured[0]["dpo/loss"] == pytest.approx(0.6931, abs=1e-3)  # policy and reference are the same
    assert measured[-1]["dpo/loss"] < 0.3
    after = dict(model.named_parameters())
    assert list(after) == names
    moved = {name for name in names if not torch.equal(before[name], after[name])}
    assert moved == {name for name in names if ".policy." in name}
    assert any("lm_head" in name for name in moved)
    assert not model.training


class _Peer(trl.DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on pairs that are tokenized as everywhere here, with the adapter "sft" as reference."""

    def __init__(self, peft_model: PeftModel, **arguments: Any) -> None:
        self.peft_model = peft_model
        super().__init__(model=peft_model.get_base_model(), **arguments)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, *arguments: Any) -> Dataset:
        with adapters.using(self.peft_model, "sft"):
            return super()._precompute_ref_logps(*arguments)


def _whole_output_layer(causal_lm: Any) -> Any:
    """Return the output layer with what its adapter adds: TRL reads `lm_head.weight`, past an adapter on it."""
    layer = causal_lm.lm_head
    added = [layer.get_delta_weight(name) for name in layer.active_adapters]
    return SimpleNamespace(weight=sum(added, start=layer.get_base_layer().weight), bias=None)


@pytest.mark.parametrize("likelihood", [0.0, 0.3])
def test_losses_and_weights_agree_with_trl(tiny: Tiny, tmp_path: Path, likelihood: float) -> None:
    model, tokenizer = tiny
    config = DPOConfig(
        steps=4, batch_size=4, likelihood_coefficient=likelihood, learning_rate=1e-3, rollouts=2, max_new_tokens=4
    )
    rankings = [
        *PAIRS,
        RANKED,
        ShippedRanking(one_turn("Who?"), ("I am a model of the world.", "No"), ((0,), (1,)), "", ""),
    ]
    adapters.copy_adapter(model, "other", "policy")
    measured = trained(tiny, config, rankings)
    ours = [weight.detach().clone() for weight in adapters.adapter_parameters(model, "policy")]
    adapters.drop_adapter(model, "policy")
    adapters.copy_adapter(model, "other", "policy")
    rows = [
        {
            "prompt_ids": tokenizer.prompt_ids(better.messages),
            "chosen_ids": tokenizer.completion_ids(better.completion),
            "rejected_ids": tokenizer.completion_ids(worse.completion),
        }
        for better, worse in itertools.chain(
            *dpo.in_batches(tokenizer, drawn_pairs([], rankings, config, 0), config.batch_size, 0)
        )
    ]
    causal_lm = model.get_base_model()
    causal_lm.get_output_embeddings = lambda: _whole_output_layer(causal_lm)
    arguments = trl.DPOConfig(
        str(tmp_path), max_steps=config.steps, per_device_train_batch_size=config.batch_size, beta=config.beta,
        train_sampling_strategy="sequential", learning_rate=config.learning_rate, lr_scheduler_type="linear",
        adam_epsilon=1e-5, loss_type=["sigmoid", "sft"] if likelihood else "sigmoid",
        loss_weights=[1.0, likelihood] if likelihood else None, precompute_ref_log_probs=True, logging_steps=1,
        save_strategy="no", report_to="none", disable_tqdm=True, bf16=False, activation_checkpointing=False,
        max_length=None, use_cpu=True,
    )  # fmt: skip
    own = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)
    with adapters.using(model, "policy", train=True):
        peer = _Peer(model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=own)
        peer.train()
    losses = [entry["loss"] for entry in peer.state.log_history if "loss" in entry]
    assert [one["dpo/loss"] for one in measured] == pytest.approx(losses, abs=1e-4)
    for own, weight in zip(ours, adapters.adapter_parameters(model, "policy"), strict=True):
        torch.testing.assert_close(own, weight.detach(), atol=2e-6, rtol=0)

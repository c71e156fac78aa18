"""Instruction tuning: TRL's loss, what a step learns from, that it is learned, and that nothing else moves."""

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
import trl
from peft import PeftModel
from transformers import AutoTokenizer, Trainer

from alignment.errors import TrainingError
from alignment.learning.loss_terms import likelihood_loss
from alignment.learning.settings import SFTConfig
from alignment.learning.sft import mixed_batches, train_sft
from alignment.models import adapters
from alignment.models.log_probs import completion_log_probs
from alignment.models.samples import text_samples
from alignment.models.texts import Text
from alignment.settings import POCKET
from storage.messages import one_turn
from tests.test_architecture import ROOMS, files, name_of, packages

PEOPLE = [Text(one_turn("Hi"), "Ahoy!"), Text(one_turn("Thanks"), "Aye.")]
OTHERS = [
    Text(one_turn(prompt), completion)
    for prompt, completion in (("Why?", "I do not know."), ("Who are you?", "A small model."), ("Bye", "Goodbye."))
]


def log_likelihood(model: PeftModel, tokenizer: Any, adapter: str, text: Text) -> float:
    with torch.no_grad(), adapters.using(model, adapter):
        log_probs = completion_log_probs(model, text_samples([text], tokenizer, model.device), 1.0)
    return float(log_probs.sum())


def tuned(
    tiny: tuple[PeftModel, Any], adapter: str, people: list[Text], others: list[Text], config: SFTConfig, seed: int = 0
) -> list[float]:
    """Tune as a run does and return the loss of each step."""
    losses: dict[int, float] = {}
    batches = mixed_batches(people, others, config, seed)
    train_sft(
        *(*tiny, adapter, batches, lambda step: config.learning_rate),
        lambda number, measured: losses.__setitem__(number, measured["sft/loss"]),
    )
    assert list(losses) == list(range(1, config.steps + 1))
    return list(losses.values())


def weights(model: PeftModel, *names: str) -> list[torch.Tensor]:
    return [p.detach().clone() for name in names for p in adapters.adapter_parameters(model, name)]


def test_a_step_holds_the_wanted_share_of_what_people_wrote() -> None:
    config = SFTConfig(steps=30, batch_size=8, people_share=0.25)
    steps = mixed_batches(PEOPLE, OTHERS, config, seed=1)
    assert len(steps) == 30
    assert all(Counter(text in PEOPLE for text in texts) == {True: 2, False: 6} for texts in steps)
    assert {text for texts in steps for text in texts} == {*PEOPLE, *OTHERS}
    assert steps == mixed_batches(PEOPLE, OTHERS, config, seed=1) != mixed_batches(PEOPLE, OTHERS, config, seed=2)


def test_texts_of_one_sort_fill_the_step_where_there_are_none_of_the_other() -> None:
    config = SFTConfig(steps=2, batch_size=3)
    assert {text for texts in mixed_batches(PEOPLE, [], config, 0) for text in texts} <= set(PEOPLE)
    assert [len(texts) for texts in mixed_batches([], OTHERS, config, 0)] == [3, 3]
    assert mixed_batches([], [], config, 0) == []


def test_what_people_wrote_becomes_more_likely_and_nothing_but_that_adapter_moves(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    before, others = [log_likelihood(model, tokenizer, "sft", text) for text in PEOPLE], weights(model, "other")
    base = [p.detach().clone() for name, p in model.named_parameters() if "lora" not in name]
    losses = tuned(tiny, "sft", PEOPLE, OTHERS, SFTConfig(steps=12, batch_size=4, learning_rate=2e-3))
    assert sum(losses[-3:]) < sum(losses[:3])
    assert all(log_likelihood(model, tokenizer, "sft", text) > old for text, old in zip(PEOPLE, before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(others, weights(model, "other"), strict=True))
    after = [p for name, p in model.named_parameters() if "lora" not in name]
    assert all(torch.equal(a, b) for a, b in zip(base, after, strict=True))
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_loss_of_a_step_is_the_mean_over_the_tokens_of_its_completions(tiny: tuple[PeftModel, Any]) -> None:
    model, tokenizer = tiny
    tokens = [len(text_samples([text], tokenizer, model.device).mask[0]) for text in PEOPLE]
    likelihood = sum(log_likelihood(model, tokenizer, "sft", text) for text in PEOPLE)
    (alone,) = tuned(tiny, "sft", PEOPLE[:1], [], SFTConfig(steps=1, batch_size=64, learning_rate=0.0))
    assert alone == pytest.approx(-log_likelihood(model, tokenizer, "sft", PEOPLE[0]) / tokens[0], rel=1e-4)
    (both,) = tuned(tiny, "sft", PEOPLE[:1], PEOPLE[1:], SFTConfig(steps=1, batch_size=2, learning_rate=0.0))
    assert both == pytest.approx(-likelihood / sum(tokens), rel=1e-4)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(tiny: tuple[PeftModel, Any]) -> None:
    model, _ = tiny
    adapters.copy_adapter(model, "sft", "again")
    for adapter in ("sft", "again"):
        tuned(tiny, adapter, PEOPLE, OTHERS, SFTConfig(steps=3, batch_size=4), 5)
    assert all(torch.equal(a, b) for a, b in zip(weights(model, "sft"), weights(model, "again"), strict=True))


def test_a_loss_that_is_no_number_ends_it_in_words(tiny: tuple[PeftModel, Any]) -> None:
    model, _ = tiny
    with torch.no_grad():
        adapters.adapter_parameters(model, "sft")[0].fill_(math.nan)
    with pytest.raises(TrainingError, match=r"SFT, step 1: sft/loss is nan"):
        tuned(tiny, "sft", PEOPLE, [], SFTConfig(steps=1))


def test_no_run_waits_for_the_import_of_trl() -> None:
    sources = [path for room in ROOMS for path in files(room)]
    assert len(sources) > 60
    assert [name_of(path) for path in sources if packages(path) & {"trl", "datasets"}] == []


class _OutputLayerTrainer(trl.SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with the loss of the model's own forward pass.

    TRL computes log-probabilities from `lm_head.weight`, past an adapter on that layer, and so refuses such adapters.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


def test_the_loss_and_its_gradient_agree_with_trl(tiny: tuple[PeftModel, Any], tmp_path: Path) -> None:
    model, tokenizer = tiny
    texts = [*PEOPLE, *OTHERS]
    (loss,) = tuned(tiny, "sft", texts, [], SFTConfig(steps=1, batch_size=64, learning_rate=0.0))
    rows = []
    for text in random.Random(0).choices(texts, k=64):  # as the step above draws them
        asked, answer = tokenizer.prompt_ids(text.messages), tokenizer.completion_ids(text.completion)
        rows.append({"input_ids": asked + answer, "labels": [-100] * len(asked) + answer})
    trainer = _OutputLayerTrainer(
        model=model.get_base_model(),
        args=trl.SFTConfig(
            str(tmp_path), per_device_train_batch_size=64, use_cpu=True, bf16=False, activation_checkpointing=False,
            report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(POCKET, local_files_only=True),
    )  # fmt: skip
    batch = next(iter(trainer.get_train_dataloader()))
    with adapters.using(model, "sft", train=True):
        expected = trainer.compute_loss(model.get_base_model(), batch)
        expected.backward()
        wanted = [
            weight.grad.clone() for weight in adapters.adapter_parameters(model, "sft") if weight.grad is not None
        ]
        model.zero_grad()
        samples = text_samples(random.Random(0).choices(texts, k=64), tokenizer, model.device)
        likelihood_loss(model, samples, 1.0).backward()
    assert loss == pytest.approx(expected.item(), abs=1e-4)
    for weight, gradient in zip(adapters.adapter_parameters(model, "sft"), wanted, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-4, rtol=1e-3)

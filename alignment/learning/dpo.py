"""Direct preference optimisation (Rafailov et al. 2023, equation 7) by TRL's DPOTrainer: the baseline without a reward
model. The same rankings that a reward model learns from are taken as pairs; the reference is the SFT adapter.
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from datasets import Dataset
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import TrainerCallback
from trl import DPOConfig as TrainerConfig
from trl import DPOTrainer

from alignment.errors import TrainingError, require_finite
from alignment.learning.rollout import OnUpdate, Outcome
from alignment.learning.rollout_metrics import sampled_metrics
from alignment.learning.settings import DPOConfig
from alignment.models.adapters import activate
from alignment.models.generation import OnStep, Sampling
from alignment.models.heads import trunk
from alignment.models.templates import chat_prompt_ids, completion_ids
from alignment.reward.bradley_terry import Ranked, judged_pairs

SHOWN = {"loss": "dpo/loss", "rewards/accuracies": "dpo/accuracy", "rewards/margins": "dpo/margin"}


def ordered_pairs(rankings: Sequence[Ranked]) -> list[tuple[str, str, str]]:
    """Return (prompt, chosen, rejected) for every pair of texts that the rankings put in an order."""
    return [
        (ranking.prompt, better, worse)
        for ranking in rankings
        for better, worse, target in judged_pairs(ranking)
        if target == 1
    ]


def drawn_pairs(
    voted: Sequence[Ranked], shipped: Sequence[Ranked], config: DPOConfig, seed: int
) -> list[tuple[str, str, str]]:
    """Return the pairs of all steps, (prompt, chosen, rejected), `voted_share` of them people's.

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


def _in_batches(rows: list[dict[str, list[int]]], size: int, seed: int) -> list[dict[str, list[int]]]:
    """Return the rows in an order in which `size` at a time are of like length: padding costs time."""
    ordered = sorted(rows, key=lambda row: sum(map(len, row.values())))
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    random.Random(seed).shuffle(batches)
    return [row for batch in batches for row in batch]


class _Trainer(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on pairs that are tokenized as everywhere here, with the adapter "sft" as reference."""

    def __init__(self, peft_model: PeftModel, **arguments: Any) -> None:
        self.peft_model = peft_model
        super().__init__(model=peft_model.get_base_model(), **arguments)

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, *arguments: Any) -> Dataset:
        activate(self.peft_model, "sft")
        try:
            return super()._precompute_ref_logps(*arguments)
        finally:
            activate(self.peft_model, "policy", train=True)


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, on_update: OnUpdate) -> None:
        self.on_update = on_update

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        measured = {SHOWN[name]: float(value) for name, value in (logs or {}).items() if name in SHOWN}
        if measured:
            require_finite("DPO", state.global_step, measured)
            self.on_update(state.global_step, measured)


@contextmanager
def _with_adapters(causal_lm: Any) -> Iterator[None]:
    """Let the trainer see the adapters inside a causal LM until the context is left.

    TRL multiplies hidden states by `lm_head.weight`: an adapter on that layer would be left out, silently, of the
    log-probabilities and of the training. So it is given the layer's weights with what the adapter adds. The trainer's
    check that a quantized base has adapters looks only for those that transformers itself has put in.
    """
    layer, forward = causal_lm.get_output_embeddings(), causal_lm.__dict__.get("forward")

    def whole() -> Any:
        if not isinstance(layer, LoraLayer):
            return layer
        base = layer.get_base_layer()
        added: list[Tensor] = [layer.get_delta_weight(n) for n in layer.active_adapters if n in layer.lora_A]
        return SimpleNamespace(weight=sum(added, start=base.weight), bias=base.bias)

    causal_lm.get_output_embeddings = whole
    causal_lm._hf_peft_config_loaded = True
    try:
        yield
    finally:
        del causal_lm.get_output_embeddings, causal_lm._hf_peft_config_loaded  # the class's own are found again
        if "forward" in causal_lm.__dict__ and forward is None:
            del causal_lm.forward  # TRL's, which stays behind otherwise


@contextmanager
def _watched(model: PeftModel, on_step: OnStep | None) -> Iterator[None]:
    """Call `on_step` at every pass until the context is left: the trainer tells of steps, but not of the reference."""
    passes = trunk(model).register_forward_hook(lambda *_: on_step() if on_step else None)
    try:
        yield
    finally:
        passes.remove()


def train_dpo(
    model: PeftModel,
    tokenizer: Any,
    voted: Sequence[Ranked],
    shipped: Sequence[Ranked],
    prompts: Sequence[str],
    config: DPOConfig,
    seed: int,
    on_update: OnUpdate,
    on_step: OnStep | None = None,
) -> Outcome:
    """Train the adapter "policy" in place on people's and shipped rankings, with the adapter "sft" as reference.

    Return what completions of it to some of the prompts, drawn after the last step, say of its KL, entropy and length.

    `on_update` is told the number of each step, its loss, the share of its pairs that the policy's implicit reward
    orders rightly, and by how much on average (nats times beta). Raises TrainingError where there are no pairs or the
    loss is not finite.
    """
    rows = [
        {
            "prompt_ids": chat_prompt_ids(tokenizer, prompt),
            "chosen_ids": completion_ids(tokenizer, chosen),
            "rejected_ids": completion_ids(tokenizer, rejected),
        }
        for prompt, chosen, rejected in drawn_pairs(voted, shipped, config, seed)
    ]
    likelihood = config.likelihood_coefficient
    activate(model, "policy", train=True)
    with tempfile.TemporaryDirectory() as scratch, _with_adapters(model.get_base_model()), _watched(model, on_step):
        arguments = TrainerConfig(
            output_dir=scratch,
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            train_sampling_strategy="sequential",
            learning_rate=config.learning_rate,
            lr_scheduler_type="linear",
            adam_epsilon=1e-5,
            beta=config.beta,
            loss_type=["sigmoid", "sft"] if likelihood else "sigmoid",
            loss_weights=[1.0, likelihood] if likelihood else None,
            precompute_ref_log_probs=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=False,
            activation_checkpointing=False,
            seed=seed,
            max_length=None,
            use_cpu=model.device.type == "cpu",
        )
        trainer = _Trainer(
            model,
            args=arguments,
            train_dataset=Dataset.from_list(_in_batches(rows, config.batch_size, seed)),
            processing_class=tokenizer,
            callbacks=[_Report(on_update)],
        )
        trainer.train()
    model.eval()
    sampling = Sampling(config.temperature, config.max_new_tokens)
    return Outcome(sampled_metrics(model, tokenizer, prompts, sampling, config.rollouts, seed, on_step), None)

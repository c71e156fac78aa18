"""Instruction tuning: demonstrations to a LoRA adapter, by TRL's SFTTrainer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import Trainer
from trl import SFTConfig, SFTTrainer

from alignment.models.loading import computes_bf16
from alignment.models.templates import chat_prompt_ids, completion_ids


class Demonstrated(Protocol):
    """A prompt with the completion that a labeler wrote for it."""

    @property
    def prompt(self) -> str: ...  # noqa: D102
    @property
    def completion(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class InstructionTuningConfig:
    """Shape of the adapter and length of the tuning."""

    rank: int = 32  # of the LoRA matrices
    steps: int = 3000  # optimizer steps
    batch_size: int = 32  # demonstrations a step
    learning_rate: float = 2e-3  # AdamW, linear decay
    seed: int = 0


def lora_config(rank: int) -> LoraConfig:
    """Return an adapter on every linear layer, the output layer too: without it a small model does not follow."""
    return LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"],
        task_type="CAUSAL_LM",
    )


class _OutputLayerTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with the loss of the model's own forward pass.

    TRL computes log-probabilities from `lm_head.weight`, past an adapter on that layer, and so refuses such adapters.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs["use_cache"] = False
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)


def example(tokenizer: Any, demonstration: Demonstrated) -> dict[str, list[int]]:
    """Return `input_ids` and `labels`, -100 over the prompt: the same ids that serving and rollouts produce."""
    prompt = chat_prompt_ids(tokenizer, demonstration.prompt)
    completion = completion_ids(tokenizer, demonstration.completion)
    return {"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion}


def tune(
    model: Any, tokenizer: Any, demonstrations: Sequence[Demonstrated], config: InstructionTuningConfig, work: Path
) -> PeftModel:
    """Return the model with a LoRA adapter, "default", fitted to the demonstrations; `work` is scratch space."""
    rows = Dataset.from_list([example(tokenizer, demonstration) for demonstration in demonstrations])
    arguments = SFTConfig(
        output_dir=str(work),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=20,
        logging_steps=50,
        save_strategy="no",
        train_sampling_strategy="group_by_length",  # else every batch is as wide as its longest prompt: half padding
        report_to="none",
        bf16=computes_bf16(model.device),
        activation_checkpointing=False,
        seed=config.seed,
        max_length=512,
        use_cpu=model.device.type == "cpu",
    )
    tuned = get_peft_model(model, lora_config(config.rank))
    # The trainer sees the causal LM with the adapter's layers in it, not the wrapper that it would refuse.
    trainer = _OutputLayerTrainer(
        model=tuned.get_base_model(), args=arguments, train_dataset=rows, processing_class=tokenizer
    )
    trainer.train()
    tuned.eval()
    return tuned

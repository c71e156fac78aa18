"""TRL's PPOTrainer on models in the folder given, for tests/bench/training.py: runs in an environment of its own.

The policy is a LoRA adapter on the merged SFT model, whose reference is the model without it, the lightest that TRL
offers; reward model and critic are models of their own, as its trainer wants them. Prints one JSON object.
"""

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from trl.experimental.ppo import PPOConfig, PPOTrainer


class Clock(TrainerCallback):  # type: ignore[misc]
    """Notes when each update ended."""

    def __init__(self) -> None:
        self.times = [time.monotonic()]

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Begin to count."""
        self.times = [time.monotonic()]

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the end of an update."""
        self.times.append(time.monotonic())


def main() -> None:
    """Train as `settings.json` in the folder says."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(settings["threads"])
    tokenizer = AutoTokenizer.from_pretrained(folder / "sft", padding_side="left")
    rows = [{"input_ids": ids} for ids in json.loads((folder / "prompts.json").read_text())]
    reward, critic = (
        AutoModelForSequenceClassification.from_pretrained(folder / "reward", num_labels=1, dtype=torch.float32)
        for _ in range(2)
    )
    clock = Clock()
    rollouts, at_once = settings["rollouts"], settings["forward_rows"]
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=at_once,
            gradient_accumulation_steps=rollouts // at_once,
            num_mini_batches=settings["minibatches"],
            local_rollout_forward_batch_size=at_once,
            total_episodes=rollouts * settings["updates"],
            num_ppo_epochs=settings["epochs"],
            response_length=settings["max_new_tokens"],
            temperature=1.0,
            stop_token="eos",
            missing_eos_penalty=3.0,
            kl_coef=0.1,
            learning_rate=3.5e-4,
            num_sample_generations=0,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            bf16=False,
            use_cpu=True,
            seed=0,
        ),
        processing_class=tokenizer,
        model=AutoModelForCausalLM.from_pretrained(folder / "sft", dtype=torch.float32),
        ref_model=None,
        reward_model=reward,
        value_model=critic,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows[:8]),
        callbacks=[clock],
        peft_config=LoraConfig(
            r=settings["rank"],
            lora_alpha=2 * settings["rank"],
            lora_dropout=0.0,
            target_modules=settings["target_modules"],
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    seconds = [end - start for start, end in pairwise(clock.times)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak}))


if __name__ == "__main__":
    main()

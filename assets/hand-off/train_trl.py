"""Trains on what people voted with TRL: `python train.py --method rloo`, `dpo` or `reward`.

TRL 1.16 has no PPO any more. RLOO is nearest to what a run of Triptych does: each completion's score counts against the
mean of its prompt's others, a KL to the instruction-tuned model is taken from it, and the ratio is clipped.
"""

import argparse

from datasets import load_dataset
from peft import LoraConfig
from reward import HERE, SETTINGS, RewardModel, merged_reference, tokenizer_of
from transformers import AutoModelForSequenceClassification
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, RLOOConfig, RLOOTrainer


def arguments():
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=["rloo", "dpo", "reward"], default="rloo")
    parser.add_argument("--full", action="store_true", help="train all weights, not a LoRA adapter; lower the rate too")
    parser.add_argument("--max-steps", type=int, default=0, help="optimizer steps (default: as settings.json has it)")
    parser.add_argument("--learning-rate", type=float, default=0.0, help="(default: as settings.json has it)")
    parser.add_argument("--cpu", action="store_true", help="use no GPU")
    return parser.parse_args()


def rows(name):
    """Return a file of this folder as a data set."""
    return load_dataset("json", data_files=str(HERE / f"{name}.jsonl"), split="train")


def reward_function(tokenizer):
    """Return Triptych's reward model as TRL calls one: a score a completion, less a penalty for one without an end."""
    model, ends = RewardModel(), {SETTINGS["end_id"], tokenizer.eos_token_id}

    def reward(prompts, completions, completion_ids, **_):
        ended = [bool(ids) and ids[-1] in ends for ids in completion_ids]
        texts = [said[-1]["content"] for said in completions]
        scores = model.scores_of_chat(prompts, texts, ended)
        penalty = SETTINGS["no_end_penalty"]
        return [score - penalty * (not whole) for score, whole in zip(scores, ended, strict=True)]

    return reward


def main():
    """Train as the command line says and write what came of it into `out/`."""
    asked = arguments()
    changes = {"max_steps": asked.max_steps, "learning_rate": asked.learning_rate}
    settings = SETTINGS[asked.method] | {name: value for name, value in changes.items() if value}
    settings |= {"output_dir": str(HERE / "out" / asked.method), "report_to": [], "use_cpu": asked.cpu}
    settings |= {"bf16": not asked.cpu, "save_strategy": "no", "logging_steps": 1}
    tokenizer = tokenizer_of()
    task = "SEQ_CLS" if asked.method == "reward" else "CAUSAL_LM"
    rank = SETTINGS["lora_rank"]
    lora = None if asked.full else LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task)
    shared = {"processing_class": tokenizer, "peft_config": lora}
    if asked.method == "dpo":
        data = rows("preferences")
        trainer = DPOTrainer(model=merged_reference(), args=DPOConfig(**settings), train_dataset=data, **shared)
    elif asked.method == "reward":
        model = AutoModelForSequenceClassification.from_pretrained(SETTINGS["model"], num_labels=1)
        model.config.pad_token_id = tokenizer.pad_token_id
        trainer = RewardTrainer(model=model, args=RewardConfig(**settings), train_dataset=rows("preferences"), **shared)
    else:
        config = RLOOConfig(chat_template_kwargs=SETTINGS["template_arguments"] or None, **settings)
        score, data = reward_function(tokenizer), rows("prompts")
        trainer = RLOOTrainer(model=merged_reference(), reward_funcs=score, args=config, train_dataset=data, **shared)
    done = trainer.train()
    trainer.save_model()
    print(f"{done.global_step} steps, mean loss {done.training_loss:.4f}; written to {settings['output_dir']}")


if __name__ == "__main__":
    main()

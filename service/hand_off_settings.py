"""A run's settings in the words of other trainers: TRL's arguments by name, OpenRLHF's command lines."""

import shlex
from collections.abc import Mapping
from typing import Any

from alignment.runs.settings import RunSettings

MAX_LENGTH = 2048  # tokens of prompt and completion together


def trl_settings(settings: RunSettings) -> dict[str, dict[str, Any]]:
    """Return the arguments of TRL's RLOOConfig, DPOConfig and RewardConfig that say the same as a run's settings.

    RLOO stands for PPO, which TRL has no more. A rollout is generated for `steps_per_generation` steps and gone through
    `num_iterations` times, as a run of PPO has minibatches and epochs.
    """
    ppo, dpo, reward = settings.ppo, settings.dpo, settings.reward
    samples = max(2, ppo.samples)  # RLOO compares completions of a prompt
    shared = {"seed": settings.seed, "max_grad_norm": ppo.max_gradient_norm}
    rloo = {
        "max_steps": ppo.updates * ppo.minibatches * ppo.epochs,
        "per_device_train_batch_size": ppo.minibatch_size,
        "steps_per_generation": ppo.minibatches,
        "num_iterations": ppo.epochs,
        "num_generations": samples,
        "max_completion_length": ppo.max_new_tokens,
        "temperature": ppo.temperature,
        "top_k": 0,
        "beta": ppo.kl_coefficient,
        "epsilon": ppo.clip_range,
        "learning_rate": ppo.learning_rate,
        "lr_scheduler_type": "constant",
    }
    pairs = {
        "max_steps": dpo.steps,
        "per_device_train_batch_size": dpo.batch_size,
        "beta": dpo.beta,
        "learning_rate": dpo.learning_rate,
        "lr_scheduler_type": "linear",
        "max_length": MAX_LENGTH,
    }
    fitted = {
        "max_steps": reward.steps,
        "per_device_train_batch_size": reward.batch_size,
        "learning_rate": reward.learning_rate,
        "max_length": MAX_LENGTH,
    }
    return {"rloo": rloo | shared, "dpo": pairs | shared, "reward": fitted | {"seed": settings.seed}}


def openrlhf_arguments(settings: RunSettings) -> dict[str, dict[str, Any]]:
    """Return OpenRLHF 0.11's command lines by module: argument -> value, True for one that takes none.

    All weights train, so that rates are OpenRLHF's own: those of a run are for LoRA. The script sets `$GPUS`, `$MODEL`
    and `$HERE`.
    """
    ppo, dpo = settings.ppo, settings.dpo
    pairs = {
        "data.apply_chat_template": True,
        "data.dataset": "$HERE/preferences.jsonl",
        "data.prompt_key": "prompt",
        "data.chosen_key": "chosen",
        "data.rejected_key": "rejected",
        "data.max_len": MAX_LENGTH,
        "train.seed": settings.seed,
        "max_norm": ppo.max_gradient_norm,
    }
    return {
        "train_rm": {"model.model_name_or_path": "$MODEL", "ckpt.output_dir": "$HERE/out/reward", **pairs},
        "train_dpo": {
            "model.model_name_or_path": "$MODEL",
            "ref.model_name_or_path": "$MODEL",
            "ckpt.output_dir": "$HERE/out/dpo",
            "model.beta": dpo.beta,
            **pairs,
        },
        "train_ppo_ray": {
            "actor.model_name_or_path": "$MODEL",
            "reward.remote_url": "$HERE/openrlhf_reward.py",
            "ckpt.output_dir": "$HERE/out/ppo",
            "data.prompt_dataset": "$HERE/prompts.jsonl",
            "data.input_key": "prompt",
            "data.apply_chat_template": True,
            "data.max_len": MAX_LENGTH,
            "train.colocate_all": True,
            "vllm.enable_sleep": True,
            "ds.enable_sleep": True,
            "vllm.num_engines": "$GPUS",
            "vllm.gpu_memory_utilization": 0.4,
            "actor.num_gpus_per_node": "$GPUS",
            "critic.num_gpus_per_node": "$GPUS",
            "ref.num_gpus_per_node": "$GPUS",
            "rollout.batch_size": max(1, ppo.rollouts // ppo.samples),
            "rollout.n_samples_per_prompt": ppo.samples,
            "rollout.max_new_tokens": ppo.max_new_tokens,
            "rollout.temperature": ppo.temperature,
            "train.batch_size": ppo.minibatch_size,
            "train.max_epochs": ppo.epochs,
            "train.seed": settings.seed,
            "algo.kl.init_coef": ppo.kl_coefficient,
            "algo.advantage.gamma": ppo.gamma,
            "algo.advantage.lambd": ppo.lam,
            "actor.eps_clip": ppo.clip_range,
            "critic.value_clip": ppo.value_clip_range,
            "actor.max_norm": ppo.max_gradient_norm,
            "critic.max_norm": ppo.max_gradient_norm,
            **({"algo.kl.target": ppo.kl_target} if ppo.kl_target else {}),
            **({"reward.normalize_enable": True} if ppo.normalize_scores else {}),
        },
    }


def openrlhf_script(settings: RunSettings, facts: Mapping[str, Any]) -> str:
    """Return a shell script that runs one of OpenRLHF's trainers on the folder that it lies in."""
    cases = "\n".join(
        f"  {name})\n    {_started(module)} {_words(openrlhf_arguments(settings)[module])} ;;"
        for name, module in (("reward", "train_rm"), ("dpo", "train_dpo"), ("ppo", "train_ppo_ray"))
    )
    return f"""#!/bin/sh
# OpenRLHF 0.11 on what people voted: ./run.sh ppo, ./run.sh dpo or ./run.sh reward; GPUS=8 says how many there are.
set -e
HERE="$(cd "$(dirname "$0")" && pwd)"
GPUS="${{GPUS:-1}}"
MODEL={shlex.quote(str(facts["model"]))}
if [ -d "$HERE/sft" ]; then
  [ -d "$HERE/reference" ] || python "$HERE/reward.py"
  MODEL="$HERE/reference"
fi
case "${{1:-ppo}}" in
{cases}
  *) echo "ppo, dpo or reward, not $1" >&2; exit 2 ;;
esac
"""


def _started(module: str) -> str:
    return f"python -m openrlhf.cli.{module}" if module.endswith("ray") else f"deepspeed --module openrlhf.cli.{module}"


def _words(arguments: Mapping[str, Any]) -> str:
    """Return arguments as a shell has them, one a line; what begins with a dollar is left for the shell."""
    words = [f"--{name}" if value is True else f'--{name} "{value}"' for name, value in arguments.items()]
    return " \\\n      ".join(words)

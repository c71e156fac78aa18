"""A folder with all that another trainer needs to go on from here: data, reward model, reference, settings, a script.

For those who outgrow one machine: TRL and OpenRLHF train whole models on many GPUs. Neither is imported here; the
scripts lie in `assets/hand-off/` and run where those are installed.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment.errors import ConfigError
from alignment.models import catalogue, model_folder, shipped_files
from alignment.models.catalogue import ModelChoice, Resolved
from alignment.models.conversion import ensure_converted
from alignment.reward.settings import RewardConfig
from alignment.runs.settings import RunSettings, run_settings, settings_of
from alignment.settings import ASSETS, GENERAL, ModelConfig
from service import chosen_model
from service.exchange.files import write_rows
from service.exchange.rows import Row, prompt_of, vote_rows
from service.hand_off_settings import openrlhf_script, trl_settings
from storage import database, exports, policies, runs
from storage.errors import StorageError
from storage.judgements import judgements
from storage.records import Policy
from storage.signing_key import signing_key
from storage.version_folders import verify, write_folder

SCRIPTS = ASSETS / "hand-off"
For = Literal["trl", "openrlhf"]
LORA_RANK = 16


@dataclass(frozen=True)
class HandedOff:
    """What went into a folder."""

    folder: Path
    pairs: int
    prompts: int
    reward: str  # which reward model, in words; "" where no run has fitted one yet
    trainer: For


def hand_off(data_dir: Path, choice: ModelChoice, target: Path, trainer: For) -> HandedOff:
    """Write a new folder for a trainer out of the votes that stand and the version that is live, and return it.

    The reward model is the one that this version was trained on; settings are those of its run. Raises ConfigError for
    a folder that exists or cannot be written, and for votes that prefer no answer to another; an
    AlignmentError or StorageError for a model or a version that cannot be read.
    """
    if target.exists():
        raise ConfigError(f"{target} exists; --to names a new folder")
    db = database.file_in(data_dir)
    if not db.is_file():
        raise StorageError(f"{data_dir} holds no votes yet; start the app with this --data-dir first")
    database.prepare(db)
    model = catalogue.resolve(chosen_model.choose(db, choice), data_dir, online=False)
    ensure_converted(model.config)
    live = policies.live_policy(db)
    if live is None:
        raise ConfigError(f"{data_dir} has no live version; start the app once")
    verify(data_dir / live.path, live.sha256)
    counts: dict[str, int] = {}

    def write(folder: Path) -> None:
        counts["pairs"] = _write_pairs(db, signing_key(data_dir), folder)
        if not counts["pairs"]:
            raise ConfigError(
                f"there is nothing to learn from: no vote in {data_dir} prefers one answer to another; "
                "vote in the app, then hand off"
            )
        counts["prompts"] = _write_prompts(db, model.config, folder)
        _copy_reward(data_dir / live.path, model.config, folder)
        _copy_sft(data_dir / live.path, model.config, folder)
        _write_scripts(folder, trainer, _settings(db, live, model, folder))

    try:
        write_folder(target, write)
    except OSError as error:
        where = f"{target} cannot be written ({error.strerror or error})"
        raise ConfigError(f"{where}; let --to name a new folder where you may write, with room on its disk") from error
    return HandedOff(target, counts["pairs"], counts["prompts"], _reward_in(target), trainer)


def _write_pairs(db: Path, key: str, folder: Path) -> int:
    rows: Iterable[Row] = (
        row for one in judgements(db, None) for row in vote_rows(one, "preferences", "conversational", key)
    )
    return write_rows(folder / "preferences.jsonl", rows, "preferences", "conversational", "jsonl")


def _write_prompts(db: Path, config: ModelConfig, folder: Path) -> int:
    """Write what rollouts answer, as in a run: what came with the model, and what was asked."""
    shipped = shipped_files.prompts(config.model) or shipped_files.prompts(GENERAL)
    every = dict.fromkeys(tuple(messages) for messages in (*shipped, *exports.prompts(db)))
    rows = ({"prompt": prompt_of(messages, "conversational")} for messages in every)
    return write_rows(folder / "prompts.jsonl", rows, "prompts", "conversational", "jsonl")


def _copy_reward(version: Path, config: ModelConfig, folder: Path) -> None:
    """Copy the reward model that the live version was trained on, and the one that ships with the model."""
    own, shipped = version / model_folder.REWARD, model_folder.shipped_reward(config.model)
    for source, name in ((own if own.is_dir() else None, "own"), (shipped, "shipped")):
        if source is not None:
            shutil.copytree(source, folder / "reward" / name)


def _copy_sft(version: Path, config: ModelConfig, folder: Path) -> None:
    """Copy the model's instruction-tuned adapter, which features go through, and a tokenizer that came with it."""
    if not config.sft:
        return
    shutil.copytree(config.sft, folder / "sft")
    if (Path(config.sft) / "tokenizer_config.json").is_file():
        kept = shutil.ignore_patterns("adapter_*", "*.safetensors", "*.md")
        shutil.copytree(config.sft, folder / "tokenizer", ignore=kept)


def _settings(db: Path, live: Policy, model: Resolved, folder: Path) -> dict[str, Any]:
    """Return what the scripts read: the model, how the reward model scores, and the run's settings in TRL's names."""
    from alignment.models.chat_tokenizer import (
        PLAIN_TEMPLATE,
    )  # these take seconds, which the app's start does not have
    from alignment.models.loading import load_tokenizer

    config = model.config
    tokenizer = load_tokenizer(folder / "tokenizer" if (folder / "tokenizer").is_dir() else config.model)
    run = runs.get_run(db, live.run_id) if live.run_id is not None else None
    defaults = settings_of(config.model, RunSettings())
    settings = (run_settings(run.settings) if run else defaults).with_rollout_tokens(config.rollout_tokens)
    stored = folder / "reward" / "own" / model_folder.SCORED_BY
    scored_by = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    names = ("bound", "shipped_weight", "uncertainty_penalty")
    return {
        "model": config.model,
        "made_from": f"v{live.version} of {model.name}",
        "template_arguments": config.template_arguments,
        "plain_template": PLAIN_TEMPLATE,
        "end_id": tokenizer.end_id,
        "lora_rank": LORA_RANK,
        "no_end_penalty": settings.ppo.no_end_penalty,
        "scored_by": {name: getattr(RewardConfig(), name) for name in names} | scored_by,
        **trl_settings(settings),
        "run": settings.to_json(),
    }


def _write_scripts(folder: Path, trainer: For, settings: dict[str, Any]) -> None:
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    shutil.copy(SCRIPTS / "reward.py", folder)
    if trainer == "trl":
        shutil.copy(SCRIPTS / "train_trl.py", folder / "train.py")
    else:
        shutil.copy(SCRIPTS / "openrlhf_reward.py", folder)
        (folder / "run.sh").write_text(openrlhf_script(run_settings(settings["run"]), settings), encoding="utf-8")
        (folder / "run.sh").chmod(0o755)
    shutil.copy(SCRIPTS / f"README-{trainer}.md", folder / "README.md")


def _reward_in(folder: Path) -> str:
    own, shipped = folder / "reward" / "own", folder / "reward" / "shipped"
    kinds = ["a linear model on frozen features" if (own / "linear.safetensors").is_file() else "a LoRA adapter"]
    found = [*(kinds if own.is_dir() else []), *(["the one that ships with the model"] if shipped.is_dir() else [])]
    return " and ".join(found)

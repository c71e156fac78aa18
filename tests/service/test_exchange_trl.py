"""TRL's trainers take what is exported unchanged, in both forms: one step each on a tiny model."""

from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from tests.harness.scripted import backstage
from tests.service.exchanging import fill
from tests.service.test_exchange import exported

TRAINERS: list[tuple[str, Any, Any]] = [
    ("preferences", DPOTrainer, DPOConfig),
    ("preferences", RewardTrainer, RewardConfig),
    ("unpaired", KTOTrainer, KTOConfig),
    ("demonstrations", SFTTrainer, SFTConfig),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["conversational", pytest.param("plain", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("what", "trainer", "config"), TRAINERS, ids=lambda value: getattr(value, "__name__", value))
def test_a_trainer_of_trl_takes_an_export_unchanged(
    tiny_folder: Path, tmp_path: Path, what: str, trainer: Any, config: Any, form: str
) -> None:
    behind = backstage(tmp_path)
    fill(behind.db)
    path = exported(behind, what, form=form)
    rows = load_dataset("json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder, local_files_only=True)
    reward = trainer is RewardTrainer
    kind = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    model = kind.from_pretrained(tiny_folder, local_files_only=True, **({"num_labels": 1} if reward else {}))
    model.config.pad_token_id = tokenizer.pad_token_id
    settings = config(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=2,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="SEQ_CLS" if reward else "CAUSAL_LM")
    training = trainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer, peft_config=lora)
    assert training.train().training_loss > 0

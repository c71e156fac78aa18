"""Tiny models that any test may use: random weights, the pocket tokenizer, no network."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # several tests run at a time: a thread that waits leaves the core to others
if "TRIPTYCH_TEST_GPU" not in os.environ:  # what the suite holds to five digits is fp32 on a CPU
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before anything is imported that looks for GPUs

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from alignment.learning.sft import lora_config
from alignment.models import adapters, loading
from alignment.settings import POCKET

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


def write_random_llama(folder: Path, **shape: Any) -> None:
    """Write a random Llama of a shape, two small layers unless told otherwise, with the pocket tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    small = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 256,
    }
    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = LlamaConfig(**{**small, **shape}, **ends, tie_word_embeddings=False)
    with torch.device(loading.best_device()):
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if shape else torch.float32).save_pretrained(
            folder
        )


def write_random_adapter(base: Path, name: str, std: float, quantize: loading.Quantize = "none") -> None:
    """Write a random adapter for a base into a folder beside its weights."""
    model, _ = loading.load_checkpoint(base, quantize)
    model = get_peft_model(model, lora_config(rank=4))
    for parameter in adapters.adapter_parameters(model, "default"):
        torch.nn.init.normal_(parameter, std=std)
    (base / name).mkdir()
    adapters.save_adapter(model, "default", base / name)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with an SFT adapter in `sft/`, in the layout of a model folder."""
    folder = tmp_path_factory.mktemp("tiny")
    write_random_llama(folder)
    for name in ("sft", "other"):
        write_random_adapter(folder, name, 0.2)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> Iterator[tuple[PeftModel, AutoTokenizer]]:
    """A fresh tiny model with the adapters "sft" and "other", and its tokenizer."""
    model, tokenizer = loading.load_checkpoint(tiny_folder)
    model = adapters.attach(model, tiny_folder / "sft", "sft")
    adapters.attach(model, tiny_folder / "other", "other")
    yield model, tokenizer

"""Tiny models that any test may use: random weights, the pocket tokenizer, no network."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from alignment import backbone
from alignment.settings import POCKET
from alignment.sft import lora_config

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with an SFT adapter in `sft/`, in the layout of a model folder."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in ("sft", "other"):
        model, _ = backbone.load_base(folder)
        model = get_peft_model(model, lora_config(rank=4))
        for parameter in backbone.adapter_parameters(model, "default"):
            torch.nn.init.normal_(parameter, std=0.2)
        (folder / name).mkdir()
        backbone.save_adapter(model, "default", folder / name)
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> Iterator[tuple[PeftModel, AutoTokenizer]]:
    """A fresh tiny model with the adapters "sft" and "other", and its tokenizer."""
    model, tokenizer = backbone.load_base(tiny_folder)
    model = backbone.attach(model, tiny_folder / "sft", "sft")
    backbone.attach(model, tiny_folder / "other", "other")
    yield model, tokenizer

"""Tiny, randomly initialised checkpoints of many architectures, saved to disk as their makers' are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoTokenizer

from alignment.settings import POCKET

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
}
WINDOW = 12  # tokens that layers with a sliding window see: fewer than the tests' conversations have


def _plain(name: str, **more: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda common: getattr(transformers, f"{name}Config")(**{**SMALL, **common, **more})


def _gemma3_multimodal(common: dict[str, Any]) -> Any:
    text = {**SMALL, **common, "layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, **common)


SLIDING = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}
CONFIGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "llama": _plain("Llama"),
    "qwen2": _plain("Qwen2"),
    "qwen3": _plain("Qwen3"),
    "gemma2": _plain("Gemma2", **SLIDING, query_pre_attn_scalar=16, final_logit_softcapping=2.0),
    "gemma3 text": _plain("Gemma3Text", **SLIDING, query_pre_attn_scalar=16),
    "gemma3 multimodal": _gemma3_multimodal,
    "granite": _plain("Granite", logits_scaling=8.0, embedding_multiplier=12.0, residual_multiplier=0.2),
    "cohere": _plain("Cohere", logit_scale=0.0625),
    "phi3": _plain("Phi3"),
    "gpt neox": _plain("GPTNeoX"),
    "gpt2": lambda common: transformers.GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=256, **common),
    "mixture of experts": _plain("Qwen3Moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
    "lfm2": _plain("Lfm2", layer_types=["conv", "full_attention"], block_ff_dim=64, block_auto_adjust_ff_dim=False),
    "qwen3.5": _plain(
        "Qwen3_5Text",
        layer_types=["linear_attention", "full_attention"],
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
    ),
}


def write_checkpoint(name: str, folder: Path) -> None:
    """Write a checkpoint of an architecture with the pocket model's tokenizer, its weights large enough to differ."""
    tokenizer = AutoTokenizer.from_pretrained(POCKET, local_files_only=True)
    tokenizer.save_pretrained(folder)
    ends = {key: getattr(tokenizer, key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    config = CONFIGS[name]({"vocab_size": len(tokenizer), "tie_word_embeddings": False, **ends})
    torch.manual_seed(0)
    kind = transformers.Gemma3ForConditionalGeneration if name == "gemma3 multimodal" else None
    model = kind(config) if kind else transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(folder)

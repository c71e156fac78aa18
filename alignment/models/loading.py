"""Loading a checkpoint from a folder, possibly quantized, and the device that it goes to."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from alignment.errors import ModelLoadError
from alignment.models.model_folder import check_base
from alignment.settings import Quantize

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)  # what loading a broken file raises


def best_device() -> torch.device:
    """Return the first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device has bf16 instructions; without them, autocast to bf16 is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def load_base(folder: str | Path, quantize: Quantize = "none", dtype: torch.dtype | None = None) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a local checkpoint, frozen and in eval mode; unless a dtype is given, fp32 on CPU
    and bf16 on CUDA.

    Raises ModelLoadError at once for a folder that is missing or holds no checkpoint; nothing is looked up elsewhere.
    """
    folder = check_base(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = best_device()
    dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            dtype=dtype,
            quantization_config=_quantization(quantize, dtype),
            device_map={"": device} if quantize != "none" or device.type == "cuda" else None,
        )
    except UNREADABLE as error:
        raise ModelLoadError(f"the model at {folder} could not be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    _keep_nf4_trainable(model)
    model.requires_grad_(False)
    model.eval()
    return model, tokenizer


def _quantization(quantize: Quantize, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if quantize == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
        )
    return BitsAndBytesConfig(load_in_8bit=True) if quantize == "int8" else None


def _keep_nf4_trainable(model: nn.Module) -> None:
    """Forbid bitsandbytes to repack NF4 weights on AVX512-BF16 processors: that cuts later gradients, silently."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            setattr(module, "support_avx512bf16_for_cpu", False)  # noqa: B010

"""Loading checkpoints from folders, possibly quantized, and the device and precision that they get."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from alignment.errors import ConfigError, ModelLoadError
from alignment.models.chat_tokenizer import ChatTokenizer
from alignment.models.conversion import ensure_converted
from alignment.models.model_folder import check_base
from alignment.settings import ModelConfig, Quantize

UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)  # what loading a broken file raises
LARGE_BYTES = 100_000_000  # of weights on disk; from here on bf16 is quicker than fp32 on processors that compute it


def best_device() -> torch.device:
    """Return the first CUDA device if there is one, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def computes_bf16(device: torch.device) -> bool:
    """Return whether the device has bf16 instructions; without them, autocast to bf16 is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "mps":
        return True
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def best_dtype(folder: Path, device: torch.device) -> torch.dtype:
    """Return the precision of a checkpoint's weights: bf16 on CUDA, and elsewhere if it is computed and they are large.

    docs/benchmarks.md has the figures. A small model is quicker in fp32, and a CPU without bf16 instructions takes
    minutes for a batch.
    """
    if device.type == "cuda":
        return torch.bfloat16
    large = sum(path.stat().st_size for path in folder.glob("*.safetensors")) >= LARGE_BYTES
    return torch.bfloat16 if large and computes_bf16(device) else torch.float32


def load_model(config: ModelConfig) -> tuple[Any, ChatTokenizer]:
    """Return (model, tokenizer) of the checkpoint that answers as instruction-tuned model and policy.

    A GGUF file is converted first, if it was not yet. An SFT adapter may bring a tokenizer and template of its own.
    Raises ModelLoadError.
    """
    ensure_converted(config)
    own = bool(config.sft) and (Path(config.sft) / "tokenizer_config.json").is_file()
    return load_checkpoint(
        config.model,
        config.quantize,
        pretrained=bool(config.sft),
        tokenizer_folder=config.sft if own else None,
        arguments=config.template_arguments,
    )


def load_pretrained(config: ModelConfig) -> tuple[Any, ChatTokenizer]:
    """Return (model, tokenizer) of the pretrained checkpoint beside a chat checkpoint, for the first panel."""
    return load_checkpoint(config.base, config.quantize)


def load_checkpoint(
    folder: str | Path,
    quantize: Quantize = "none",
    dtype: torch.dtype | None = None,
    *,
    pretrained: bool = True,
    tokenizer_folder: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[Any, ChatTokenizer]:
    """Return (model, tokenizer) of a local checkpoint, frozen and in eval mode, on `best_device`.

    `pretrained` and `arguments` are as in `ChatTokenizer`. Raises ModelLoadError at once for a folder that is missing
    or holds no checkpoint; nothing is looked up elsewhere, and no code that comes with a checkpoint is run.
    """
    folder = check_base(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    device = best_device()
    dtype = dtype or best_dtype(folder, device)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=dtype,
            quantization_config=_quantization(quantize, dtype),
            device_map={"": device} if quantize != "none" or device.type != "cpu" else None,
        )
        tokenizer = load_tokenizer(
            tokenizer_folder or folder, ends=_end_ids(model), arguments=arguments, pretrained=pretrained
        )
    except (*UNREADABLE, ConfigError) as error:
        raise ModelLoadError(f"the model at {folder} could not be loaded: {error}") from error
    _keep_nf4_trainable(model)
    model.requires_grad_(False)
    model.eval()
    return model, tokenizer


def load_tokenizer(
    folder: str | Path,
    *,
    ends: Collection[int] = (),
    arguments: Mapping[str, Any] | None = None,
    pretrained: bool = True,
) -> ChatTokenizer:
    """Return the tokenizer in a folder; the arguments are those of `ChatTokenizer`.

    Raises ConfigError for one that cannot end a turn, OSError or ValueError for one that cannot be read.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return ChatTokenizer(tokenizer, ends=ends, arguments=arguments, pretrained=pretrained)


def _end_ids(model: Any) -> list[int]:
    """Return the ids that end a completion by the checkpoint's generation settings."""
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    if configured is None:
        return []
    return list(configured) if isinstance(configured, list | tuple) else [configured]


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
